"""What all recurrent encoders share: layers, dropout between them, and a state that starts somewhere."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout

from architectures.base import Encoder, positive, probability, typed
from architectures.initialisation import xavier_
from architectures.state import State
from architectures.trace import Trace


class Layer(nn.Module, ABC):
    """One recurrent layer: (batch, time, input_size) -> (batch, time, hidden_size), and a tuple of
    (batch, hidden_size) tensors that it carries from step to step."""

    carried: ClassVar[int]
    """How many numbers a unit carries."""

    @abstractmethod
    def start(self, x: Tensor) -> tuple[Tensor, ...]:
        """The state before the first step, for a batch like x."""

    @abstractmethod
    def forward(self, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """All steps of a batch."""

    @abstractmethod
    def trace(self, x: Tensor, state: tuple[Tensor, ...]) -> Trace:
        """What happens inside at each of these steps."""


class Recurrent(Encoder):
    """A stack of recurrent layers with dropout between them. Its state is a tuple with each layer's."""

    def __init__(self, input_size: int, layers: list[Layer], hidden_size: int, dropout: float) -> None:
        super().__init__(input_size)
        probability(dropout=dropout)
        self.layers = nn.ModuleList(layers)
        self.output_size = hidden_size
        self.dropout = dropout

    def encode(self, x: Tensor, state: State, lengths: Tensor | None) -> tuple[Tensor, State]:
        states = []
        for index, (layer, start) in enumerate(self._starts(x, state)):
            y, stop = layer(x, start)
            states.append(stop)
            x = dropout(y, self.dropout, self.training) if index + 1 < len(self.layers) else y
        return y, tuple(states)

    def trace(self, x: Tensor, state: State = None, lengths: Tensor | None = None) -> Trace:
        self.check(x, lengths)
        traces: list[Trace] = []
        for layer, start in self._starts(x, state):
            traces.append(layer.trace(x, start))
            x = traces[-1].y
        return replace(traces[-1], layers=tuple(traces))

    def path_length(self, lag: int) -> int:
        """One hop into the first layer, one for every step carried, and one for every layer above."""
        self.check_lag(lag)
        return lag + len(self.layers)

    def state_size(self, time: int) -> int:
        return self.output_size * sum(layer.carried for layer in typed(self.layers, Layer))

    @classmethod
    def search_space(cls, time: int) -> dict[str, Any]:
        """One layer or two: every further one costs as much time as the first. Dropout acts between layers, so only
        where there are two. And whether the start is learned."""
        return {
            "num_layers": {"low": 1, "high": 2},
            "dropout": {"low": 0.0, "high": 0.5, "when": {"num_layers": {"low": 2}}},
            "learn_initial_state": [False, True],
        }

    def _starts(self, x: Tensor, state: State) -> list[tuple[Layer, tuple[Tensor, ...]]]:
        layers = typed(self.layers, Layer)
        if state is None:
            return [(layer, layer.start(x)) for layer in layers]
        if not isinstance(state, tuple) or len(state) != len(layers):
            raise ValueError(f"the state is not one of this encoder, which has {len(layers)} layer(s)")
        return list(zip(layers, state, strict=True))  # type: ignore[arg-type]


def stacked(
    make: type[Layer], input_size: int, hidden_size: int, num_layers: int, *args: object, **options: object
) -> list[Layer]:
    """Layers of which each reads the one below."""
    positive(input_size=input_size, hidden_size=hidden_size, num_layers=num_layers)
    return [make(input_size if i == 0 else hidden_size, hidden_size, *args, **options) for i in range(num_layers)]


class TorchLayer(Layer):
    """A layer that PyTorch (on GPUs, cuDNN) runs: RNN, LSTM or GRU. Where PyTorch's own is slow, on the CPU for all but
    the LSTM, a layer has a compiled kernel instead."""

    blocks: ClassVar[int]
    """How many gates stand side by side in its weights."""

    def __init__(
        self, mode: Callable[..., nn.RNNBase], input_size: int, hidden_size: int, learn_initial_state: bool
    ) -> None:
        super().__init__()
        self.core = mode(input_size, hidden_size, batch_first=True)
        for name, parameter in self.core.named_parameters():
            if name.startswith("weight"):
                xavier_(parameter, input_size + hidden_size, hidden_size)
            else:
                nn.init.zeros_(parameter)
        self.initial = (
            nn.ParameterList(torch.zeros(hidden_size) for _ in range(self.carried)) if learn_initial_state else None
        )

    def start(self, x: Tensor) -> tuple[Tensor, ...]:
        if self.initial is None:
            return tuple(x.new_zeros(x.shape[0], self.core.hidden_size) for _ in range(self.carried))
        return tuple(value.expand(x.shape[0], -1) for value in self.initial)

    def compiled(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor] | None:
        """What is put out, and the last h, by a kernel of our own; `None` where PyTorch's is to serve."""
        return None

    def forward(self, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        if (found := self.compiled(x, state[0])) is not None:
            return found[0], found[1:]
        kind = x.device.type
        if kind == "cuda" and torch.is_autocast_enabled(kind) and torch.get_autocast_dtype(kind) == torch.bfloat16:
            # PyTorch has cuDNN compute in float16 then, in which gradients of unscaled losses are lost.
            with torch.autocast(kind, enabled=False):
                return self.forward(x.float(), tuple(value.float() for value in state))
        start = tuple(value.unsqueeze(0).contiguous() for value in state)
        y, stop = self.core(x, start if len(start) > 1 else start[0])
        return y, tuple(value.squeeze(0) for value in (stop if isinstance(stop, tuple) else (stop,)))

    def products(self, x: Tensor, y: Tensor, h: Tensor) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """The gates' input products and recurrent products, biases included, of all steps at once: with the outputs
        known, nothing in them has to wait for the step before."""
        h_before = torch.cat([h.unsqueeze(1), y[:, :-1]], dim=1)
        weight_x, weight_h, bias_x, bias_h = self.core.parameters()
        fed = nn.functional.linear(x, weight_x, bias_x)
        back = nn.functional.linear(h_before, weight_h, bias_h)
        return fed.chunk(self.blocks, dim=2), back.chunk(self.blocks, dim=2)


Output = Literal["tanh", "identity"]


def tanh_or_identity(name: str, value: str) -> bool:
    """Whether an activation's name is tanh.

    Raises:
        ValueError: if it is neither tanh nor identity.
    """
    if value not in ("tanh", "identity"):
        raise ValueError(f"{name} must be tanh or identity, not {value!r}")
    return value == "tanh"

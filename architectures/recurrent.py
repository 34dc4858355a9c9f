"""Base classes of the recurrent architectures: a stack of layers, and a layer that PyTorch runs."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout

from architectures.base import Encoder, check_dropout, state_dtype, typed_children
from architectures.initialisation import xavier_
from architectures.kernels import runs_compiled_cells
from architectures.limits import check_flag, check_layers, check_width, quote
from architectures.recording import is_transformed
from architectures.state import State, StateSpec, TensorSpec
from architectures.trace import Trace
from architectures.zoneout import run_with_zoneout, trace_with_zoneout

Activation = Literal["tanh", "identity"]


def lacks_bfloat16(core: nn.Module, x: Tensor) -> bool:
    """Returns whether PyTorch has no layer of bfloat16 for x (batch, time, features) where autocast asks for it.

    On a GPU, cuDNN would compute in float16, in which gradients of unscaled losses are lost; on a processor without
    instructions for bfloat16 (AVX-512 or newer), oneDNN's LSTM raises an error.
    """
    kind = x.device.type
    if not torch.is_autocast_enabled(kind) or torch.get_autocast_dtype(kind) != torch.bfloat16:
        return False
    if kind == "cpu" and isinstance(core, nn.LSTM):
        return not torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return kind == "cuda"


class RecurrentLayer(nn.Module, ABC):
    """A recurrent layer: (batch, time, input_size) -> (batch, time, hidden_size).

    Its state is a named tuple of (batch, hidden_size) tensors.
    """

    state_class: Any
    """The named tuple, from `architectures.state`."""

    averages: ClassVar[bool] = False
    """Whether the state is a running average of the past, whose weights see h."""

    @property
    def num_states(self) -> int:
        """The number of tensors in the state."""
        return len(self.state_class._fields)

    def state_dtype(self, x: Tensor) -> torch.dtype | None:
        """Returns the type of a state for a batch like x; `None` is any floating-point type."""
        return state_dtype(x)

    def state_spec(self, x: Tensor, hidden_size: int) -> StateSpec:
        """Returns what a state for a batch like x has to be."""
        part = TensorSpec(sizes=(x.shape[0], hidden_size), dtype=self.state_dtype(x), device=x.device)
        spec: StateSpec = self.state_class(*[part] * self.num_states)
        return spec

    @abstractmethod
    def initial_state(self, x: Tensor) -> tuple[Tensor, ...]:
        """Returns the state before the first step, for a batch like x."""

    @abstractmethod
    def forward(self, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Runs all steps of a batch; returns the outputs and the state after the last step."""

    @abstractmethod
    def trace(self, x: Tensor, state: tuple[Tensor, ...]) -> Trace:
        """Returns the internal quantities of each of these steps."""

    def output_of(self, state: tuple[Tensor, ...], y: Tensor) -> Tensor:
        """Returns the output of a step that ended with this state, (batch, 1, units), for zoneout.

        Args:
            state: after the step.
            y: what the layer has computed. By default the first part of the state stands for it.
        """
        return state[0].unsqueeze(1)


class RecurrentEncoder(Encoder):
    """A stack of recurrent layers with dropout between them. Its state is the tuple of the layers' states."""

    needs_dtype_of_weights = True

    def __init__(
        self,
        input_size: int,
        layers: list[RecurrentLayer],
        hidden_size: int,
        dropout: float,
        zoneout: float = 0.0,
        zoneout_cell: float = 0.0,
    ) -> None:
        super().__init__(input_size)
        check_dropout(dropout=dropout, zoneout=zoneout, zoneout_cell=zoneout_cell)
        self.zoneout = (zoneout, zoneout_cell)
        self.layers = nn.ModuleList(layers)
        self.output_size = hidden_size
        self.dropout = dropout

    def encode(self, x: Tensor, state: State, lengths: Tensor | None) -> tuple[Tensor, State]:
        """Runs the layers one upon another, each from its own state."""
        new_states = []
        for index, (layer, layer_state) in enumerate(self._layers_and_states(x, state)):
            y, new_state = self.run_layer(layer, x, layer_state)
            new_states.append(new_state)
            x = dropout(y, self.dropout, self.training) if index + 1 < len(self.layers) else y
        return y, tuple(new_states)

    def trace(self, x: Tensor, state: State = None, lengths: Tensor | None = None) -> Trace:
        """Returns the trace of the last layer, with those of all layers in `layers`."""
        x = self.prepare(x, lengths, state)
        traces: list[Trace] = []
        for layer, layer_state in self._layers_and_states(x, state):
            traces.append(self.trace_layer(layer, x, layer_state))
            x = traces[-1].y
        return replace(traces[-1], layers=tuple(traces))

    def run_layer(
        self, layer: RecurrentLayer, x: Tensor, state: tuple[Tensor, ...]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Runs a layer, step by step where units hold their values."""
        if not any(self.zoneout):
            y, after = layer(x, state)
            return y, after
        return run_with_zoneout(layer, x, state, self.zoneout, self.training)

    def trace_layer(self, layer: RecurrentLayer, x: Tensor, state: tuple[Tensor, ...]) -> Trace:
        """Returns a layer's trace; of units that hold their values, by their mean."""
        if not any(self.zoneout):
            return layer.trace(x, state)
        return trace_with_zoneout(layer, x, state, self.zoneout)

    def path_length(self, lag: int) -> int:
        """Returns one hop into the first layer, one for every step of the lag, and one for every layer above."""
        self.check_lag(lag)
        return lag + len(self.layers)

    def average_path_length(self, lag: int) -> int | None:
        """Returns one hop for each layer if all of them average their past, and otherwise `None`."""
        self.check_lag(lag)
        layers = typed_children(self.layers, RecurrentLayer)
        return len(layers) if all(layer.averages for layer in layers) else None

    def state_size(self, time: int) -> int:
        """Returns the size of all layers' states, which does not depend on `time`."""
        return self.output_size * sum(layer.num_states for layer in typed_children(self.layers, RecurrentLayer))

    def state_spec(self, x: Tensor) -> StateSpec:
        """Returns what a state for a batch like x has to be: that of every layer."""
        layers = typed_children(self.layers, RecurrentLayer)
        return tuple(layer.state_spec(x, self.output_size) for layer in layers)

    @classmethod
    def search_space(cls, time: int) -> dict[str, Any]:
        """Returns the number of layers, dropout, and whether the initial state is learned.

        One layer or two: every further one costs as much time as the first. Dropout acts between layers, so it applies
        only where there are two.
        """
        return {
            "num_layers": {"low": 1, "high": 2},
            "dropout": {"low": 0.0, "high": 0.5, "when": {"num_layers": {"low": 2}}},
            "learn_initial_state": [False, True],
        }

    def _layers_and_states(self, x: Tensor, state: State) -> list[tuple[RecurrentLayer, tuple[Tensor, ...]]]:
        layers = typed_children(self.layers, RecurrentLayer)
        if state is None:
            return [(layer, layer.initial_state(x)) for layer in layers]
        return list(zip(layers, state, strict=True))


def stack_layers(
    layer_class: type[RecurrentLayer],
    input_size: int,
    hidden_size: int,
    num_layers: int,
    *args: object,
    **options: object,
) -> list[RecurrentLayer]:
    """Builds layers of which the first reads the input and each other one the layer below."""
    check_width(input_size=input_size, hidden_size=hidden_size)
    check_layers(num_layers=num_layers)
    return [
        layer_class(input_size if index == 0 else hidden_size, hidden_size, *args, **options)
        for index in range(num_layers)
    ]


class TorchLayer(RecurrentLayer):
    """An RNN, LSTM or GRU layer that PyTorch (on GPUs, cuDNN) runs.

    On the CPU, where PyTorch's implementation is slow, a C++ kernel runs the layer instead, or for a single step, as in
    a stream or a decoder, PyTorch's cell, which packs no weights; unless `core` has hooks, as pruning adds one: they
    run only if PyTorch's layer is called.
    """

    num_gates: ClassVar[int]
    """The number of gates whose weights are stored side by side."""

    def __init__(
        self, core_class: Callable[..., nn.RNNBase], input_size: int, hidden_size: int, learn_initial_state: bool
    ) -> None:
        super().__init__()
        check_flag(learn_initial_state=learn_initial_state)
        self.core = core_class(input_size, hidden_size, batch_first=True)
        for name, parameter in self.core.named_parameters():
            if name.startswith("weight"):
                xavier_(parameter, input_size + hidden_size, hidden_size)
            else:
                nn.init.zeros_(parameter)
        self.initial = (
            nn.ParameterList(torch.zeros(hidden_size) for _ in range(self.num_states)) if learn_initial_state else None
        )

    def initial_state(self, x: Tensor) -> tuple[Tensor, ...]:
        """Returns the learned initial state, or zeros."""
        if self.initial is None:
            zeros = (x.new_zeros(x.shape[0], self.core.hidden_size) for _ in range(self.num_states))
            return self.state_class(*zeros)  # type: ignore[no-any-return]
        return self.state_class(*(value.expand(x.shape[0], -1) for value in self.initial))  # type: ignore[no-any-return]

    def weights(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Returns the weights of x and h, and the two biases, as they are now.

        By name, since pruning and parametrizations put other parameters in their place, in another order.
        """
        core: Any = self.core
        return core.weight_ih_l0, core.weight_hh_l0, core.bias_ih_l0, core.bias_hh_l0

    @abstractmethod
    def run_native(self, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, Tensor] | None:
        """Returns the outputs and the last state, (states, batch, hidden_size), as a C++ kernel computes them.

        `None` where PyTorch is to compute them.
        """

    @abstractmethod
    def run_cell(self, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Returns the state after one step of x (batch, input_size), as PyTorch's cell computes it."""

    @abstractmethod
    def step(self, from_x: Tensor, from_h: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Returns the state after a step, by its formulas.

        Args:
            from_x: (batch, gates hidden_size), the gates' input products, biases included.
            from_h: the same of their recurrent products.
            state: before the step.
        """

    def run_steps(self, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Runs all steps by their formulas, for a transformation that knows no layer of PyTorch."""
        weight_x, weight_h, bias_x, bias_h = self.weights()
        outputs = []
        for from_x in nn.functional.linear(x, weight_x, bias_x).unbind(1):
            state = self.state_class(*self.step(from_x, nn.functional.linear(state[0], weight_h, bias_h), state))
            outputs.append(state[0])
        return torch.stack(outputs, dim=1), state

    def forward(self, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Runs all steps, by a C++ kernel if there is one, else by PyTorch."""
        hooked = has_hooks(self.core)
        if not hooked and is_transformed():
            return self.run_steps(x, state)
        if not hooked and x.shape[1] == 1 and runs_compiled_cells(x):
            after = self.state_class(*self.run_cell(x.squeeze(1), state))
            # A copy, so that who changes the output does not change the state.
            return after[0].unsqueeze(1).clone(), after
        if not hooked and (result := self.run_native(x, state)) is not None:
            # Copies, so that a state that keeps one part does not hold on to all.
            return result[0], self.state_class(*(value.clone() for value in result[1]))
        if lacks_bfloat16(self.core, x):
            with torch.autocast(x.device.type, enabled=False):
                return self.forward(x.float(), tuple(value.float() for value in state))
        before = tuple(value.unsqueeze(0).contiguous() for value in state)
        y, after = self.core(x, before if len(before) > 1 else before[0])
        return y, self.state_class(*(value.squeeze(0) for value in (after if isinstance(after, tuple) else (after,))))

    def gate_products(self, x: Tensor, y: Tensor, h: Tensor) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Returns the gates' input products and recurrent products of all steps, biases included.

        With the outputs known, no product has to wait for the step before: one call computes all steps.

        Args:
            x: (batch, time, input_size).
            y: (batch, time, hidden_size), the outputs.
            h: (batch, hidden_size), the hidden state before the first step.

        Returns:
            Products with x and products with h, a tensor (batch, time, hidden_size) for each gate.
        """
        h_before = torch.cat([h.unsqueeze(1), y[:, :-1]], dim=1)
        weight_x, weight_h, bias_x, bias_h = self.weights()
        from_x = nn.functional.linear(x, weight_x, bias_x)
        from_h = nn.functional.linear(h_before, weight_h, bias_h)
        return from_x.chunk(self.num_gates, dim=2), from_h.chunk(self.num_gates, dim=2)


def has_hooks(module: nn.Module) -> bool:
    """Returns whether calling a module does more than its `forward`: runs what a user, or pruning, has registered."""
    return bool(
        module._forward_pre_hooks or module._forward_hooks or module._backward_pre_hooks or module._backward_hooks
    )


def is_tanh(option: str, value: str) -> bool:
    """Returns whether an activation's name is tanh rather than identity.

    Raises:
        ValueError: if it is neither tanh nor identity; the message names the option.
    """
    if value not in ("tanh", "identity"):
        raise ValueError(f"{option} must be tanh or identity, not {quote(value)}")
    return value == "tanh"

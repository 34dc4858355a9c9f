"""Any module of PyTorch as an encoder: what maps (batch, time, features) to (batch, time, units)."""

import copy
import inspect
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from architectures.base import Encoder, eval_mode
from architectures.state import State
from architectures.trace import Trace

RECURRENT = (nn.RNN, nn.LSTM, nn.GRU)
"""PyTorch's recurrent layers, whose state can be carried from call to call."""
RECURRENT_OPTIONS: dict[str, tuple[type, Any]] = {
    "hidden_size": (int, inspect.Parameter.empty),
    "num_layers": (int, 1),
    "bias": (bool, True),
    "dropout": (float, 0.0),
    "bidirectional": (bool, False),
}
"""Their options, with types and defaults: their own constructors do not tell."""


class WrappedModule(Encoder):
    """An encoder around a module. A subclass made by `wrap_class` says how the module is made.

    The output is what the module returns, or the first of several values. Only PyTorch's recurrent layers carry a
    state; any other module starts anew at every call, so that a sequence in pieces is read as so many sequences. A
    module whose `forward` has an argument `lengths` is given them; any other sees 0 behind a sequence's end.

    Args:
        input_size: features a step.
        options: of the module.
    """

    make: ClassVar[Callable[..., nn.Module]]
    """Makes the module from `input_size=` and the options."""
    reach: ClassVar[int | None] = None
    texts: ClassVar[Mapping[str, str]] = {}
    """The code that the class stands for, by name."""

    module: nn.Module

    def __init__(self, input_size: int, **options: Any) -> None:
        super().__init__(input_size)
        self.module = type(self).make(input_size=input_size, **options)
        if not isinstance(self.module, nn.Module):
            raise TypeError(f"{type(self).__name__} makes {type(self.module).__name__}, which is no torch.nn.Module")
        if isinstance(self.module, nn.RNNBase) and not self.module.batch_first:
            raise ValueError(f"{type(self).__name__} has batch_first=False; the bench gives it (batch, time, features)")
        self.takes_lengths = "lengths" in inspect.signature(self.module.forward).parameters
        self.output_size = self._find_output_size()

    def encode(self, x: Tensor, state: State, lengths: Tensor | None) -> tuple[Tensor, State]:
        """Runs the module."""
        module = self.module
        if not isinstance(module, RECURRENT):
            if state is not None:
                raise ValueError(f"{type(self).__name__} carries no state: pass the whole sequence at once")
            y = first_value(module(x, lengths=lengths) if self.takes_lengths else module(x))
            if y.shape[:2] != x.shape[:2] or y.ndim != 3:
                raise ValueError(
                    f"{type(self).__name__} maps {tuple(x.shape)} to {tuple(y.shape)}, not to (batch, time, units)"
                )
            return y, None
        if not module.bidirectional:
            return run_layer(module, x, state)
        if state is not None:
            raise ValueError("a bidirectional layer cannot resume from a state: pass the whole sequence at once")
        if lengths is None:
            return run_layer(module, x)[0], None
        packed = pack_padded_sequence(x, lengths.clamp(min=1).cpu(), batch_first=True, enforce_sorted=False)
        return pad_packed_sequence(run_layer(module, packed)[0], batch_first=True, total_length=x.shape[1])[0], None

    def trace(self, x: Tensor, state: State = None, lengths: Tensor | None = None) -> Trace:
        """Returns a trace with the output alone: the gates, if there are any, are the module's own affair."""
        with eval_mode(self):
            return Trace(y=self(x, state, lengths)[0])

    @property
    def receptive_field(self) -> int | None:
        """What was said of the module; `None`, unbounded, if nothing was."""
        return type(self).reach

    def path_length(self, lag: int) -> int:
        """Returns the hops through a recurrent layer.

        Raises:
            NotImplementedError: for any other module, of which it is not known.
        """
        self.check_lag(lag)
        if not isinstance(self.module, RECURRENT):
            raise NotImplementedError(f"the path through {type(self).__name__} is not known")
        return lag + self.module.num_layers

    def state_size(self, time: int) -> int:
        """Returns the size of a recurrent layer's state; that of the whole sequence for what carries none."""
        module = self.module
        if not isinstance(module, RECURRENT) or module.bidirectional:
            return time * self.input_size
        cells = module.hidden_size if isinstance(module, nn.LSTM) else 0
        return module.num_layers * ((module.proj_size or module.hidden_size) + cells)

    def _find_output_size(self) -> int:
        weight = next(iter(self.module.parameters()), torch.empty(0))
        x = torch.zeros(2, 3, self.input_size, dtype=weight.dtype, device=weight.device)
        # No dropout, so that nothing is drawn.
        with eval_mode(self), torch.no_grad():
            y = first_value(self.module(x, lengths=torch.tensor([3, 3])) if self.takes_lengths else self.module(x))
        if y.ndim != 3 or y.shape[:2] != x.shape[:2]:
            raise ValueError(
                f"{type(self).__name__} maps {tuple(x.shape)} to {tuple(y.shape)}, not to (batch, time, units)"
            )
        return int(y.shape[2])


def first_value(output: Any) -> Tensor:
    """Returns a module's output; the first of several values.

    Raises:
        TypeError: if it is no tensor.
    """
    value = output[0] if isinstance(output, tuple | list) and output else output
    if not isinstance(value, Tensor):
        raise TypeError(f"the module returns {type(value).__name__}, not a tensor (batch, time, units)")
    return value


def run_layer(layer: nn.RNNBase, x: Any, state: State = None) -> tuple[Any, State]:
    """Runs a recurrent layer of PyTorch; its state is (layers, batch, units), of the LSTM two of these."""
    y, after = layer(x) if state is None else layer(x, state)
    return y, after


def wrap_class(
    name: str,
    make: Callable[..., nn.Module],
    signature: inspect.Signature,
    *,
    causal: bool,
    receptive_field: int | None = None,
    doc: str = "",
) -> type[WrappedModule]:
    """Returns an encoder's class around a module.

    Args:
        name: of the class.
        make: makes the module from `input_size=` and the options.
        signature: the options, with `input_size` first.
        causal: whether y[:, t] depends on x[:, :t+1] alone.
        receptive_field: steps that an output can depend on; `None` if unbounded, or not known.
        doc: describes the options.
    """

    def construct(self: WrappedModule, input_size: int, **options: Any) -> None:
        WrappedModule.__init__(self, input_size, **options)

    parameters = signature.parameters.values()
    construct.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY), *parameters]
    )
    construct.__annotations__ = {
        each.name: each.annotation for each in parameters if each.annotation is not inspect.Parameter.empty
    }
    members = {
        "__init__": construct,
        "__doc__": doc,
        "__signature__": signature,
        "make": staticmethod(make),
        "causal": causal,
        "reach": receptive_field,
    }
    return type(name, (WrappedModule,), members)


def draw_again(module: nn.Module) -> nn.Module:
    """Returns a copy of a module with its weights freshly drawn, as its layers draw them.

    Raises:
        ValueError: if it has weights that no `reset_parameters` draws.
    """
    drawn = copy.deepcopy(module)
    for part in drawn.modules():
        reset = getattr(part, "reset_parameters", None) or getattr(part, "_reset_parameters", None)
        if callable(reset):
            reset()
    return drawn


def fixed_weights(module: nn.Module) -> list[str]:
    """Returns the names of the parameters that no `reset_parameters` of the layer that owns them draws again."""
    owners = {
        name: part
        for name, part in module.named_modules()
        if callable(getattr(part, "reset_parameters", None) or getattr(part, "_reset_parameters", None))
    }
    return [name for name, _ in module.named_parameters() if not any(is_inside(name, owner) for owner in owners)]


def is_inside(parameter: str, owner: str) -> bool:
    """Returns whether a parameter belongs to a part of a module, by their names."""
    return not owner or parameter.startswith(f"{owner}.")

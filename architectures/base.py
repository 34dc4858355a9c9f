"""The interface of all architectures, `Encoder`, and the argument checks that they share."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, TypeVar, cast

import torch
from torch import Tensor, nn

from architectures.forking import check_threads
from architectures.limits import check_width, quote
from architectures.recording import is_exporting, is_recording
from architectures.state import State, StateSpec, check_tree, find_mismatch, strip_names
from architectures.trace import Trace

M = TypeVar("M", bound=nn.Module)


class Encoder(nn.Module, ABC):
    """A module that maps a sequence to a sequence of the same length.

    A subclass sets `output_size`, implements `encode`, `trace`, `path_length` and `state_size`, and overrides `causal`
    and `receptive_field` where the defaults do not hold. Every argument of its constructor except `input_size` is an
    option that users may set, so each has a type, a default (except `hidden_size`) and a line in the docstring.
    """

    causal: bool = True
    """True if y[:, t] depends on x[:, :t+1] alone. Where an option decides, that of the instance counts."""

    compiled: ClassVar[bool] = False
    """True if the architecture has C++ kernels, which are compiled at their first use on a CPU."""

    needs_dtype_of_weights: ClassVar[bool] = False
    """True if x must be of the weights' type (unless autocast is on) and on their device, which `check` then checks.
    False leaves both to `encode`."""

    penalty: Tensor | None = None
    """What the last call of `forward` adds to the loss in training, a scalar, such as the cost of pondering; `None`,
    the default, if nothing. Whoever trains an encoder adds it."""

    input_size: int
    output_size: int

    def __init__(self, input_size: int) -> None:
        super().__init__()
        check_width(input_size=input_size)
        self.input_size = input_size

    def forward(self, x: Tensor, state: State = None, lengths: Tensor | None = None) -> tuple[Tensor, State]:
        """Encodes a batch.

        Args:
            x: (batch, time, input_size).
            state: the state that an earlier call returned; `None` is the start.
            lengths: (batch,) the valid steps of a right-padded batch, 0 .. time. NaN and infinity behind them are read
                as 0. A causal encoder needs them for nothing else.

        Returns:
            y (batch, time, output_size), and the state after the last step, from which another call can resume.

        Raises:
            ValueError: if x has another shape, another number of features, or no steps, or if the lengths or the state
                do not fit.
            TypeError: if x is not an ordinary tensor or of another type than the weights, if the lengths are not whole
                numbers, or if the state is not a tree of tuples of tensors.
        """
        x = self.prepare(x, lengths, state)
        y, new_state = self.encode(x, state, lengths)
        expected = (*x.shape[:2], self.output_size)
        if y.shape != expected:
            raise ValueError(f"{type(self).__name__} returned an output of shape {tuple(y.shape)}, not {expected}")
        return y, strip_names(new_state) if is_exporting() else new_state

    @abstractmethod
    def encode(self, x: Tensor, state: State, lengths: Tensor | None) -> tuple[Tensor, State]:
        """Implements `forward`, for input from `prepare`."""

    @abstractmethod
    def trace(self, x: Tensor, state: State = None, lengths: Tensor | None = None) -> Trace:
        """Returns the internal quantities of every step while x is encoded.

        Takes the arguments of `forward`, which it passes to `prepare` first. Dropout is off.
        """

    @property
    def receptive_field(self) -> int | None:
        """The number of steps that y[:, t] can depend on, step t included; `None` if it is unbounded.

        An encoder that is not causal has as many in each direction.
        """
        return None

    @abstractmethod
    def path_length(self, lag: int) -> int:
        """Returns the fewest hops from the input of `lag` steps back to the output.

        Raises:
            ValueError: if the lag is negative or lies beyond the receptive field.
        """

    def average_path_length(self, lag: int) -> int | None:
        """Returns the same through a running average that is carried beside h, whose weights see h.

        Such a unit passes its past on in two ways: step by step through h, which is `path_length`, and at once, as
        what was averaged is in every later average. `None`, the default, is for all others.

        Raises:
            ValueError: as in `path_length`.
        """
        self.check_lag(lag)
        return None

    @abstractmethod
    def state_size(self, time: int) -> int:
        """Returns how many numbers the state of one sequence holds after `time` steps."""

    def state_spec(self, x: Tensor) -> StateSpec | None:
        """Returns what a state for a batch like x has to be; `None`, the default, checks no shapes and types."""
        return None

    @classmethod
    def search_space(cls, time: int) -> dict[str, Any]:
        """Returns the options that a sweep may search for sequences of `time` steps; none by default.

        The space is plain data, as in a YAML file: `{"low": 1, "high": 3}` is a range with its ends included,
        `["exp", "sigmoid"]` are choices, and `"when": {"num_layers": {"low": 2}}` in a range is the condition under
        which it applies. The width is left out, since all architectures have it. Each domain contains the option's
        default, or the value that the encoder derives where the default is `None`: a sweep that cannot choose the
        default may lose to it.
        """
        return {}

    def prepare(self, x: Tensor, lengths: Tensor | None = None, state: State = None) -> Tensor:
        """Returns x (batch, time, input_size), checked, with 0 for NaN and infinity behind `lengths`, (batch,).

        They would reach the gradients of weights, for their product with a gradient of 0 is NaN. Without lengths, every
        step is part of its sequence, and x is returned as it is.

        Raises:
            ValueError, TypeError: if x, lengths or state do not fit this encoder.
        """
        if not is_recording():
            check_threads()
        self.check(x, lengths, state)
        if lengths is None:
            return x
        # Whether there are any is not asked, so that a GPU is not waited for.
        return x.masked_fill(padding_mask(x, lengths).unsqueeze(2) & ~x.isfinite(), 0)

    def check(self, x: Tensor, lengths: Tensor | None = None, state: State = None) -> None:
        """Raises an error if x, lengths or state do not fit this encoder."""
        check_tensor("x", x)
        if x.ndim != 3:
            raise ValueError(f"x must be (batch, time, {self.input_size}), not of shape {tuple(x.shape)}")
        if x.shape[2] != self.input_size:
            raise ValueError(f"x has {x.shape[2]} features a step, but the encoder has input_size={self.input_size}")
        if 0 in x.shape:
            raise ValueError(f"x of shape {tuple(x.shape)} is empty: at least one sequence of one step is needed")
        if self.needs_dtype_of_weights:
            self._check_type_and_device(x)
        if state is not None:
            self._check_state(x, state)
        if lengths is None:
            return
        check_lengths(x, lengths)
        if lengths.device.type != "cpu" or is_recording():
            # Reading their values would make every call wait for the device; a recorded program has none yet.
            return
        low, high = lengths.aminmax()
        # Of a sequence in a piece of a longer batch, nothing may be left: 0 is a length, too.
        if low < 0 or high > x.shape[1]:
            raise ValueError(f"lengths must lie in 0 .. {x.shape[1]}, the steps of x, not in {low} .. {high}")

    def _check_type_and_device(self, x: Tensor) -> None:
        weight = find_weight(self)
        if weight is None:
            return
        if x.dtype != weight.dtype and not (torch.is_autocast_enabled(x.device.type) and x.is_floating_point()):
            raise TypeError(
                f"x is {x.dtype}, but the encoder's weights are {weight.dtype}: convert the one or the other"
            )
        if x.device != weight.device:
            raise ValueError(f"x is on {x.device}, but the encoder's weights are on {weight.device}: move the one")

    def _check_state(self, x: Tensor, state: State) -> None:
        check_tree(state)
        spec = self.state_spec(x)
        if spec is not None and (mismatch := find_mismatch(state, spec)) is not None:
            raise ValueError(f"the state is not one of this encoder and batch: {mismatch}")

    def check_lag(self, lag: int) -> None:
        """Raises an error if the lag is negative or lies beyond the receptive field."""
        field = self.receptive_field
        if lag < 0:
            raise ValueError(f"a lag is 0 or more steps back, not {lag}")
        if field is not None and lag >= field:
            raise ValueError(f"lag {lag} lies beyond the receptive field of {field} steps")


@contextmanager
def eval_mode(module: nn.Module) -> Iterator[None]:
    """Puts a module into evaluation mode; on exit, every submodule returns to the mode that it was in."""
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training


def padding_mask(x: Tensor, lengths: Tensor) -> Tensor:
    """Returns which steps of x (batch, time, ...) lie behind `lengths` (batch,): (batch, time), boolean, on x's device.

    The lengths are not read, so a GPU is not waited for.
    """
    return torch.arange(x.shape[1], device=x.device) >= lengths.to(x.device).unsqueeze(1)


def check_tensor(name: str, value: object) -> None:
    """Raises a TypeError, by name, for anything but an ordinary, dense tensor."""
    if not isinstance(value, Tensor):
        kind = type(value)
        raise TypeError(
            f"{name} must be a tensor, as torch.as_tensor({name}) makes one, not {kind.__module__}.{kind.__name__}"
        )
    if value.is_nested or value.layout is not torch.strided:
        layout = "nested" if value.is_nested else value.layout
        raise TypeError(
            f"{name} must be an ordinary, dense tensor, not a {layout} one; pad sequences, and give `lengths`"
        )


def find_weight(module: nn.Module) -> Tensor | None:
    """Returns the first floating-point parameter of a module and its children; `None` if there is none.

    `parameters()` takes five times as long, which shows in a step of a small encoder.
    """
    for parameter in module._parameters.values():
        if parameter is not None and parameter.is_floating_point():
            return parameter
    for child in module._modules.values():
        if child is not None and (weight := find_weight(child)) is not None:
            return weight
    return None


def state_dtype(x: Tensor) -> torch.dtype | None:
    """Returns the type of a state for a batch like x: that of x, and any floating-point type under autocast."""
    return None if torch.is_autocast_enabled(x.device.type) else x.dtype


def check_lengths(x: Tensor, lengths: Tensor) -> None:
    """Raises an error if lengths are not one whole number for each sequence of x (batch, ...), in any range."""
    check_tensor("lengths", lengths)
    if lengths.shape != x.shape[:1]:
        raise ValueError(f"lengths must be ({x.shape[0]},), one for each sequence, not of shape {tuple(lengths.shape)}")
    if lengths.is_floating_point() or lengths.dtype == torch.bool:
        raise TypeError(f"lengths must be whole numbers, not {lengths.dtype}")


def check_dropout(**rates: float) -> None:
    """Raises an error, by name, for a dropout rate outside [0, 1)."""
    for name, value in rates.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise TypeError(f"{name} must be a number, not {quote(value)}")
        if not 0 <= value < 1:
            raise ValueError(f"{name} must lie in [0, 1), not {quote(value)}")


def typed_children(modules: nn.Module, kind: Callable[..., M]) -> list[M]:
    """Returns the members of a ModuleList as members of their class, which the ModuleList's own type does not tell."""
    return cast(list[M], list(modules.children()))

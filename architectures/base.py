"""The interface that every architecture keeps."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, TypeVar, cast

import torch
from torch import Tensor, nn

from architectures.state import State
from architectures.trace import Trace

M = TypeVar("M", bound=nn.Module)


class Encoder(nn.Module, ABC):
    """A sequence in, a sequence of the same length out.

    A subclass sets `output_size`, implements `encode`, `trace`, `path_length` and `state_size`, and says whether it
    is causal and how far it reaches. Every argument of its constructor but `input_size` is an option that users may
    set, so each has a type, a default (save `hidden_size`) and a line in the docstring.
    """

    causal: ClassVar[bool] = True
    """Whether y[:, t] depends on x[:, :t+1] alone."""

    compiled: ClassVar[bool] = False
    """Whether it has kernels that are compiled at their first use on a CPU."""

    input_size: int
    output_size: int

    def __init__(self, input_size: int) -> None:
        super().__init__()
        positive(input_size=input_size)
        self.input_size = input_size

    def forward(self, x: Tensor, state: State = None, lengths: Tensor | None = None) -> tuple[Tensor, State]:
        """Encodes a batch.

        Args:
            x: (batch, time, input_size).
            state: where an earlier call stopped; `None` is the start.
            lengths: (batch,) the valid steps of a right-padded batch. A causal encoder needs it for nothing.

        Returns:
            y (batch, time, output_size), and the state to go on from.

        Raises:
            ValueError: if x has another shape or another number of features, or no step at all.
        """
        self.check(x, lengths)
        y, stop = self.encode(x, state, lengths)
        if y.shape != (*x.shape[:2], self.output_size):
            due = (*x.shape[:2], self.output_size)
            raise ValueError(f"{type(self).__name__} put out {tuple(y.shape)} where {due} is due")
        return y, stop

    @abstractmethod
    def encode(self, x: Tensor, state: State, lengths: Tensor | None) -> tuple[Tensor, State]:
        """What `forward` does, once its input has been checked."""

    @abstractmethod
    def trace(self, x: Tensor, state: State = None, lengths: Tensor | None = None) -> Trace:
        """What happens inside while x is encoded, step by step. Takes what `forward` takes; dropout is left out."""

    @property
    def receptive_field(self) -> int | None:
        """The number of steps that y[:, t] can depend on, step t included (each way, where not causal);
        `None` where there is no bound."""
        return None

    @abstractmethod
    def path_length(self, lag: int) -> int:
        """The number of hops from the input of `lag` steps back to the output.

        Raises:
            ValueError: if the lag is negative or lies beyond the receptive field.
        """

    @abstractmethod
    def state_size(self, time: int) -> int:
        """The number of numbers that one sequence carries on from after `time` steps."""

    @classmethod
    def search_space(cls, time: int) -> dict[str, Any]:
        """What a sweep may choose of this architecture's own options for sequences of `time` steps; nothing by
        default.

        Plain data, as in a YAML file: `{"low": 1, "high": 3}` is a range, its ends included, `["exp", "sigmoid"]` are
        choices, and `"when": {"num_layers": {"low": 2}}` in a range says where it applies. The width is left out: it is
        everyone's. Each default lies in its domain, or what the encoder makes of it where it is `None`: a sweep that
        cannot choose the default may lose to it.
        """
        return {}

    def check(self, x: Tensor, lengths: Tensor | None = None) -> None:
        """Refuses an x, or lengths, that this encoder cannot take."""
        if x.ndim != 3:
            raise ValueError(f"x must be (batch, time, {self.input_size}), not of shape {tuple(x.shape)}")
        if x.shape[2] != self.input_size:
            raise ValueError(f"x has {x.shape[2]} features a step, but the encoder has input_size={self.input_size}")
        if 0 in x.shape:
            raise ValueError(f"x of shape {tuple(x.shape)} is empty: at least one sequence of one step is needed")
        if lengths is None:
            return
        if lengths.shape != x.shape[:1]:
            raise ValueError(
                f"lengths must be ({x.shape[0]},), one for each sequence, not of shape {tuple(lengths.shape)}"
            )
        if lengths.is_floating_point() or lengths.dtype == torch.bool:
            raise TypeError(f"lengths must be whole numbers, not {lengths.dtype}")
        if lengths.device.type != "cpu":
            # Their values are trusted there: to look at them would make every call wait for the device.
            return
        low, high = lengths.aminmax()
        if low < 0 or high > x.shape[1]:
            raise ValueError(f"lengths must lie in 0 .. {x.shape[1]}, the steps of x, not in {low} .. {high}")

    def check_lag(self, lag: int) -> None:
        """Refuses a lag that this encoder cannot see."""
        field = self.receptive_field
        if lag < 0:
            raise ValueError(f"a lag is 0 or more steps back, not {lag}")
        if field is not None and lag >= field:
            raise ValueError(f"lag {lag} lies beyond the receptive field of {field} steps")


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Leaves dropout out for a while; afterwards every part is in the mode that it was in."""
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training


def positive(**counts: int) -> None:
    """Refuses a size or count that is no whole number of at least 1."""
    for name, value in counts.items():
        if isinstance(value, bool) or not isinstance(value, int):
            raise TypeError(f"{name} must be a whole number, not {value!r}")
        if value < 1:
            raise ValueError(f"{name} must be at least 1, not {value}")


def probability(**rates: float) -> None:
    """Refuses a dropout rate outside [0, 1)."""
    for name, value in rates.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise TypeError(f"{name} must be a number, not {value!r}")
        if not 0 <= value < 1:
            raise ValueError(f"{name} must lie in [0, 1), not {value}")


def typed(modules: nn.Module, kind: Callable[..., M]) -> list[M]:
    """The members of a ModuleList, whose own type forgets what they are."""
    return cast(list[M], list(modules.children()))

"""Diagonal linear encoders, whose gradients and states are known in closed form."""

import torch
from torch import Tensor

from architectures.base import Encoder
from architectures.state import State
from architectures.trace import Trace


class Diagonal(Encoder):
    """h_t = lambda h_{t-1} + W x_t, unit by unit, with W the identity or, for fewer inputs, ones.

    Args:
        input_size: features a step.
        hidden_size: units.
        fastest: the smallest lambda.
        slowest: the largest lambda.
    """

    def __init__(self, input_size: int, hidden_size: int = 1, fastest: float = 0.9, slowest: float = 0.9) -> None:
        super().__init__(input_size)
        self.output_size = hidden_size
        self.decay = torch.nn.Parameter(torch.linspace(fastest, slowest, hidden_size))
        self.weight = torch.nn.Parameter(torch.ones(hidden_size, input_size))

    def encode(self, x: Tensor, state: State, lengths: Tensor | None) -> tuple[Tensor, State]:
        h = state[0] if isinstance(state, tuple) else x.new_zeros(len(x), self.output_size)
        assert isinstance(h, Tensor)
        terms, outputs = x @ self.weight.t(), []
        for t in range(x.shape[1]):
            h = self.decay * h + terms[:, t]
            outputs.append(h)
        return torch.stack(outputs, 1), (h,)

    def trace(self, x: Tensor, state: State = None, lengths: Tensor | None = None) -> Trace:
        y, _ = self.encode(x, state, lengths)
        return Trace(y=y, retention=self.decay.expand_as(y), write=torch.ones_like(y))

    def path_length(self, lag: int) -> int:
        self.check_lag(lag)
        return lag + 1

    def state_size(self, time: int) -> int:
        return self.output_size


class WithoutTrace(Diagonal):
    """A diagonal encoder without a trace and a path length, which a custom encoder may lack."""

    def trace(self, x: Tensor, state: State = None, lengths: Tensor | None = None) -> Trace:
        raise NotImplementedError("no trace")

    def path_length(self, lag: int) -> int:
        raise NotImplementedError("no path")


class GrowingState(Diagonal):
    """A diagonal encoder with a state that consists of everything that was read."""

    def encode(self, x: Tensor, state: State, lengths: Tensor | None) -> tuple[Tensor, State]:
        before = state[0] if isinstance(state, tuple) else None
        read = x if not isinstance(before, Tensor) else torch.cat([before, x], 1)
        y, _ = super().encode(read, None, None)
        return y[:, -x.shape[1] :], (read,)

"""The two passes over time of an averaging recurrence, whoever computes them; the formulas are in `operation.py`."""

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from architectures.kernels.attention import Attention


@dataclass(frozen=True, slots=True)
class Saved:
    """What the forward pass reads and leaves for the backward pass. Time comes first, so that every step is one piece
    of memory: (time, batch, units), except where a shape is given."""

    attention: Attention
    hidden_tanh: bool
    operand: Tensor
    """[x | 1 | h_{t-1}], (time + 1, batch, inputs + 1 + units): a step's gates are one product of it, and after the
    loop all their weights' gradients are another."""
    u: Tensor
    tanh_g: Tensor
    p: Tensor | None
    """Where the slope of log f_a is made of it."""
    q: Tensor | None
    """Where the past is discounted."""
    delta: Tensor
    averages: Tensor
    """r before and after every step, (time + 1, batch, units); the h of `operand` where f_h is the identity."""

    @property
    def hidden(self) -> Tensor:
        """h before and after every step, (time + 1, batch, units)."""
        return self.operand[:, :, self.operand.shape[2] - self.u.shape[2] :]

    def tensors(self) -> tuple[Tensor | None, ...]:
        """All of them, in the order in which they are given."""
        return self.operand, self.u, self.tanh_g, self.p, self.q, self.delta, self.averages


class Passes(Protocol):
    """The two passes over time."""

    def forward(self, saved: Saved, weight: Tensor, logs: Tensor) -> None:
        """Fills h_0 and everything after the first step.

        Args:
            saved: with x, 1, u, and r before the first step.
            weight: (2 or 3 units, inputs + 1 + units), of [g | p | q].
            logs: l, (time + 1, batch, units), with that before the first step; or two, of which every step reads one
                and writes the other.
        """

    def backward(
        self,
        saved: Saved,
        weight_h: Tensor,
        outside: tuple[Tensor | None, Tensor | None, Tensor | None],
        R: Tensor,
        L: Tensor,
        grad_u: Tensor,
        grad_gates: Tensor,
    ) -> Tensor:
        """Fills the gradients of u and of [g | p | q].

        Args:
            saved: what `forward` left.
            weight_h: (units, 2 or 3 units).
            outside: gradients of h, r and l after every step from elsewhere, (time, batch, units) each.
            R, L: adjoints of the last r and l, (batch, units), which become those of r and l before the first step, as
                far as they come by r and l.
            grad_u: (time, batch, units).
            grad_gates: (time, batch, 2 or 3 units).

        Returns:
            The adjoint of h before the first step, (batch, units).
        """

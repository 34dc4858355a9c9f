"""How a recurrent encoder's state answers to a small change of itself, step by step and in the long run."""

from collections.abc import Iterator

import torch
from torch import Tensor

from architectures.base import Encoder, evaluating
from architectures.state import State, detach, map_state, tensors

ROWS = 1 << 22
"""The numbers that one batch of state copies may hold."""


def state_width(encoder: Encoder, x: Tensor) -> int:
    """The numbers that one sequence's state has.

    Args:
        x: (batch, time, input_size), of at least two steps.

    Raises:
        ValueError: if the state cannot be differentiated by itself, with the reason in a line.
    """
    with torch.no_grad(), evaluating(encoder):
        _, first = encoder(x[:, :1])
        _, second = encoder(x[:, 1:2], first)
    shapes = [value.shape for value in tensors(first)]
    if not shapes:
        raise ValueError("it carries no state")
    if shapes != [value.shape for value in tensors(second)]:
        raise ValueError("its state grows with the sequence")
    if any(shape[0] != len(x) for shape in shapes) or not all(v.is_floating_point() for v in tensors(first)):
        raise ValueError("its state is no row of real numbers for each sequence")
    return sum(shape[1:].numel() for shape in shapes)


def state_jacobians(encoder: Encoder, x: Tensor, skip: int) -> Iterator[Tensor]:
    """The Jacobians J_t = d s_t / d s_{t-1} of the full state, step by step along each sequence.

    Every row of a Jacobian is one vector-Jacobian product: a step is taken on as many copies of its state as that has
    numbers, and one backward pass gives the row of the i-th number on the i-th copy. With the states known from
    running on, the steps do not wait for each other, and many are taken at once.

    Args:
        encoder: is in evaluation mode meanwhile, and otherwise left alone.
        x: (batch, time, input_size).
        skip: first steps that are run, but not differentiated. At least 1: before its first step, the state of an
            average has nothing in it, and log d = -1e30.

    Yields:
        (steps, batch, n, n), n the state's numbers; together time - skip steps.
    """
    width = state_width(encoder, x)
    batch, time, _ = x.shape
    together = max(1, ROWS // (batch * width * width))
    with evaluating(encoder), torch.backends.cudnn.flags(enabled=False):
        with torch.no_grad():
            _, state = encoder(x[:, :skip])
        for start in range(skip, time, together):
            stop = min(start + together, time)
            before: list[State] = []
            with torch.no_grad():
                for t in range(start, stop):
                    before.append(state)
                    _, state = encoder(x[:, t : t + 1], state)
            inputs = x[:, start:stop].transpose(0, 1).reshape(-1, 1, x.shape[2])
            yield _jacobians(encoder, inputs, joined(before), width).unflatten(0, (stop - start, batch))


def _jacobians(encoder: Encoder, x: Tensor, state: State, width: int) -> Tensor:
    """One step's Jacobian for each row of x (rows, 1, input_size) and of the state: (rows, n, n)."""

    def copies(value: Tensor) -> Tensor:
        return value.repeat_interleave(width, dim=0)

    leaf = map_state(lambda value: copies(value).requires_grad_(), detach(state))
    with torch.enable_grad():
        _, after = encoder(copies(x), leaf)
        flat = torch.cat([value.flatten(1) for value in tensors(after)], dim=1)
        unit = torch.eye(width, dtype=flat.dtype, device=flat.device).repeat(len(x), 1)
        inputs = list(tensors(leaf))
        found = torch.autograd.grad(flat, inputs, unit, allow_unused=True)
    rows = [torch.zeros_like(value) if row is None else row for value, row in zip(inputs, found, strict=True)]
    flat = torch.cat([row.flatten(1) for row in rows], dim=1)
    return flat.detach().view(len(x), width, width)


def joined(states: list[State]) -> State:
    """Many states as one, of which the first rows are the first state's."""
    leaves = [list(tensors(state)) for state in states]
    columns = iter([torch.cat(column) for column in zip(*leaves, strict=True)])
    return map_state(lambda _: next(columns), states[0])


class LyapunovExponents:
    """The leading Lyapunov exponents of a product of Jacobians, in nats a step (Benettin et al. 1980): Q <- J Q step by
    step, Q R = Q every n steps, and the exponents are the means of log |R_ii| / n.

    Forward in time it has to be J Q, not J^T Q, which would be the exponents of the factors in reverse order.

    Args:
        start: (batch, n, k) orthonormal columns, one for each exponent.
        every: steps from one QR to the next.
        settling: of these first decompositions nothing is kept: Q has yet to turn towards the leading directions.
    """

    def __init__(self, start: Tensor, every: int = 1, settling: int = 0) -> None:
        self.Q, self.every, self.settling = start.double(), every, settling
        self.sums = torch.zeros(start.shape[0], start.shape[2], dtype=torch.float64, device=start.device)
        self.taken, self.kept = 0, 0

    def step(self, J: Tensor) -> None:
        """Takes the next Jacobian, (batch, n, n)."""
        self.Q = J.double() @ self.Q
        self.taken += 1
        if self.taken % self.every:
            return
        self.Q, R = torch.linalg.qr(self.Q)
        if self.taken > self.settling * self.every:
            # A direction that is lost altogether has the exponent of the smallest number there is, not -inf.
            self.sums += R.diagonal(dim1=1, dim2=2).abs().clamp(min=torch.finfo(R.dtype).tiny).log()
            self.kept += self.every

    @property
    def exponents(self) -> Tensor:
        """(batch, k), the largest first as far as Q has settled; of the steps taken since then."""
        return self.sums / self.kept

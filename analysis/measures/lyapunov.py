"""Jacobians of a recurrent encoder's state, step by step, and its Lyapunov exponents."""

from collections.abc import Iterator

import torch
from torch import Tensor

from architectures.base import Encoder, eval_mode
from architectures.state import State, detach, iter_tensors, map_state

MAX_ELEMENTS = 1 << 22
"""Elements that one batch of copied states may have, which bounds memory."""


def state_width(encoder: Encoder, x: Tensor) -> int:
    """Returns how many numbers the state of one sequence has.

    Args:
        encoder: any encoder.
        x: (batch, time, input_size), of at least two steps.

    Raises:
        ValueError: if the state cannot be differentiated with respect to itself; the message gives the reason.
    """
    with torch.no_grad(), eval_mode(encoder):
        _, first = encoder(x[:, :1])
        _, second = encoder(x[:, 1:2], first)
    shapes = [value.shape for value in iter_tensors(first)]
    if not shapes:
        raise ValueError("it carries no state")
    if shapes != [value.shape for value in iter_tensors(second)]:
        raise ValueError("its state grows with the sequence")
    if any(shape[0] != len(x) for shape in shapes) or not all(v.is_floating_point() for v in iter_tensors(first)):
        raise ValueError("its state is not a row of real numbers for each sequence")
    return sum(shape[1:].numel() for shape in shapes)


def state_jacobians(encoder: Encoder, x: Tensor, skip: int) -> Iterator[Tensor]:
    """Yields the Jacobians J_t = d s_t / d s_{t-1} of the full state, step by step along each sequence.

    Every row of a Jacobian is one vector-Jacobian product: a step is computed on n copies of a state of n numbers, and
    one backward pass gives the row of the i-th number on the i-th copy. The states before all steps come from an
    ordinary forward pass, so many steps are differentiated at once.

    Args:
        encoder: is put into evaluation mode for the duration of the call, and otherwise unchanged.
        x: (batch, time, input_size).
        skip: first steps that are run, but not differentiated. At least 1: before its first step, the state of an
            average is empty, and log d = -1e30.

    Yields:
        (steps, batch, n, n), n numbers of the state; together time - skip steps.
    """
    width = state_width(encoder, x)
    batch, time, _ = x.shape
    chunk = max(1, MAX_ELEMENTS // (batch * width * width))
    with eval_mode(encoder), torch.backends.cudnn.flags(enabled=False):
        with torch.no_grad():
            _, state = encoder(x[:, :skip])
        for start in range(skip, time, chunk):
            stop = min(start + chunk, time)
            before: list[State] = []
            with torch.no_grad():
                for t in range(start, stop):
                    before.append(state)
                    _, state = encoder(x[:, t : t + 1], state)
            inputs = x[:, start:stop].transpose(0, 1).reshape(-1, 1, x.shape[2])
            yield _jacobians(encoder, inputs, concatenate_states(before), width).unflatten(0, (stop - start, batch))


def _jacobians(encoder: Encoder, x: Tensor, state: State, width: int) -> Tensor:
    """Returns one step's Jacobian, (rows, n, n), for each row of x (rows, 1, input_size) and of the state."""

    def repeat(value: Tensor) -> Tensor:
        return value.repeat_interleave(width, dim=0)

    before = map_state(lambda value: repeat(value).requires_grad_(), detach(state))
    with torch.enable_grad():
        _, after = encoder(repeat(x), before)
        flat = torch.cat([value.flatten(1) for value in iter_tensors(after)], dim=1)
        unit = torch.eye(width, dtype=flat.dtype, device=flat.device).repeat(len(x), 1)
        leaves = list(iter_tensors(before))
        gradients = torch.autograd.grad(flat, leaves, unit, allow_unused=True)
    rows = [
        torch.zeros_like(leaf) if gradient is None else gradient
        for leaf, gradient in zip(leaves, gradients, strict=True)
    ]
    return torch.cat([row.flatten(1) for row in rows], dim=1).detach().view(len(x), width, width)


def concatenate_states(states: list[State]) -> State:
    """Concatenates states along the batch; the first rows are those of the first state."""
    leaves = [list(iter_tensors(state)) for state in states]
    columns = iter([torch.cat(column) for column in zip(*leaves, strict=True)])
    return map_state(lambda _: next(columns), states[0])


class LyapunovExponents:
    """The leading Lyapunov exponents of a product of Jacobians, in nats a step (Benettin et al. 1980).

    Q <- J Q step by step, Q R = Q every n steps, and the exponents are the means of log |R_ii| / n. Forward in time
    it has to be J Q: J^T Q would give the exponents of the factors in reverse order.

    Args:
        start: (batch, n, k) orthonormal columns, one for each exponent.
        qr_every: steps from one QR decomposition to the next.
        burn_in: first decompositions that are not counted, as Q has yet to turn towards the leading directions.
    """

    def __init__(self, start: Tensor, qr_every: int = 1, burn_in: int = 0) -> None:
        self.Q, self.qr_every, self.burn_in = start.double(), qr_every, burn_in
        self.sums = torch.zeros(start.shape[0], start.shape[2], dtype=torch.float64, device=start.device)
        self.steps, self.counted_steps = 0, 0

    def step(self, J: Tensor) -> None:
        """Multiplies by the next Jacobian, (batch, n, n)."""
        self.Q = J.double() @ self.Q
        self.steps += 1
        if self.steps % self.qr_every:
            return
        self.Q, R = torch.linalg.qr(self.Q)
        if self.steps > self.burn_in * self.qr_every:
            # A direction that is lost altogether has the exponent of the smallest positive number, not -inf.
            self.sums += R.diagonal(dim1=1, dim2=2).abs().clamp(min=torch.finfo(R.dtype).tiny).log()
            self.counted_steps += self.qr_every

    @property
    def exponents(self) -> Tensor:
        """(batch, k), over the steps since the burn-in; the largest first, once Q has converged."""
        return self.sums / self.counted_steps

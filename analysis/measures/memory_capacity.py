"""Linear memory capacity: how much of its past input can be read from a state."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

LEVEL = 0.99
"""Of the shuffled inputs' capacities, the quantile below which a capacity counts as none."""
SHUFFLES = 200
RIDGE = 1e-9
"""Relative to the states' variance. Components a few 10^-5 of the others still count, and rounding errors do not."""
CELLS = 1 << 22
"""The numbers of one block of shifted inputs: bounds memory, whatever the number of lags."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """Held-out capacities by lag."""

    r2: Tensor
    """(lags,) of the readout of u_{t-k}; 0 where it is within the level."""
    blocks: Tensor
    """(held-out sequences, lags) the same of each held-out sequence, at the lags that count; 0 elsewhere."""
    level: float
    """What the readout of a shuffled input reaches in 1 of 100 cases."""

    @property
    def total(self) -> float:
        """MC = sum_k R^2_k, at most the number of states but for the noise of held-out data."""
        return float(self.r2.sum())


def capacity(states: Tensor, inputs: Tensor, generator: Generator) -> Capacity:
    """R^2_k = 1 - <(u_{t-k} - w_k . s_t)^2> / <(u_{t-k} - <u>)^2> for every lag k from 0, with the best linear
    readout w_k of the first half of the sequences, on the other half (Jaeger 2002, Short term memory in echo state
    networks; the level: Dambre, Verstraeten, Schrauwen and Massar 2012, doi 10.1038/srep00514, supplement).

    All lags share one Cholesky factor of S^T S + ridge, in float64. With N states and T independent samples to fit, an
    R^2 comes out (1 - R^2) N / T too low on held-out data. That of shuffled input shows by how much, and all are
    corrected by it; what then lies below the level of shuffled input counts as 0.

    Args:
        states: (sequences, samples, N) after each of the last steps; at least two sequences.
        inputs: (sequences, time), independent from step to step. The time before the first sample is the largest lag,
            and the washout.
        generator: of the shuffles, on the CPU.

    Raises:
        ValueError: if there are fewer than 50 N samples to fit, or a state is not finite.
    """
    s, u = states.double(), inputs.double()
    fitted, size = len(s) // 2, s.shape[2]
    samples = fitted * s.shape[1]
    if samples < 50 * size:
        raise ValueError(f"{samples} samples are too few to fit {size} states; it takes {50 * size}")
    if not s.isfinite().all():
        raise ValueError("the states are not finite")
    held = len(s) - fitted
    mean, scale = s[:fitted].mean((0, 1)), s[:fitted].std((0, 1))
    # A unit that never moves says nothing; what is left of it is what the mean was rounded by.
    s = (s - mean) / torch.where(scale > 1e-7 * mean.abs(), scale, torch.inf)
    fit, test = s[:fitted].flatten(0, 1), s[fitted:].flatten(0, 1)
    gram = fit.T @ fit
    factor = torch.linalg.cholesky(gram + RIDGE * samples * torch.eye(size, dtype=gram.dtype, device=gram.device))

    def errors(target: Tensor) -> tuple[Tensor, Tensor]:
        """Squared errors of the readout and of the mean, (held-out sequences, columns)."""
        known, asked = target[:samples], target[samples:]
        centre = known.mean(0)
        read = test @ torch.cholesky_solve(fit.T @ (known - centre), factor)
        return tuple(off.square().unflatten(0, (held, -1)).sum(1) for off in (asked - centre - read, asked - centre))

    order = torch.stack([torch.randperm(len(test) + samples, generator=generator) for _ in range(SHUFFLES)], dim=1)
    left, whole = errors(u[:, -s.shape[1] :].reshape(-1)[order.to(u.device)])
    # Of what there is nothing to read from: its expectation has to be 0.
    excess = (left.sum(0) / whole.sum(0)).mean()
    level = float((1 - left.sum(0) / whole.sum(0) / excess).quantile(LEVEL))
    found = [errors(block) for block in shifted(u, s.shape[1])]
    left, whole = torch.cat([each for each, _ in found], dim=1), torch.cat([each for _, each in found], dim=1)
    r2 = 1 - left.sum(0) / whole.sum(0) / excess
    blocks, counts = 1 - left / whole / excess, r2 > level
    return Capacity(r2=torch.where(counts, r2, 0), blocks=torch.where(counts, blocks, 0), level=level)


def shifted(u: Tensor, samples: int) -> Iterator[Tensor]:
    """The inputs 0, 1, 2, .. steps before each of the last samples, in blocks of (sequences * samples, lags)."""
    # The last window of so many steps is that of lag 0; each before it lags one more.
    windows = u.unfold(1, samples, 1).flip(1)
    for block in windows.split(max(1, CELLS // (len(u) * samples)), dim=1):
        yield block.transpose(1, 2).flatten(0, 1)

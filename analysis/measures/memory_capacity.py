"""Linear memory capacity: the past input that can be read from a state by linear readouts."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

NOISE_QUANTILE = 0.99
"""Quantile of the capacities of shuffled inputs up to which a capacity counts as 0."""
SHUFFLES = 200
RIDGE = 1e-9
"""Relative to the variance of the states. Components of a few 10^-5 of the others still count; rounding errors do
not."""
MAX_ELEMENTS = 1 << 20
"""Elements of one block of lagged inputs, 8 MiB, which bounds memory whatever the number of lags. Larger blocks are
slower, too: glibc maps each of them anew, and the system clears it at the first touch."""
MIN_BLOCK = 32
"""Lags of a block, at least: the states are read once for each block, and many states are more than a block."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryCapacity:
    """Held-out memory capacities by lag."""

    r2: Tensor
    """(lags,) R^2 of the readout of u_{t-k}; 0 if it is within the noise level."""
    r2_by_sequence: Tensor
    """(held-out sequences, lags) the same for each held-out sequence, 0 at the lags at which `r2` is 0."""
    noise_level: float
    """R^2 that the readout of a shuffled input reaches in 1 of 100 cases."""

    @property
    def total(self) -> float:
        """MC = sum_k R^2_k: at most the number of states, except for the noise of held-out data."""
        return float(self.r2.sum())


def memory_capacity(states: Tensor, inputs: Tensor, generator: Generator) -> MemoryCapacity:
    """Returns R^2_k = 1 - <(u_{t-k} - w_k . s_t)^2> / <(u_{t-k} - <u>)^2> for every lag k from 0.

    The linear readout w_k is fitted to the first half of the sequences and scored on the other (Jaeger 2002, Short
    term memory in echo state networks; the noise level: Dambre, Verstraeten, Schrauwen and Massar 2012, doi
    10.1038/srep00514, supplement).

    All lags share one Cholesky factor of S^T S + ridge, in float64. With N states and T independent samples to fit,
    the R^2 of held-out data is biased by -(1 - R^2) N / T. The bias is estimated on shuffled inputs and corrected;
    afterwards, what lies within the noise level of shuffled inputs counts as 0.

    Args:
        states: (sequences, samples, N) after each of the last steps; at least two sequences.
        inputs: (sequences, time), independent from step to step. The time before the first sample is the largest lag,
            and the washout.
        generator: of the shuffles, on the CPU.

    Raises:
        ValueError: if there are fewer than 50 N samples to fit, or a state is not finite.
    """
    s, u = states.double(), inputs
    num_fitted, size = len(s) // 2, s.shape[2]
    num_held_out = len(s) - num_fitted
    samples = num_fitted * s.shape[1]
    if samples < 50 * size:
        raise ValueError(f"{samples} samples are too few to fit {size} states; {50 * size} are needed")
    if not s.isfinite().all():
        raise ValueError("the states are not finite")
    mean, scale = s[:num_fitted].mean((0, 1)), s[:num_fitted].std((0, 1))
    # The variation of a unit that never moves is the rounding error of its mean.
    s = (s - mean) / torch.where(scale > 1e-7 * mean.abs(), scale, torch.inf)
    fit, test = s[:num_fitted].flatten(0, 1), s[num_fitted:].flatten(0, 1)
    gram = fit.T @ fit
    factor = torch.linalg.cholesky(gram + RIDGE * samples * torch.eye(size, dtype=gram.dtype, device=gram.device))

    def squared_errors(targets: Tensor) -> tuple[Tensor, Tensor]:
        """Returns those of the readout and those of the mean, (held-out sequences, columns)."""
        fit_targets, test_targets = targets.double().split([samples, len(targets) - samples])
        centre = fit_targets.mean(0)
        readout = test @ torch.cholesky_solve(fit.T @ (fit_targets - centre), factor)
        residuals = (test_targets - centre - readout, test_targets - centre)
        return tuple(errors.square().unflatten(0, (num_held_out, -1)).sum(1) for errors in residuals)

    order = torch.stack([torch.randperm(len(test) + samples, generator=generator) for _ in range(SHUFFLES)], dim=1)
    readout_errors, mean_errors = squared_errors(u[:, -s.shape[1] :].reshape(-1)[order.to(u.device)])
    # Nothing can be read of shuffled inputs, so their expected R^2 has to be 0.
    bias = (readout_errors.sum(0) / mean_errors.sum(0)).mean()
    noise_level = float((1 - readout_errors.sum(0) / mean_errors.sum(0) / bias).quantile(NOISE_QUANTILE))
    num_lags = u.shape[1] - s.shape[1] + 1
    r2, r2_by_sequence = s.new_empty(num_lags), s.new_empty(num_held_out, num_lags)
    first = 0
    for block in lagged_inputs(u, s.shape[1]):
        readout_errors, mean_errors = squared_errors(block)
        lags = slice(first, first + block.shape[1])
        r2[lags] = 1 - readout_errors.sum(0) / mean_errors.sum(0) / bias
        r2_by_sequence[:, lags] = torch.where(r2[lags] > noise_level, 1 - readout_errors / mean_errors / bias, 0)
        first = lags.stop
    return MemoryCapacity(
        r2=torch.where(r2 > noise_level, r2, 0), r2_by_sequence=r2_by_sequence, noise_level=noise_level
    )


def lagged_inputs(u: Tensor, samples: int) -> Iterator[Tensor]:
    """Yields the inputs 0, 1, 2, .. steps before each of the last samples.

    Args:
        u: (sequences, time).
        samples: of each sequence.

    Yields:
        Blocks of lags, (sequences * samples, lags).
    """
    # The last window of so many steps is that of lag 0; each one before it lags one step more.
    windows = u.unfold(1, samples, 1)
    size = max(MIN_BLOCK, MAX_ELEMENTS // (len(u) * samples))
    for stop in range(windows.shape[1], 0, -size):
        # Windows share the memory of u until they are reordered, so only one block of them is ever copied.
        yield windows[:, max(0, stop - size) : stop].flip(1).transpose(1, 2).flatten(0, 1)

"""Gradients of an encoder's last output by the lag of its input, and the effective receptive field."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Generator, Tensor

from analysis.measures.passes import passes
from analysis.statistics import BOOTSTRAP_RESAMPLES
from architectures.base import Encoder, eval_mode

MAX_ELEMENTS = 1 << 23
"""Elements that one tensor of a pass may have; batches are cut accordingly, which bounds memory."""
MAX_ELEMENTS_OF_REACH = 1 << 18
"""The same for an encoder of finite reach, whose backward pass needs a dozen tensors of every layer, and the weights of
attention, which are far more than its output."""


def gradients_by_lag(
    encoder: Encoder, x: Tensor, directions: int, generator: Generator, lengths: Tensor | None = None
) -> Tensor:
    """Returns the norms || d(v . y_T) / d x_{T - lag} || for random v ~ N(0, I).

    Every direction of every sequence has its own v, and one backward pass gives every lag. In expectation over v, the
    square of the norm is the squared Frobenius norm of the Jacobian d y_T / d x_{T - lag}.

    An encoder that is not causal is measured at the same place, its last valid step. No step comes after it, so the
    lags mean the same, and how the encoder uses later steps does not show.

    Args:
        encoder: is put into evaluation mode for the duration of the call, and otherwise unchanged: no gradient of a
            parameter is written.
        x: (batch, time, input_size).
        directions: vectors v for each sequence.
        generator: of the vectors, on the CPU.
        lengths: (batch,) the valid steps, T = length; by default all.

    Returns:
        (directions, batch, time), by lag 0 .. time - 1; NaN for lags from before a sequence's start.
    """
    batch, time, _ = x.shape
    ends = torch.full((batch,), time) if lengths is None else lengths.cpu()
    v = torch.randn(directions, batch, encoder.output_size, generator=generator)
    chunks = []
    for part in gradient_passes(encoder, batch, time):
        part_ends = ends[part].to(x.device)
        leaf = x[part].detach().requires_grad_()
        with torch.enable_grad(), eval_mode(encoder), torch.backends.cudnn.flags(enabled=False):
            y, _ = encoder(leaf, None, None if lengths is None else part_ends)
            y_last = y[torch.arange(len(y), device=y.device), part_ends - 1]
            # One forward pass serves all directions: cheaper than a copy of the sequences for each.
            norms = [
                torch.autograd.grad(y_last, leaf, direction.to(y_last), retain_graph=True)[0].norm(dim=2).cpu()
                for direction in v[:, part]
            ]
        chunks.append(torch.stack(norms))
    return by_lag(torch.cat(chunks, dim=1), ends)


def gradient_passes(encoder: Encoder, count: int, time: int) -> Iterator[slice]:
    """Yields the places of the sequences that go forward and backward at once, of so many with so many steps."""
    most_of_part = None if encoder.receptive_field is None else MAX_ELEMENTS_OF_REACH
    return passes(count, time * max(encoder.output_size, encoder.input_size), MAX_ELEMENTS, most_of_part)


def by_lag(values: Tensor, ends: Tensor) -> Tensor:
    """Reorders values by step into values by lag from each sequence's last valid step.

    Args:
        values: (..., batch, time).
        ends: (batch,) valid steps.

    Returns:
        The same shape, NaN for lags from before the start.
    """
    time = values.shape[-1]
    steps = ends.unsqueeze(1) - 1 - torch.arange(time)
    reordered = values.gather(-1, steps.clamp(min=0).expand(values.shape))
    return reordered.masked_fill(steps < 0, float("nan"))


def cumulative_share(norms: np.ndarray) -> np.ndarray:
    """Returns the share of a sequence's squared gradient that lies within each lag.

        s(k) = sum_{j <= k} g_j^2 / sum_j g_j^2

    The effective receptive field of Luo, Li, Urtasun and Zemel 2016, there of images. The squares are summed over a
    sequence's directions before they are divided: in expectation, squared Frobenius norms of Jacobians.

    Args:
        norms: (directions, sequences, time) gradient norms by lag; NaN where there is no such lag.

    Returns:
        (remaining sequences, time), rising to 1. Sequences whose gradient is zero or infinite are left out.
    """
    norms = np.where(np.isnan(norms), 0.0, norms.astype(float))
    # Divided by the largest of each sequence first: a square may overflow or underflow where the norm does not.
    largest = norms.max(axis=(0, 2))
    usable = (largest > 0) & np.isfinite(largest)
    sums = ((norms[:, usable] / largest[usable][:, None]) ** 2).sum(0).cumsum(1)
    return np.asarray(sums / sums[:, -1:])


def smallest_lag_holding(curves: np.ndarray, share: float) -> np.ndarray:
    """Returns, curve by curve, the smallest lag within which a share lies.

    Args:
        curves: (curves, time), each rising to 1.
        share: between 0 and 1.

    Returns:
        (curves,) lags in steps.
    """
    return np.asarray((curves >= share * (1 - 1e-12)).argmax(1))


def bootstrap_mean_curves(curves: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Returns the mean curve in each bootstrap sample of the sequences.

    Args:
        curves: (sequences, time).
        generator: of the bootstrap.

    Returns:
        (BOOTSTRAP_RESAMPLES, time).
    """
    count = len(curves)
    weights = generator.multinomial(count, np.full(count, 1 / count), size=BOOTSTRAP_RESAMPLES) / count
    return np.asarray(weights @ curves)

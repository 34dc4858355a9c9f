"""How strongly a sequence's last output, or the loss, depends on what was read at each lag before it."""

import numpy as np
import torch
from torch import Generator, Tensor

from analysis.statistics import CONFIDENCE
from architectures.base import Encoder, evaluating
from workbench.model import Model
from workbench.tasks import Batch, Task

CELLS = 1 << 23
"""The numbers that one tensor of a pass may hold; what is probed at once is cut to this, so that memory is bounded."""


def lag_gradients(
    encoder: Encoder, x: Tensor, directions: int, generator: Generator, lengths: Tensor | None = None
) -> Tensor:
    """The norms || d(v . y_T) / d x_{T - lag} || for random v ~ N(0, I), a v of its own for every direction and
    sequence: one backward pass gives every lag. In expectation over v, the square of the norm is the squared Frobenius
    norm of the Jacobian d y_T / d x_{T - lag}.

    An encoder that is not causal is looked at in the same place, after its last valid step, which has no future: the
    lags mean the same, and what it draws from later steps is not seen.

    Args:
        encoder: is in evaluation mode meanwhile, and otherwise left alone: no parameter's gradient is touched.
        x: (batch, time, input_size).
        directions: probe vectors a sequence.
        generator: of the probe vectors, on the CPU.
        lengths: (batch,) the valid steps, T = length; by default all.

    Returns:
        (directions, batch, time), by lag 0 .. time - 1; NaN for lags from before a sequence's start.
    """
    batch, time, _ = x.shape
    ends = torch.full((batch,), time) if lengths is None else lengths.cpu()
    v = torch.randn(directions, batch, encoder.output_size, generator=generator)
    step = max(1, CELLS // (time * max(encoder.output_size, x.shape[2])))
    found = []
    for start in range(0, batch, step):
        part = slice(start, start + step)
        last = ends[part].to(x.device)
        read_x = x[part].detach().requires_grad_()
        with torch.enable_grad(), evaluating(encoder), torch.backends.cudnn.flags(enabled=False):
            y, _ = encoder(read_x, None, None if lengths is None else last)
            read = y[torch.arange(len(y), device=y.device), last - 1]
            # The forward pass is kept, and each direction goes back through it: cheaper than copies of the sequences.
            rows = [
                torch.autograd.grad(read, read_x, each.to(read), retain_graph=True)[0].norm(dim=2).cpu()
                for each in v[:, part]
            ]
        found.append(torch.stack(rows))
    return by_lag(torch.cat(found, dim=1), ends)


def loss_gradients(model: Model, task: Task, batch: Batch) -> Tensor:
    """The norms || d L / d x_{T - lag} || of each sequence's own loss, x being what the encoder reads: the features, or
    the symbols' one-hot or embedded vectors.

    Where the loss is a mean over the batch, what is returned is free of the batch's size.

    Returns:
        (batch, time), by lag from the last valid step; NaN for lags from before a sequence's start.
    """
    count, time = batch.x.shape[:2]
    ends = torch.full((count,), time) if batch.lengths is None else batch.lengths.cpu()
    step = max(1, CELLS // (time * max(model.encoder.output_size, model.encoder.input_size)))
    found = []
    for start in range(0, count, step):
        part = batch[start : start + step]
        x = model.features(part.x).detach().requires_grad_()
        with torch.enable_grad(), evaluating(model), torch.backends.cudnn.flags(enabled=False):
            y, _ = model.encoder(x, None, part.lengths)
            if not model.readout_every:
                last = time - 1 if part.lengths is None else part.lengths - 1
                y = y[torch.arange(len(y), device=y.device), last]
            (gradient,) = torch.autograd.grad(task.loss(model.readout(y), part), x)
        found.append(len(part.x) * gradient.norm(dim=2).cpu())
    return by_lag(torch.cat(found), ends)


def by_lag(values: Tensor, ends: Tensor) -> Tensor:
    """Turns values by step, (..., batch, time), into values by lag from each sequence's last valid step.

    Returns:
        The same shape, NaN for lags from before the start.
    """
    time = values.shape[-1]
    steps = ends.unsqueeze(1) - 1 - torch.arange(time)
    picked = values.gather(-1, steps.clamp(min=0).expand(values.shape))
    return picked.masked_fill(steps < 0, float("nan"))


RESAMPLES = 400
"""Bootstrap samples behind an interval."""


def cumulative(norms: np.ndarray) -> np.ndarray:
    """The share of a sequence's squared gradient that lies within each lag:

        s(k) = sum_{j <= k} g_j^2 / sum_j g_j^2

    (Luo, Li, Urtasun and Zemel 2016, of images). The squares are summed over a sequence's probe vectors before they are
    divided: in expectation, squared Frobenius norms of Jacobians.

    Args:
        norms: (directions, sequences, time) gradient norms by lag; NaN where there is no such lag.

    Returns:
        (sequences kept, time), rising to 1. Sequences without any gradient, or with one that is infinite, are left out.
    """
    norms = np.where(np.isnan(norms), 0.0, norms.astype(float))
    # By the largest of each sequence first: a square may leave the range of numbers where the norm does not.
    largest = norms.max(axis=(0, 2))
    kept = (largest > 0) & np.isfinite(largest)
    rising = ((norms[:, kept] / largest[kept][:, None]) ** 2).sum(0).cumsum(1)
    return np.asarray(rising / rising[:, -1:])


def holding(rising: np.ndarray, share: float) -> np.ndarray:
    """The smallest lag within which a share lies, curve by curve.

    Args:
        rising: (curves, time), each rising to 1.
        share: between 0 and 1.

    Returns:
        (curves,) lags in steps.
    """
    return np.asarray((rising >= share * (1 - 1e-12)).argmax(1))


def resampled(rising: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """The mean curve in bootstrap samples of the sequences.

    Args:
        rising: (sequences, time).

    Returns:
        (RESAMPLES, time).
    """
    count = len(rising)
    weights = generator.multinomial(count, np.full(count, 1 / count), size=RESAMPLES) / count
    return np.asarray(weights @ rising)


def ends(values: np.ndarray, confidence: float = CONFIDENCE) -> tuple[np.ndarray, np.ndarray]:
    """The ends of the percentile interval, column by column, of (samples, ...) bootstrap values."""
    low, high = np.quantile(values, [0.5 - confidence / 2, 0.5 + confidence / 2], axis=0)
    return low, high

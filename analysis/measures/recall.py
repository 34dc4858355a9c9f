"""How far back a model recalls: accuracy against lag, and the lag up to which it holds."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from analysis.statistics import Shares, clustered_proportions
from architectures.base import evaluating
from workbench.model import Model
from workbench.tasks import Batch, Task

BINS = 25
"""Bins that the lags of a task are put into, at most."""
ANSWERS = 40
"""Answers in a bin, about; with fewer, the interval of a perfect accuracy would reach down to the horizon's bound."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecallCurve:
    """Accuracy against lag, bin by bin."""

    lag: np.ndarray
    """(bins,) the mean lag of a bin's answers, in steps."""
    shares: Shares
    smallest: int
    """The smallest lag of all, in steps."""
    largest: int


def recall_curve(lag: np.ndarray, right: np.ndarray, sequence: np.ndarray, bins: int = BINS) -> RecallCurve:
    """Accuracy against lag, neighbouring lags together.

    Args:
        lag: (answers,) whole steps from where something was shown to where it is recalled; at least one answer.
        right: (answers,) whether it was.
        sequence: (answers,) the number of the sequence that each belongs to: its answers are no independent ones.
        bins: at most so many, of about equally many answers; all answers of one lag are in one bin.
    """
    bins = max(1, min(bins, len(lag) // ANSWERS))
    lags, place, counts = np.unique(lag, return_inverse=True, return_counts=True)
    # A lag belongs where the middle of its answers stands in the row of them all.
    middle = (counts.cumsum() - counts / 2) / counts.sum()
    _, of_lag = np.unique((middle * bins).astype(int), return_inverse=True)
    number = of_lag[place]
    centres = np.bincount(number, lag) / np.bincount(number)
    clusters, cluster = np.unique(np.stack([number, sequence]), axis=1, return_inverse=True)
    cluster = cluster.reshape(-1)
    shares = clustered_proportions(
        np.bincount(cluster, right), np.bincount(cluster).astype(float), clusters[0].astype(int), len(centres)
    )
    return RecallCurve(lag=centres, shares=shares, smallest=int(lags[0]), largest=int(lags[-1]))


def threshold(chance: float) -> float:
    """The accuracy half way from chance to 1."""
    return chance + (1 - chance) / 2


def horizon(found: RecallCurve, accuracy: np.ndarray, bound: float) -> float | None:
    """The largest lag up to which an accuracy stays above a bound, by straight lines between the bins.

    A step from 1 to chance anywhere inside a bin is found to a tenth of the bin's width.

    Args:
        found: for its lags.
        accuracy: (bins,) the shares, or one end of their intervals.
        bound: as `threshold` has it.

    Returns:
        Steps; 0 if it does not even lie above for the smallest lags, and `None` if it never falls.
    """
    below = np.flatnonzero(~(accuracy > bound))
    if not len(below):
        return None
    after = int(below[0])
    if after == 0:
        return 0.0
    (x0, x1), (y0, y1) = found.lag[after - 1 : after + 1], accuracy[after - 1 : after + 1]
    return float(x0 + (x1 - x0) * (y0 - bound) / (y0 - y1))


STEPS = 1 << 17
"""Steps, over all sequences, that go through a model together: bounds memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """How well each sequence was answered, each (sequences,)."""

    loss: np.ndarray
    right: np.ndarray | None
    """The number of right answers; `None` where the task has no accuracy."""
    total: np.ndarray
    """The number of answers that count."""


def answered(model: Model, batch: Batch) -> Iterator[tuple[Batch, Tensor]]:
    """Part after part of a batch, on the model's device, with the answers to it."""
    size = max(1, STEPS // batch.x.shape[1])
    with torch.no_grad(), evaluating(model):
        for start in range(0, len(batch.x), size):
            part = batch[start : start + size].to(model.device)
            yield part, model(part.x, part.lengths)[0]


def scores(model: Model, task: Task, batch: Batch) -> Scores:
    """The loss, and the right answers, of each sequence by itself."""
    loss: list[float] = []
    share: list[float] = []
    total: list[float] = []
    for part, prediction in answered(model, batch):
        for index in range(len(part.x)):
            one, said = part[index : index + 1], prediction[index : index + 1]
            loss.append(float(task.loss(said, one)))
            total.append(float(said[..., 0].numel() if one.recall is None else one.recall.sum()))
            accuracy = task.metrics(said, one).get("accuracy")
            if accuracy is not None:
                share.append(float(accuracy))
    counts = np.array(total)
    return Scores(
        loss=np.array(loss), right=np.array(share) * counts if len(share) == len(loss) else None, total=counts
    )


def recalls(model: Model, batch: Batch) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Every recalled answer of a batch that has `recall` and `source`, with classes as targets.

    Returns:
        Each (answers,): its lag in steps, whether it was right, and the number of its sequence.
    """
    assert batch.recall is not None
    assert batch.source is not None
    right = torch.cat([(said.argmax(-1) == part.target).cpu() for part, said in answered(model, batch)])
    sequence, step = batch.recall.nonzero(as_tuple=True)
    lag = step - batch.source[sequence, step]
    return lag.numpy(), right[sequence, step].numpy(), sequence.numpy()

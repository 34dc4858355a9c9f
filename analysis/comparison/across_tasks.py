"""Scores over several tasks: interquartile means, probabilities of improvement, and performance profiles."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from analysis.comparison.intervals import LEAST_LOSS
from analysis.comparison.losses import LossComparison, compare_losses
from analysis.grouping import Section
from analysis.statistics import BOOTSTRAP_SEED, Interval, expanded_percentiles

MIN_SEEDS = 5
"""Fewest seeds of every row on every task."""
MIN_TASKS = 2
RESAMPLES = 2000
"""Number of bootstrap samples behind an interval."""
THRESHOLDS = np.linspace(0, 1, 51)
"""Scores at which a performance profile is evaluated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Scores of the rows that all tasks have.

    A run's score is the share of the way that it is from the loss of the best answer without memory, 0, to the mean
    loss of the best row, 1, on a log scale. It is the same for every task, whatever its losses are.
    """

    labels: tuple[str, ...]
    """Labels of the rows, in the order of the first section."""
    titles: tuple[str, ...]
    """Titles of the tasks."""
    values: tuple[tuple[np.ndarray, ...], ...]
    """For each row and task the scores of the seeds, (seeds,)."""


def scores_of(sections: Sequence[Section]) -> Scores | None:
    """Returns the scores of several tasks.

    Tasks that nothing has learned take no part, nor those whose runs end at a goal or have no trivial loss.

    Returns:
        `None` if fewer than two tasks take part, or two rows, each with five seeds at least on each of the tasks.
    """
    by_title = {section.title: comparison for section in sections if (comparison := _comparison_of(section))}
    if len(by_title) < MIN_TASKS:
        return None
    enough = [
        {standing.row.label for standing in comparison.standings if standing.n >= MIN_SEEDS}
        for comparison in by_title.values()
    ]
    common = set.intersection(*enough)
    rows = dict.fromkeys(row.label for section in sections for row in section.rows)
    labels = tuple(label for label in rows if label in common)
    if len(labels) < 2:
        return None
    values = tuple(tuple(_scores(comparison, label) for comparison in by_title.values()) for label in labels)
    return Scores(labels=labels, titles=tuple(by_title), values=values)


def _comparison_of(section: Section) -> LossComparison | None:
    """Returns the comparison of a task that takes part, otherwise `None`."""
    if all(run.experiment.budget.until for run in section.runs):
        return None
    comparison = compare_losses(section)
    if comparison is None or comparison.trivial_loss is None or comparison.scale != "log" or not comparison.learned:
        return None
    return comparison


def _scores(comparison: LossComparison, label: str) -> np.ndarray:
    """Returns the scores of one row on one task, (seeds,)."""
    assert comparison.trivial_loss is not None
    (standing,) = (standing for standing in comparison.standings if standing.row.label == label)
    trivial, best = math.log(comparison.trivial_loss), float(comparison.groups.means[0])
    place = comparison.standings.index(standing)
    spread = np.log(np.maximum(standing.values, LEAST_LOSS)) - comparison.groups.means[place]
    return np.asarray((trivial - comparison.groups.means[place] - spread) / (trivial - best))


def interquartile_mean(scores: Scores, row: int) -> Interval:
    """Returns the mean of the middle half of a row's scores over all tasks (Agarwal et al. 2021, section 4.3).

    Unlike the mean it is not decided by one task, and unlike the median it uses half of the runs.
    """
    from scipy.stats import trim_mean

    return _bootstrap([scores.values[row]], lambda samples: trim_mean(np.concatenate(samples[0], axis=1), 0.25, axis=1))


def probability_of_improvement(scores: Scores, row: int, base: int) -> Interval:
    """Returns how probable it is that a run of one row beats one of another, mean over the tasks (as above, 4.3).

    On each task it is the share of pairs of seeds that the row wins, where a tie counts as one half (Mann and Whitney
    1947).
    """

    def statistic(samples: Sequence[Sequence[np.ndarray]]) -> np.ndarray:
        wins = [
            (0.5 + 0.5 * np.sign(first[:, :, None] - second[:, None, :])).mean(axis=(1, 2))
            for first, second in zip(*samples, strict=True)
        ]
        return np.asarray(np.mean(wins, axis=0))

    return _bootstrap([scores.values[row], scores.values[base]], statistic)


def performance_profile(scores: Scores, row: int) -> np.ndarray:
    """Returns the share of a row's runs whose score is above each of `THRESHOLDS`, mean over the tasks (as above, 4.2).

    Returns:
        (thresholds,)
    """
    shares = [(values[:, None] > THRESHOLDS).mean(axis=0) for values in scores.values[row]]
    return np.asarray(np.mean(shares, axis=0))


def _bootstrap(
    rows: Sequence[Sequence[np.ndarray]], statistic: Callable[[Sequence[Sequence[np.ndarray]]], np.ndarray]
) -> Interval:
    """Returns a statistic with its interval by a bootstrap that is stratified: seeds are drawn within each task.

    Args:
        rows: for each row and task the scores of the seeds, (seeds,).
        statistic: maps (samples, seeds) for each row and task to (samples,).
    """
    generator = np.random.default_rng(BOOTSTRAP_SEED)
    value = float(statistic([[values[None] for values in tasks] for tasks in rows])[0])
    drawn = [
        [values[generator.integers(len(values), size=(RESAMPLES, len(values)))] for values in tasks] for tasks in rows
    ]
    samples = statistic(drawn)
    seeds = [len(values) for tasks in rows for values in tasks]
    low, high = map(float, expanded_percentiles(samples, min(seeds), sum(seeds) - len(seeds)))
    return Interval(value=value, low=min(low, value), high=max(high, value))

"""Extrapolation: loss and accuracy beyond the length of training, and up to which length a task stays solved."""

import math
from collections.abc import Sequence

import numpy as np

from analysis.formatting import MULTIPLICATION_SIGN
from analysis.probes.base import require_trained, source_of, with_length_factor
from analysis.probes.errors import OUT_OF_MEMORY, failure_reason
from analysis.probes.models import LoadedModel
from analysis.probes.predictions import SequenceScores, score_sequences
from analysis.probes.result import FLOOR_CURVE, SHOWN_WITHIN, Curve, Metric, NotAvailableError, ProbeResult
from analysis.probes.settings import MAX_EXTRAPOLATION_STEPS, ProbeSettings
from analysis.statistics import clustered_proportions, mean_interval, wilson_interval
from workbench.files import describe_error
from workbench.seeding import CPU
from workbench.tasks import Task

LENGTH_FACTORS = (1, 2, 4, 8, 16)
"""Multiples of the training length at which extrapolation is measured; doubled on up to `settings.length`, if that is
more steps."""
STEPS_PER_LENGTH = 32 * MAX_EXTRAPOLATION_STEPS
"""Steps of all sequences of one length together, unless four sequences have more. So even the longest that are tested
are 32: without a mistake these show an accuracy of 0.89 or more by Wilson's interval, where four show 0.51."""
STEPS_PER_PASS = 1 << 16
"""Steps that go through a model at once where several lengths are measured, unless one sequence has more. Attention to
every step takes memory that grows faster than the steps."""


def measure_extrapolation(loaded: LoadedModel, settings: ProbeSettings) -> ProbeResult:
    """Measures loss and accuracy on sequences longer than those of training."""
    require_trained(loaded)
    # Fails at once if the task has no length to multiply.
    with_length_factor(loaded.task, 1)
    tasks: dict[int, Task] = {}
    scores: dict[int, SequenceScores] = {}
    unavailable = {}
    for factor in length_factors(loaded.task, settings.length):
        try:
            longer = with_length_factor(loaded.task, factor)
            if factor > 1 and longer.steps > MAX_EXTRAPOLATION_STEPS:
                raise NotAvailableError(
                    f"{longer.steps:,} steps are more than the {MAX_EXTRAPOLATION_STEPS:,} that are tested"
                )
            size = max(4, min(settings.sequences, STEPS_PER_LENGTH // longer.steps))
            with source_of(loaded.model, longer):
                batch = longer.fixed("test", size, CPU)
                scores[factor] = score_sequences(loaded.model, longer, batch, STEPS_PER_PASS)
            tasks[factor] = longer
        except NotAvailableError as error:
            unavailable[f"extrapolation_{factor}"] = describe_error(error)
        except Exception as error:
            # A length that is too long for a model leaves the shorter ones.
            unavailable[f"extrapolation_{factor}"] = failure_reason(error, loaded.model.device)
    if not scores:
        reasons = list(unavailable.values())
        raise NotAvailableError(OUT_OF_MEMORY if OUT_OF_MEMORY in reasons else reasons[0])
    factors, trivial = np.array(list(tasks)), np.array([task.trivial_loss for task in tasks.values()])
    means = [mean_interval(score.loss) for score in scores.values()]
    # If the loss of one sequence is not finite, neither is the mean.
    finite = np.array([np.isfinite(score.loss).all() for score in scores.values()])
    loss, low, high = (
        np.where(finite, [getattr(mean, name) for mean in means], np.nan) for name in ("mean", "low", "high")
    )
    # The lower end belongs to the upper ends of the losses, and the other way round.
    value, value_low, value_high = (largest_factor(factors, ends < trivial) for ends in (loss, high, low))
    unit = f"{MULTIPLICATION_SIGN} the training length"
    metric = Metric(
        value=value,
        low=value_low,
        high=value_high,
        censored=bool(value == factors[-1]),
        unit=unit,
        what="longest sequences up to which the loss stays below the trivial one",
    )
    curves = {
        "extrapolation_loss": Curve.from_arrays(
            factors, loss, low=low, high=high, x_unit=unit, y_unit="loss", what="loss on longer sequences"
        ),
        "extrapolation_trivial": Curve.from_arrays(
            factors, trivial, x_unit=unit, y_unit="loss", what="loss of the best answer without memory on these"
        ),
    }
    floors = [task.floors for task in tasks.values()]
    for name in floors[0]:
        if all(name in known for known in floors):
            curves[f"{FLOOR_CURVE}{name.replace(' ', '_')}"] = Curve.from_arrays(
                factors,
                np.array([known[name].loss for known in floors]),
                x_unit=unit,
                y_unit="loss",
                what=f"loss of a cheap strategy on these: {name}",
            )
    metrics = {"extrapolation": metric}
    if finite[-1] and trivial[-1] > 0:
        # Tells apart those that stay below the trivial loss at every length that was tested.
        metrics["loss_at_limit"] = Metric(
            value=float(loss[-1] / trivial[-1]),
            low=None if means[-1].half_width is None else float(low[-1] / trivial[-1]),
            high=None if means[-1].half_width is None else float(high[-1] / trivial[-1]),
            unit="1",
            what=f"loss on sequences {factors[-1]:,} times as long as those of training, over the trivial loss there",
        )
    if all(score.criterion is not None for score in scores.values()):
        metrics |= measure_solved_length(list(tasks.values()), list(scores.values()), factors, unit)
    counts = [(score.right, score.total) for score in scores.values() if score.right is not None]
    if len(counts) == len(scores):
        group = np.repeat(np.arange(len(counts)), [len(right) for right, _ in counts])
        right, total = (np.concatenate(values) for values in zip(*counts, strict=True))
        shares = clustered_proportions(right, total, group, len(counts))
        curves["extrapolation_accuracy"] = Curve.from_arrays(
            factors,
            shares.share,
            low=shares.low,
            high=shares.high,
            x_unit=unit,
            y_unit="accuracy",
            what="accuracy on longer sequences",
        )
    return ProbeResult(metrics=metrics, curves=curves, unavailable=unavailable)


def measure_solved_length(
    tasks: Sequence[Task], scores: Sequence[SequenceScores], factors: np.ndarray, unit: str
) -> dict[str, Metric]:
    """Returns up to which length a task stays solved by its own criterion, and what that rests on.

    The value is the longest length up to which the criterion holds, at each length on all its sequences together. The
    upper end of the interval is the longest length up to which nothing contradicts the criterion: the better end of
    each length's interval meets it. The lower end is the longest length up to which the criterion holds and is shown:
    the worse end meets it or, of an accuracy, lies at most `SHOWN_WITHIN` below it.

    Args:
        tasks: the task at each length, which has a criterion.
        scores: of the answers at each length.
        factors: (lengths,) multiples of the training length.
        unit: of the factors.

    Returns:
        `solved_up_to`; `solved_sequences`, the sequences of that length, or of the first one if not even that is
        solved; and `solved_accuracy`, the accuracy there, if the criterion is one.
    """
    ends = [criterion_interval(task, score) for task, score in zip(tasks, scores, strict=True)]
    met: dict[str, list[bool]] = {"mean": [], "shown": [], "possible": []}
    by_accuracy = is_by_accuracy(tasks[0])
    for task, (mean, low, high) in zip(tasks, ends, strict=True):
        criterion = task.solved
        assert criterion is not None
        worse, better = (low, high) if criterion.above else (high, low)
        near = by_accuracy and criterion.above and worse >= criterion.bound - SHOWN_WITHIN
        holds = criterion.met(mean)
        met["mean"].append(holds)
        met["shown"].append(holds and (near or criterion.met(worse)))
        met["possible"].append(criterion.met(better))
    value, low, high = (largest_factor(factors, np.array(met[name])) for name in ("mean", "shown", "possible"))
    place = int(np.searchsorted(factors, value))
    sequences = len(scores[place].loss)
    metrics = {
        "solved_up_to": Metric(
            value=value,
            low=low,
            high=high,
            censored=bool(value == factors[-1]),
            unit=unit,
            what="longest sequences up to which the task is solved by its criterion on those that were tested",
        ),
        "solved_sequences": Metric(
            value=sequences, unit="sequences", what=f"test sequences, {factors[place]:,} times as long as in training"
        ),
    }
    if by_accuracy:
        metrics["solved_accuracy"] = Metric(
            value=ends[place][0],
            low=ends[place][1],
            high=ends[place][2],
            unit="share",
            what=f"right answers on these {sequences:,} sequences; the interval takes each for a single answer",
        )
    return metrics


def criterion_interval(task: Task, score: SequenceScores) -> tuple[float, float, float]:
    """Returns the metric of a task's criterion over all sequences of a length, and both ends of its interval.

    An accuracy has Wilson's interval of as many answers as there are sequences: the answers of one sequence may be
    right or wrong together, and where all are right nothing tells whether they are. Any other metric has Student's
    interval of the mean over sequences, without ends if there is a single one.
    """
    assert score.criterion is not None
    if is_by_accuracy(task):
        # Sequences may ask for different numbers of answers, and the criterion is on all answers together.
        mean = (score.criterion * score.total).sum() / score.total.sum()
        low, high = wilson_interval(mean, np.array(len(score.total)))
        return float(mean), float(low), float(high)
    mean, half = float(score.criterion.mean()), mean_interval(score.criterion).half_width
    half = math.inf if half is None else half
    return mean, mean - half, mean + half


def is_by_accuracy(task: Task) -> bool:
    """Returns whether an accuracy decides that a task is solved."""
    return task.solved is not None and task.solved.metric == "accuracy"


def length_factors(task: Task, length: int | None) -> tuple[int, ...]:
    """Returns the multiples of the training length to test: the usual ones, and doubled on up to a length in steps."""
    factors = list(LENGTH_FACTORS)
    while length is not None and 2 * factors[-1] * task.steps <= length:
        factors.append(2 * factors[-1])
    return tuple(factors)


def largest_factor(factors: np.ndarray, met: np.ndarray) -> float:
    """Returns the largest factor up to which a condition is met at every one; 0 if it is not at the first one."""
    failures = np.flatnonzero(~met)
    last = (failures[0] if len(failures) else len(factors)) - 1
    return float(factors[last]) if last >= 0 else 0.0

"""Loss and accuracy of one model on sequences longer than those of its training."""

import numpy as np

from analysis.faults import LACKING, reason
from analysis.findings import Curve, Findings, NotAvailableError, Number
from analysis.formats import TIMES
from analysis.measures.answers import scores
from analysis.measures.lengths import times
from analysis.measures.proportions import clustered
from analysis.memory.common import CPU, refuse_untrained
from analysis.settings import Settings
from analysis.statistics import mean_interval
from analysis.subjects import Subject
from workbench.files import one_line

FACTORS = (1, 2, 4, 8, 16)
"""Of the training length."""
LONGEST = 20_000
"""Steps of the longest sequences that are tested."""
TOGETHER = 1 << 16
"""Steps of all sequences of one length together, save that there are four sequences at least."""


def extrapolation(subject: Subject, settings: Settings) -> Findings:
    """Loss and accuracy on sequences longer than those of training."""
    refuse_untrained(subject)
    missing, found = {}, []
    times(subject.task, 1)
    for factor in FACTORS:
        try:
            longer = times(subject.task, factor)
            if factor > 1 and longer.steps > LONGEST:
                raise NotAvailableError(f"{longer.steps:,} steps are more than the {LONGEST:,} that are tested")
            size = max(4, min(settings.sequences, TOGETHER // longer.steps))
            found.append((factor, longer, scores(subject.model, longer, longer.fixed("test", size, CPU))))
        except NotAvailableError as error:
            missing[f"extrapolation_{factor}"] = one_line(error)
        except Exception as error:
            # One length too many for a model leaves the shorter ones.
            missing[f"extrapolation_{factor}"] = reason(error, subject.model.device)
    if not found:
        raise NotAvailableError(LACKING if LACKING in missing.values() else next(iter(missing.values())))
    at = np.array([factor for factor, _, _ in found])
    losses = [mean_interval(each.loss) for _, _, each in found]
    trivial = np.array([task.trivial_loss for _, task, _ in found])
    # A loss that is no number for one sequence is none for the mean.
    whole = np.array([np.isfinite(each.loss).all() for _, _, each in found])
    loss, low, high = (
        np.where(whole, [getattr(each, name) for each in losses], np.nan) for name in ("mean", "low", "high")
    )
    value, sure, possible = (reached(at, end < trivial) for end in (loss, high, low))
    number = Number(
        value=value,
        low=sure,
        high=possible,
        at_least=bool(value == at[-1]),
        unit=f"{TIMES} the training length",
        what="longest sequences up to which the loss stays below the trivial one",
    )
    axis = {"x_unit": f"{TIMES} the training length"}
    curves = {
        "extrapolation_loss": Curve.of(
            at, loss, low=low, high=high, y_unit="loss", what="loss on longer sequences", **axis
        ),
        "extrapolation_trivial": Curve.of(
            at, trivial, y_unit="loss", what="loss of the best answer without memory on these", **axis
        ),
    }
    right = [(each.right, each.total) for _, _, each in found if each.right is not None]
    if len(right) == len(found):
        group = np.repeat(np.arange(len(right)), [len(each) for each, _ in right])
        shares = clustered(
            np.concatenate([each for each, _ in right]), np.concatenate([each for _, each in right]), group, len(right)
        )
        curves["extrapolation_accuracy"] = Curve.of(
            at,
            shares.share,
            low=shares.low,
            high=shares.high,
            y_unit="accuracy",
            what="accuracy on longer sequences",
            **axis,
        )
    return Findings(numbers={"extrapolation": number}, curves=curves, missing=missing)


def reached(at: np.ndarray, below: np.ndarray) -> float:
    """The largest factor up to which all is well; 0 if nothing is."""
    bad = np.flatnonzero(~below)
    last = (bad[0] if len(bad) else len(at)) - 1
    return float(at[last]) if last >= 0 else 0.0

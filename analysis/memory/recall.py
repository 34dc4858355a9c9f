"""Accuracy against lag, and the horizon, of one model."""

import numpy as np

from analysis.findings import Curve, Findings, NotAvailableError, Number
from analysis.measures import recall as measured
from analysis.measures.answers import recalls
from analysis.measures.lengths import resized
from analysis.measures.proportions import clustered
from analysis.memory.common import CPU, refuse_untrained
from analysis.settings import Settings
from analysis.subjects import Subject

RECALLED = 5
"""Times `settings.sequences`: the sequences that recall is counted in, so that a bin of lags has several."""


def recall(subject: Subject, settings: Settings) -> Findings:
    """Accuracy against lag on test data, and the horizon."""
    refuse_untrained(subject)
    task = resized(subject.task, settings.length)
    batch = task.fixed("test", RECALLED * settings.sequences, CPU)
    if batch.recall is None or batch.source is None or batch.target.is_floating_point():
        raise NotAvailableError("the task does not say at which step that was shown which is to be recalled")
    lag, right, sequence = recalls(subject.model, batch)
    chance = 1 / len(batch.target[batch.recall].unique())
    found, bound = measured.recall(lag, right, sequence), measured.threshold(chance)
    value, low, high = (
        measured.horizon(found, end, bound) for end in (found.shares.share, found.shares.low, found.shares.high)
    )
    # Not recalled at the smallest lag that was tested: it may be at any below that.
    high = float(found.smallest) if high == 0 else high
    count = np.bincount(sequence)
    total = clustered(
        np.bincount(sequence, right)[count > 0], count[count > 0], np.zeros((count > 0).sum(), dtype=int), 1
    )
    numbers = {
        "horizon": Number(
            value=found.largest if value is None else value,
            low=found.largest if low is None else low,
            high=found.largest if high is None else high,
            at_least=value is None,
            unit="steps",
            what=f"largest lag up to which accuracy stays above {bound:.3g}, half way from chance to 1",
        ),
        "recall_accuracy": Number(
            value=float(total.share[0]),
            low=float(total.low[0]),
            high=float(total.high[0]),
            unit="share",
            what="right answers among all that are to be recalled",
        ),
        "smallest_lag": Number(value=found.smallest, unit="steps", what="smallest lag at which something is recalled"),
        "largest_lag": Number(value=found.largest, unit="steps", what="largest lag at which something is recalled"),
        "recall_bound": Number(value=bound, unit="share", what="accuracy half way from chance to 1"),
    }
    curve = Curve.of(
        found.lag,
        found.shares.share,
        low=found.shares.low,
        high=found.shares.high,
        x_unit="steps",
        y_unit="accuracy",
        what="accuracy against the lag from where a symbol was shown to where it is recalled",
    )
    return Findings(numbers=numbers, curves={"recall": curve})

"""What architectures are ranked by: questions, and the number that answers each."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from analysis.fairness import MACHINE, broken
from analysis.formats import count, span
from analysis.groups import Row, Section
from analysis.probed import Estimate, ProbedSection
from analysis.ranges import within
from analysis.statistics import Mean, mean_interval

Collected = Mapping[str, Sequence[ProbedSection]]
"""By probe, a probed section for each section of the report, in its order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Something to rank architectures by. A new one is a line in `QUESTIONS`."""

    asked: str
    best: str
    """What is said of the first: `lstm remembers longest`."""
    short: str
    """The heading of its columns."""
    probe: str = ""
    """Whose number it is; empty for what every run has."""
    number: str = ""
    """The number's name among the probe's findings."""
    of: Callable[[Row], Estimate | None] | None = None
    """The number of a row, where it is no probe's."""
    highest: bool = True
    """Whether the first is the one of the highest number."""
    signed: bool = False
    """Whether the number is 0 where there is nothing of what is asked for, and may lie below."""
    comparable: Callable[[Sequence[Row]], bool] = lambda rows: True
    """Whether the rows may be ranked by it at all."""
    beside: Callable[[Row], str] = lambda row: ""
    """What else is said of the first."""

    def answers(self, section: Section, place: int, collected: Collected) -> list[tuple[Row, Estimate]]:
        """The rows of a section that have the number, the best mean first.

        Args:
            section: the section.
            place: its place in the report.
            collected: what the probes have found.
        """
        if self.of is not None:
            pairs = [(row, self.of(row)) for row in section.rows] if self.comparable(section.rows) else []
        elif self.probe in collected:
            pairs = [(probed.row, probed.number(self.number)) for probed in collected[self.probe][place].rows]
        else:
            pairs = []
        sign = -1 if self.highest else 1
        known = [(row, estimate) for row, estimate in pairs if estimate is not None]
        return sorted(known, key=lambda pair: (sign * pair[1].value, pair[0].label))


def estimate(mean: Mean, unit: str) -> Estimate | None:
    """A mean over runs as an estimate; `None` where there is none."""
    if not mean.n:
        return None
    ends = (math.nan, math.nan) if mean.half is None else (mean.low, mean.high)
    low, high = within(unit, np.array(ends))
    return Estimate(value=mean.mean, low=float(low), high=float(high), unit=unit, seeds=mean.n)


def seconds(row: Row) -> Estimate | None:
    """Seconds of a step of training."""
    times = [run.timing.get("seconds_per_step") for run in row.runs]
    return estimate(mean_interval(time for time in times if time is not None), "s")


def size(row: Row) -> str:
    """Parameters and state in words."""
    parameters, state = span(row.results("parameters")), span(row.results("state_size"))
    return f"with {parameters} parameters, a state of {state} and batches of {count(row.experiment.budget.batch_size)}"


QUESTIONS: tuple[Question, ...] = (
    Question(
        asked="Who learns best?",
        best="has the lowest test loss",
        short="test loss",
        of=lambda row: estimate(row.test("loss"), ""),
        highest=False,
    ),
    Question(
        asked="Who remembers longest?",
        best="recalls from farthest back",
        short="recall horizon",
        probe="memory_length",
        number="horizon",
    ),
    Question(
        asked="Who holds most of a random past?",
        best="has the largest memory capacity",
        short="memory capacity",
        probe="memory_length",
        number="memory_capacity",
    ),
    Question(
        asked="Who copes with longer sequences?",
        best="stays below the trivial loss on the longest sequences",
        short="extrapolation",
        probe="memory_length",
        number="extrapolation",
    ),
    Question(
        asked="Whose gradient reaches farthest?",
        best="has the gradient that reaches farthest",
        short="gradient reach",
        probe="memory_length",
        number="field_90",
    ),
    Question(
        asked="Who drops what it has put out?",
        best="drops most of what it has put out",
        short="dropped after use",
        probe="discount_dynamics",
        number="dropped_after_use",
    ),
    Question(
        asked="Who forgets on purpose?",
        best="forgets on purpose and keeps what it still needs",
        short="forgets on purpose",
        probe="discount_dynamics",
        number="forgets_on_purpose",
        signed=True,
    ),
    Question(
        asked="Who keeps a signal longest?",
        # Not half of it: of an average, half is gone with the next step, whatever it has learned.
        best="keeps a hundredth of a signal for longest",
        short="1 % is left after",
        probe="signal_survival",
        number="hundredth_left",
    ),
    Question(
        asked="What does a step cost?",
        best="takes the least time for a step of training",
        short="seconds a step",
        of=seconds,
        highest=False,
        comparable=lambda rows: not broken(rows, MACHINE),
        beside=size,
    ),
)
"""In the order of the summary."""

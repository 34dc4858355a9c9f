"""Chapter on what the gates alone pass on of a signal: conclusions, figures and a table for every task."""

import math
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from analysis.figures.panels import REFERENCE_LINE, Line, curve_lines, decay_panel, exponentiate
from analysis.formatting import (
    ABSENT,
    SUPERSCRIPTS,
    format_count,
    format_estimate,
    format_number,
    format_percent,
    join_names,
    pluralize,
)
from analysis.measures.survival import ESSAY_RETENTION, photocopier_share
from analysis.probes.aggregate import RowResults, SectionResults, rows_with_metric
from analysis.report.blocks import Cell, Chapter, Column, Figure, Table
from analysis.report.chapter import (
    MANY_ROWS,
    MetricColumn,
    PanelGroup,
    build_chapter,
    first_of_many,
    format_metric,
    labels_by_unavailable,
    panel_figures,
    present_columns,
    row_heading,
)
from analysis.statistics import Estimate

ANCHOR = "signal-survival"
STEPS = "steps"
NOTE = "Bands: 95 % intervals, except for two seeds. A line ends where it falls below a trillionth."
HELD_COLUMNS: Sequence[MetricColumn] = (
    ("task_lag", "steps", "on the task"),
    ("units_holding", "units\nthat hold", "on the task"),
    ("held", "these\nhold", "on the task"),
    ("held_best", "best unit\nholds", "on the task"),
)
"""Columns that results from before these numbers were measured do not have."""
SMALLEST_LOG10 = -300.0
"""Logarithm to base 10 below which a share is given as a rounded power of ten."""


def chapter(sections: Sequence[SectionResults], folder: Path) -> Chapter | None:
    """Returns the chapter, task by task; `None` without results."""
    return build_chapter(
        sections,
        anchor=ANCHOR,
        title="What the gates alone pass on",
        sentences=describe_survival,
        evidence=lambda section: (*draw_figures(section, folder), survival_table(section)),
        unavailable=lambda section: describe_unavailable(section.rows),
    )


def draw_figures(section: SectionResults, folder: Path) -> list[Figure]:
    """Draws the measured share of a signal that is left, and the share by the essay's calculation."""
    rows = section.rows
    median, best, calculated = (exponentiate(curve_lines(rows, name)) for name in ("left", "left_best", "calculated"))
    groups: dict[str, PanelGroup] = {
        "left": (
            "Leak of the gates on shuffled steps: the share of a signal that the gates of the median unit, and then "
            "of the best, pass on, on one long sequence of steps drawn at random from the task's; the dashed line is "
            f"the essay's photocopier, which keeps {ESSAY_RETENTION} at "
            f"every copy. {NOTE}",
            [
                decay_panel(_with_photocopier(median), STEPS, "share, median unit", log_x=True),
                decay_panel(_with_photocopier(best), STEPS, "share, best unit", log_x=True),
            ],
        ),
        "copies": (
            "What a photocopier of each architecture's mean retention would leave, and the copies that lie between an "
            f"input and the output; a line ends with the architecture's reach. {NOTE}",
            [
                decay_panel(_with_photocopier(calculated), STEPS, "share, calculated", log_x=True),
                decay_panel(curve_lines(rows, "copies"), "lag, steps", "copies", log_x=True),
            ],
        ),
    }
    return panel_figures(section, folder, anchor=ANCHOR, groups=groups)


def _with_photocopier(lines: Sequence[Line]) -> list[Line]:
    """Adds the essay's photocopier as a reference line, unless there are no lines."""
    if not lines:
        return []
    x = np.unique(np.concatenate([line.x for line in lines]))
    return [*lines, Line(label=f"{ESSAY_RETENTION} a copy", x=x, y=ESSAY_RETENTION**x, plot_keywords=REFERENCE_LINE)]


def survival_table(section: SectionResults) -> Table:
    """Returns the shares left after round numbers of steps, and the steps until half and a hundredth are left."""
    longest = common_steps(section.rows)
    steps = [] if longest is None else sorted({min(longest, copies) for copies in (1_000, longest)})
    held = present_columns(section.rows, HELD_COLUMNS)
    columns = [
        Column(heading="architecture", kind="text"),
        *(Column(heading=heading, group=group) for _, heading, group in held),
        Column(heading="mean\nretention", group="leak on shuffled steps"),
        Column(heading="half left\nafter", group="leak on shuffled steps"),
        Column(heading="1 % left\nafter", group="leak on shuffled steps"),
        *(Column(heading=f"left after\n{format_count(count)}", group="leak on shuffled steps") for count in steps),
        Column(heading="calculated", group="leak on shuffled steps"),
        Column(heading="copies"),
        Column(heading="reach"),
    ]
    return Table(
        caption=f"What the gates pass on, on {section.section.title}; the leak is the median unit's; 95 % intervals",
        columns=tuple(columns),
        rows=tuple(_table_row(row, held, steps) for row in section.rows),
    )


def _table_row(row: RowResults, held: Sequence[MetricColumn], steps: Sequence[int]) -> tuple[Cell, ...]:
    retention, copies, reach = (row.metric(name) for name in ("retention", "copies", "reach"))
    shares = [row.metric(f"log10_left_{count}") for count in steps]
    calculated = row.curve("calculated")
    last = None if calculated is None else calculated.y[-1]
    texts = [
        *(format_metric(row, name) for name, _, _ in held),
        ABSENT if retention is None else f"{retention.value:.6f}".rstrip("0").rstrip("."),
        format_metric(row, "half_left"),
        format_metric(row, "hundredth_left"),
        *(ABSENT if share is None else format_share(share) for share in shares),
        ABSENT if last is None else format_power_of_ten(last),
        ABSENT if copies is None else format_count(copies.value),
        "all" if reach is None else format_count(reach.value),
    ]
    return (row_heading(row), *(Cell(text=text) for text in texts))


def describe_survival(section: SectionResults) -> list[str]:
    """Returns the conclusions on a task: what units hold, the leak, the essay's photocopier, and few copies."""
    rows = section.rows
    sentences = [
        describe_held(rows),
        describe_leak(rows),
        describe_photocopier(rows),
        describe_left(rows),
        describe_copies(rows),
    ]
    return [sentence for sentence in sentences if sentence]


def describe_held(rows: Sequence[RowResults]) -> str:
    """States what the units that hold something hold at the task's lag, the largest share first."""
    held = rows_with_metric(rows, "held")
    lag = next((estimate for row in rows if (estimate := row.metric("task_lag")) is not None), None)
    if lag is None:
        return ""
    parts = []
    for row, estimate in held:
        units = row.metric("units_holding")
        share = "" if units is None else f" in {format_percent(100 * units.value)} of its units"
        parts.append(f"{row.row.label} {format_estimate(estimate)}{share}")
    without = [row.row.label for row in rows if row.metric("units_holding") is not None and row.metric("held") is None]
    over = f"On the task's own sequences, over {format_count(lag.value)} steps, the gates"
    if not parts:
        return f"{over} of no unit hold 1 % of a signal in {join_names(without)}."
    amounts = "; ".join(first_of_many(parts))
    text = f"{over} of the units that hold 1 % or more of a signal hold on to this much of it: {amounts}"
    return f"{text}; no unit holds 1 % in {join_names(without)}." if without else f"{text}."


def describe_leak(rows: Sequence[RowResults]) -> str:
    """States how fast the gates leak on shuffled steps, the slowest first, and what that does not say."""
    parts = [
        f"{format_estimate(estimate)} in {row.row.label}" for row, estimate in rows_with_metric(rows, "hundredth_left")
    ]
    if not parts:
        return ""
    times = join_names(first_of_many(parts))
    return (
        f"On shuffled steps the gates of the median unit leak a signal down to 1 % after {times}. "
        "This is a property of the gates on random input, and no measure of what is remembered on the task."
    )


def describe_photocopier(rows: Sequence[RowResults]) -> str:
    """States the result of the essay's calculation, for as many copies as steps were measured."""
    steps = common_steps(rows)
    if steps is None:
        return ""
    share = photocopier_share(ESSAY_RETENTION, steps)
    left = f"{format_number(share)} of it after {format_count(steps)} copies"
    return f"A photocopier that keeps {ESSAY_RETENTION} of a signal leaves {left}."


def describe_left(rows: Sequence[RowResults]) -> str:
    """Compares the share left in the median unit of each row with the photocopier's, the largest share first."""
    steps = common_steps(rows)
    if steps is None:
        return ""
    log10_photocopier = steps * math.log10(ESSAY_RETENTION)
    sides: dict[str, list[str]] = {"more": [], "less": [], "uncertain": []}
    measured = rows_with_metric(rows, f"log10_left_{steps}")
    for row, estimate in measured:
        # Without an interval neither comparison holds.
        side = (
            "more" if estimate.low > log10_photocopier else "less" if estimate.high < log10_photocopier else "uncertain"
        )
        share = "" if len(measured) > MANY_ROWS else f" ({format_share(estimate)})"
        sides[side].append(row.row.label + share)
    texts = {
        "more": "more than that in {}",
        "uncertain": "an amount that cannot be told from that in {}",
        "less": "less than that in {}",
    }
    parts = [text.format(join_names(sides[side])) for side, text in texts.items() if sides[side]]
    if not parts:
        return ""
    return f"After {format_count(steps)} shuffled steps, the gates of the median unit have left {'; '.join(parts)}."


def describe_copies(rows: Sequence[RowResults]) -> str:
    """Names the rows of finite reach, with the few copies that a signal passes within it."""
    parts = [
        f"{pluralize(round(copies.value), 'copy', 'copies')} in {row.row.label}, "
        f"within its {format_count(reach.value)} steps"
        for row in rows
        if (copies := row.metric("copies")) is not None and (reach := row.metric("reach")) is not None
    ]
    return f"A signal passes {'; '.join(parts)}; beyond these it is lost." if parts else ""


def common_steps(rows: Sequence[RowResults]) -> int | None:
    """Returns the largest number of steps after which the share left was measured in all rows with gates."""
    measured = [
        {int(match[1]) for name in result.metrics if (match := re.fullmatch(r"log10_left_(\d+)", name))}
        for row in rows
        for result in row.results
    ]
    with_gates = [steps for steps in measured if steps]
    shared = set.intersection(*with_gates) if with_gates else set()
    return max(shared, default=None)


def format_share(estimate: Estimate) -> str:
    """Formats a share, given by its logarithm to base 10, with its interval."""
    share = format_power_of_ten(estimate.value)
    if not estimate.has_interval:
        return share
    return f"{share} [{format_power_of_ten(estimate.low)}, {format_power_of_ten(min(estimate.high, 0.0))}]"


def format_power_of_ten(exponent: float) -> str:
    """Formats a power of 10 as a number, unless it is too small for one.

    Example:
        >>> format_power_of_ten(-5.0), format_power_of_ten(-13216.9)
        ('1.00 × 10⁻⁵', '10⁻¹³²¹⁷')
    """
    if not math.isfinite(exponent):
        return ABSENT
    if exponent > SMALLEST_LOG10:
        return format_number(10.0**exponent)
    return f"10{str(round(exponent)).translate(SUPERSCRIPTS)}"


def describe_unavailable(rows: Sequence[RowResults]) -> list[str]:
    """Returns a sentence for each reason for which rows have no gates to measure."""
    return [
        f"Gates of {join_names(labels)}: {reason}."
        for (_, reason), labels in labels_by_unavailable(rows, ("survival",)).items()
    ]

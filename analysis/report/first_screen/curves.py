"""Learning curves as data for the script of the page, thinned."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from analysis.figures.learning_curves import COLUMNS, Histories, History, reference_levels
from analysis.grouping import Section

MAX_POINTS = 200
"""Points of a curve in the page; `metrics.csv` has all of them."""
MAX_VALUES = 60_000
"""Values of all curves in the page, about: of many curves each has fewer points."""
MIN_POINTS = 20
"""Points that a curve has even so."""
SIGNIFICANT_DIGITS = 4

Series = list[float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class CurvePanel:
    """The curves of one metric."""

    title: str
    log: bool
    """True if a logarithmic axis is possible and usual."""
    trivial: float | None
    floors: list[tuple[str, float]]
    """Names and values of what cheap strategies reach."""
    steps: list[float]
    labels: list[str]
    values: list[Series]
    """For each label, the mean over the seeds at each step; `None` where there is none."""


def curve_panels(section: Section, histories: Histories) -> list[CurvePanel]:
    """Returns the panels of a section's learning curves, as the figure has them.

    Args:
        section: the section.
        histories: its histories (`analysis.figures.learning_curves.load_histories`).
    """
    panels = []
    for column, rows in histories.items():
        drawn = [history for history in rows if len(history.step)]
        steps = thin_steps(drawn)
        values = [align(history, steps) for history in drawn]
        finite = [value for series in values for value in series if value is not None]
        is_loss = column == "val/loss"
        if finite:
            panels.append(
                CurvePanel(
                    title=COLUMNS[column],
                    log=is_loss and min(finite) > 0,
                    trivial=section.trivial_loss if is_loss else None,
                    floors=[
                        (level.name, float(f"{level.value:.{SIGNIFICANT_DIGITS}g}"))
                        for level in reference_levels(section, column)
                        if level.name != "trivial"
                    ],
                    steps=steps,
                    labels=[history.row.label for history in drawn],
                    values=values,
                )
            )
    return panels


def thin_panels(panels: Mapping[str, Sequence[CurvePanel]]) -> dict[str, list[CurvePanel]]:
    """Returns the panels of a page, by the anchors of the tasks, with as few points as keep all within `MAX_VALUES`."""
    curves = sum(len(panel.labels) for drawn in panels.values() for panel in drawn)
    points = max(MIN_POINTS, MAX_VALUES // max(1, curves))

    def thin(panel: CurvePanel) -> CurvePanel:
        kept = evenly(len(panel.steps), points)
        return replace(
            panel,
            steps=[panel.steps[index] for index in kept],
            values=[[series[index] for index in kept] for series in panel.values],
        )

    return {anchor: [thin(panel) for panel in drawn] for anchor, drawn in panels.items()}


def evenly(count: int, most: int) -> list[int]:
    """Returns indices below `count`, at most `most` of them, evenly many, first and last included."""
    if count <= most:
        return list(range(count))
    return [int(index) for index in np.unique(np.linspace(0, count - 1, most).round())]


def thin_steps(histories: Sequence[History]) -> list[float]:
    """Returns the steps at which any history has a value; of more than 200, evenly many, first and last included."""
    steps = np.unique(np.concatenate([history.step for history in histories])) if histories else np.empty(0)
    return [float(steps[index]) for index in evenly(len(steps), MAX_POINTS)]


def align(history: History, steps: Sequence[float]) -> Series:
    """Returns the values of a history at some steps; `None` where it has none."""
    by_step = dict(zip(history.step.tolist(), history.mean.tolist(), strict=True))
    return [None if step not in by_step else float(f"{by_step[step]:.{SIGNIFICANT_DIGITS}g}") for step in steps]

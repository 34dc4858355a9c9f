"""Figure of performance profiles: the share of runs above each score, a curve for each architecture."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.comparison.across_tasks import THRESHOLDS, Scores, performance_profile
from analysis.figures.axes import SHARE_SCALE
from analysis.figures.learning_curves import MAX_ROWS, REFERENCE_LINE
from analysis.style import LineStyle, in_family_order, theme

WIDTH, HEIGHT = 7.2, 3.4
"""Width, and height of a figure of one panel, in inches."""
PANEL_HEIGHT, LEGEND_ROW = 1.5, 0.19
"""Least height of a family's panel and height of an entry of its legend, in inches."""
MARKER_COUNT = 6
"""Markers of a curve; those of the curves of a panel stand side by side."""
MARGINS = 0.6
"""Height of what lies about a panel, in inches."""


def draw_performance_profiles(scores: Scores, styles: Sequence[LineStyle], families: Sequence[str]) -> Figure:
    """Draws the profile of each row (Agarwal et al. 2021, section 4.2); of many rows in a panel for each family.

    There, the curves of all others are light grey.

    Args:
        scores: scores over several tasks.
        styles: line style of each row, in the order of the scores' labels.
        families: family of each row, in the same order.
    """
    profiles = [performance_profile(scores, row) for row in range(len(scores.labels))]
    panels = group_rows(families)
    heights = [max(PANEL_HEIGHT, LEGEND_ROW * len(rows)) + MARGINS for rows in panels.values()]
    with theme():
        figure = Figure(figsize=(WIDTH, HEIGHT if len(panels) == 1 else sum(heights)), layout="constrained")
        grid = figure.subplots(len(panels), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
        for axes, (name, rows) in zip(grid, panels.items(), strict=True):
            draw_panel(axes, scores.labels, styles, profiles, rows)
            axes.set_title(name, loc="left", fontsize=9.5, fontweight="bold", pad=4)
        grid[-1].set_xlabel("score: 0 no memory, 1 the best architecture's mean")
        figure.supylabel("share of runs above it", fontsize=grid[-1].xaxis.label.get_fontsize())
    return figure


def group_rows(families: Sequence[str]) -> Mapping[str, list[int]]:
    """Returns the rows of each panel, by its title: of each family, or of one panel without a title if they are few."""
    if len(families) <= MAX_ROWS or len(set(families)) < 2:
        return {"": list(range(len(families)))}
    return {name: [row for row, own in enumerate(families) if own == name] for name in in_family_order(families)}


def draw_panel(
    axes: Axes,
    labels: Sequence[str],
    styles: Sequence[LineStyle],
    profiles: Sequence[np.ndarray],
    rows: Sequence[int],
) -> None:
    """Draws the profiles of some rows with a legend beside them, and those of all others in grey."""
    for row, profile in enumerate(profiles):
        if row not in rows:
            axes.plot(THRESHOLDS, profile, drawstyle="steps-post", zorder=1.2, **REFERENCE_LINE)
    stride = len(THRESHOLDS) // MARKER_COUNT
    for order, row in enumerate(rows):
        markers = (order * stride // len(rows), stride)
        look = styles[row].plot_keywords()
        axes.plot(THRESHOLDS, profiles[row], label=labels[row], drawstyle="steps-post", markevery=markers, **look)
    SHARE_SCALE.apply(axes)
    axes.set_xlim(0, 1)
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)

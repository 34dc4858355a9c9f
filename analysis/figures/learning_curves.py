"""Learning curves of a section: validation loss, and accuracy if there is one, against the training step."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures.axes import MIN_BAND_SEEDS, SHARE_SCALE, AxisScale, fit_scale, set_step_axis, set_value_axis
from analysis.figures.histories import (
    COLUMNS,
    DivergedRun,
    Histories,
    History,
    SeedCurve,
    all_histories,
    end_steps,
    finite_column,
    load_histories,
    load_history,
)
from analysis.figures.labels import Label, add_labels, labels_height, labels_margin
from analysis.formatting import format_count, format_number
from analysis.grouping import Section
from analysis.style import REFERENCE_COLOR, TEXT_COLOR, family, in_family_order, theme

__all__ = [
    "COLUMNS",
    "DivergedRun",
    "Histories",
    "History",
    "SeedCurve",
    "alt_text",
    "caption",
    "draw_learning_curves",
    "finite_column",
    "history_scale",
    "load_histories",
    "load_history",
]

WIDTH, LEFT, BOTTOM, TOP, PANEL_GAP = 440.0, 50.0, 36.0, 8.0, 18.0
"""Points: width of the figure, its margins, and the gap between panels."""
MIN_PANEL_HEIGHT = 180.0
"""The least height of a panel, in points; many labels make it higher."""
MIN_FAMILY_HEIGHT, FAMILY_GAP, COLUMN_GAP, TITLE_HEIGHT = 84.0, 26.0, 46.0, 12.0
"""Points: the least height of a family's panels, the gaps between families and columns, and the height of a title."""
INNER_LABEL = 30.0
"""Points from the axes to the center of its name, between two columns."""
MAX_ROWS = 8
"""Most rows whose curves one panel can show; above, each family has panels of its own."""
MARKER_COUNT = 6
"""Markers along a curve."""
TRIVIAL_LINE: Mapping[str, Any] = {"color": TEXT_COLOR, "linestyle": (0, (4, 2)), "linewidth": 1.1, "marker": ""}
FLOOR_LINE: Mapping[str, Any] = {"color": TEXT_COLOR, "linestyle": (0, (1, 2)), "linewidth": 1.1, "marker": ""}
SEED_LINE: Mapping[str, Any] = {"linewidth": 0.7, "alpha": 0.55, "marker": "", "linestyle": "-"}
UNDER_WAY_LINE: Mapping[str, Any] = {"linewidth": 0.9, "alpha": 0.75, "marker": ""}
FAMILY_LINES: Any = {"lines.linewidth": 1.4, "lines.markersize": 4.5}
"""Settings for curves in the small panels of families."""
REFERENCE_LINE: Mapping[str, Any] = {"color": REFERENCE_COLOR, "linewidth": 1.0, "marker": ""}


def draw_learning_curves(section: Section, histories: Histories) -> Figure:
    """Draws a panel for each column; if there are too many rows for one panel, one for each column and family.

    Each thick curve is the mean over the seeds that did not diverge. Its 95 % interval is a band, or with few seeds,
    each of them is a thin line. A bar marks where a seed ended before others; each run that diverged is a thin line,
    which ends with a cross.

    Args:
        section: the section.
        histories: its histories, as `load_histories` returns them.
    """
    with theme():
        scales = {column: history_scale(section, column, rows) for column, rows in histories.items()}
        families = split_families(histories)
        if not families:
            return draw_columns(section, histories, scales)
        with mpl.rc_context(FAMILY_LINES):
            return draw_families(section, histories, families, scales)


def draw_columns(section: Section, histories: Histories, scales: Mapping[str, AxisScale]) -> Figure:
    """Draws a panel for each column, one below the other, with labels at the ends of its curves."""
    labels = {column: build_labels(section, column, rows, scales[column]) for column, rows in histories.items()}
    right = max(map(labels_margin, labels.values()))
    height = max(MIN_PANEL_HEIGHT, *map(labels_height, labels.values()))
    total = BOTTOM + TOP + len(histories) * (height + PANEL_GAP) - PANEL_GAP
    figure = Figure(figsize=(WIDTH / 72, total / 72))
    for index, (column, rows) in enumerate(histories.items()):
        bottom = total - TOP - height - index * (height + PANEL_GAP)
        axes = figure.add_axes((LEFT / WIDTH, bottom / total, 1 - (LEFT + right) / WIDTH, height / total))
        set_step_axis(axes, last_logged_step(histories), numbered=column == list(histories)[-1])
        set_value_axis(axes, COLUMNS[column], scales[column], WIDTH - LEFT - right)
        draw_references(axes, section, column)
        for order, history in enumerate(rows):
            plot_history(axes, history, scales[column], order / len(rows))
        add_labels(axes, labels[column])
    return figure


def draw_families(
    section: Section,
    histories: Histories,
    families: Mapping[str, Histories],
    scales: Mapping[str, AxisScale],
) -> Figure:
    """Draws panels for each family, one below the other, with a column for each metric.

    A family's curves have their colors, those of all others are light grey. The panels of a column share their scale.
    """
    last = list(histories)[-1]
    labels = {
        name: build_labels(section, last, rows[last], scales[last], with_references=index == 0)
        for index, (name, rows) in enumerate(families.items())
    }
    right = max(map(labels_margin, labels.values()))
    heights = {name: max(MIN_FAMILY_HEIGHT, labels_height(labels[name])) for name in families}
    total = TOP + sum(heights.values()) + len(families) * (FAMILY_GAP) - FAMILY_GAP + TITLE_HEIGHT + BOTTOM
    width = (WIDTH - LEFT - right - COLUMN_GAP * (len(histories) - 1)) / len(histories)
    figure = Figure(figsize=(WIDTH / 72, total / 72))
    top = total - TOP - TITLE_HEIGHT
    for index, (name, own) in enumerate(families.items()):
        for place, (column, rows) in enumerate(histories.items()):
            left, bottom = LEFT + place * (width + COLUMN_GAP), top - heights[name]
            axes = figure.add_axes((left / WIDTH, bottom / total, width / WIDTH, heights[name] / total))
            num_ticks = 5 if len(histories) == 1 else 3
            set_step_axis(axes, last_logged_step(histories), num_ticks, numbered=index == len(families) - 1)
            # Named once: the panels of a column differ in nothing but the family.
            set_value_axis(axes, COLUMNS[column] if index == len(families) // 2 else "", scales[column], width)
            if place:
                axes.yaxis.set_label_coords(-INNER_LABEL / width, 0.5)
            draw_references(axes, section, column, named=index == 0 and column != last)
            if place == 0:
                axes.set_title(name, loc="left", fontsize=9.5, fontweight="bold", pad=4)
            for history in rows:
                if history not in own[column]:
                    axes.plot(history.step, scales[column].clip(history.mean), zorder=1.2, **REFERENCE_LINE)
            for order, history in enumerate(own[column]):
                plot_history(axes, history, scales[column], order / len(own[column]), with_leader=column == last)
            if column == last:
                add_labels(axes, labels[name])
        top -= heights[name] + FAMILY_GAP
    return figure


def split_families(histories: Histories) -> dict[str, Histories]:
    """Returns the histories of each family, in the order of `FAMILIES`; empty if one panel can show all rows."""
    names = {
        history.row.label: family(history.row.experiment.architecture.name) for history in all_histories(histories)
    }
    if len(names) <= MAX_ROWS or len(set(names.values())) < 2:
        return {}
    return {
        name: {
            column: [history for history in rows if names[history.row.label] == name]
            for column, rows in histories.items()
        }
        for name in in_family_order(set(names.values()))
    }


def last_logged_step(histories: Histories) -> float:
    """Returns the last step of all histories; 1 if nothing was logged."""
    return max((step for history in all_histories(histories) for step in end_steps(history)), default=0) or 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A level that curves are compared with."""

    name: str
    value: float
    plot_keywords: Mapping[str, Any]

    @property
    def text(self) -> str:
        """The name with the value."""
        return f"{self.name} {format_number(self.value)}"


def reference_levels(section: Section, column: str) -> tuple[Reference, ...]:
    """Returns the trivial loss and the floors of a panel of the loss, or the floors of one of the accuracy.

    Args:
        section: the section.
        column: of `metrics.csv`.
    """
    floors = section.floors
    if column == "val/accuracy":
        known = {name: floor.accuracy for name, floor in floors.items() if floor.accuracy is not None}
        return tuple(Reference(name=name, value=value, plot_keywords=FLOOR_LINE) for name, value in known.items())
    if column != "val/loss":
        return ()
    levels = [Reference(name=name, value=floor.loss, plot_keywords=FLOOR_LINE) for name, floor in floors.items()]
    if section.trivial_loss is not None:
        levels.insert(0, Reference(name="trivial", value=section.trivial_loss, plot_keywords=TRIVIAL_LINE))
    return tuple(levels)


def draw_references(axes: Axes, section: Section, column: str, *, named: bool = False) -> None:
    """Draws the trivial loss and the floors across a panel, with their names above them if there are no labels."""
    for level in reference_levels(section, column):
        axes.axhline(level.value, zorder=1.5, **level.plot_keywords)
        if named:
            axes.annotate(
                level.text,
                xy=(1, level.value),
                xycoords=axes.get_yaxis_transform(),
                xytext=(-2, 2),
                textcoords="offset points",
                ha="right",
                va="bottom",
                fontsize=8,
                color=TEXT_COLOR,
            )


def plot_history(axes: Axes, history: History, scale: AxisScale, phase: float, *, with_leader: bool = True) -> None:
    """Draws the curve of a row, with its band or its seeds, the ends of seeds, and the runs that diverged.

    Args:
        axes: the axes, with the scale applied.
        history: the history of the row.
        scale: the vertical scale; values beyond it are drawn at its edge.
        phase: shift of the markers in [0, 1), so that those of curves on top of each other do not coincide.
        with_leader: whether a line leads from the end of the curve to the right edge, where its label is.
    """
    keywords = history.row.line_style.plot_keywords()
    if history.has_band:
        low, high = (scale.clip(end) for end in history.band())
        axes.fill_between(history.step, low, high, color=keywords["color"], alpha=0.11, linewidth=0)
    for seed in history.thin_seeds:
        axes.plot(seed.step, scale.clip(seed.value), color=keywords["color"], zorder=2.2, **SEED_LINE)
    stride = max(1, len(history.step) // MARKER_COUNT)
    markers = (int(phase * stride), stride)
    axes.plot(history.step, scale.clip(history.mean), markevery=markers, zorder=3, **keywords)
    for step, value in history.early_ends:
        bar = {"marker": "|", "markersize": 9, "markeredgewidth": 1.6, "markeredgecolor": keywords["color"]}
        axes.plot([step], scale.clip([value]), linestyle="", zorder=3.5, clip_on=False, **bar)
    for seed in history.under_way:
        line = {**keywords, **UNDER_WAY_LINE}
        axes.plot(seed.step, scale.clip(seed.value), zorder=2.8, **line)
    for run in history.diverged:
        last_value = run.value[-1] if len(run.value) else scale.high
        axes.plot(
            [*run.step, run.end],
            scale.clip([*run.value, last_value]),
            zorder=2.5,
            **{**keywords, "marker": "", "linewidth": 0.9},
        )
        cross = {"marker": "x", "markersize": 8, "markeredgewidth": 2, "markeredgecolor": keywords["color"]}
        axes.plot([run.end], scale.clip([last_value]), linestyle="", zorder=4, clip_on=False, **cross)
    if with_leader and history.end is not None and history.end[0] < axes.get_xlim()[1]:
        step, value = history.end
        # Leads from the end of the curve to its label at the right edge.
        leader = [step, axes.get_xlim()[1]]
        axes.plot(leader, scale.clip([value, value]), color=keywords["color"], linewidth=0.6, alpha=0.5)


def history_scale(section: Section, column: str, histories: Sequence[History]) -> AxisScale:
    """Returns the scale of a panel.

    It shows the means, the seeds that are drawn, the trivial loss and the floors, and diverged runs only if there is
    nothing else.
    """
    if column != "val/loss":
        return SHARE_SCALE
    values = [float(value) for history in histories for value in history.mean]
    seeds = [seed for history in histories for seed in (*history.thin_seeds, *history.under_way)]
    values += [float(value) for seed in seeds for value in seed.value]
    values += [value for history in histories for _, value in history.early_ends]
    values = values or [float(value) for history in histories for run in history.diverged for value in run.value]
    return fit_scale([*values, *(level.value for level in reference_levels(section, column))])


def build_labels(
    section: Section, column: str, histories: Sequence[History], scale: AxisScale, *, with_references: bool = True
) -> list[Label]:
    """Returns a label for each row, for the trivial loss and for each floor."""
    labels = [
        Label(
            text=history.row.label,
            y=scale.fraction(scale.high if history.end is None else history.end[1]),
            plot_keywords=history.row.line_style.plot_keywords(),
        )
        for history in histories
    ]
    for level in reference_levels(section, column) if with_references else ():
        labels.append(Label(text=level.text, y=scale.fraction(level.value), plot_keywords=dict(level.plot_keywords)))
    return labels


def caption(histories: Histories, floors: Sequence[str] = ()) -> str:
    """Returns the caption of the figure: what its lines, bands and marks are.

    Args:
        histories: what is drawn.
        floors: the names of the section's floors.
    """
    rows = list(all_histories(histories))
    num_seeds = max((len(history.seeds) for history in rows), default=0)
    sentences = []
    if num_seeds < 2:
        sentences.append("One seed each, and so no interval.")
    else:
        sentences.append("Thick lines are means over the seeds that did not diverge.")
    banded, thin = any(history.has_band for history in rows), any(history.thin_seeds for history in rows)
    if banded:
        sentences.append(
            "The band is the 95 % interval of the mean"
            + (f"; of rows with fewer than {MIN_BAND_SEEDS} seeds, each seed is a thin line." if thin else ".")
        )
    elif thin:
        sentences.append("Each thin line is a seed: they are too few for an interval that says anything.")
    if any(history.early_ends for history in rows):
        sentences.append("An upright bar marks where a seed ended early; from there on, the mean has its last value.")
    if any(history.diverged for history in rows):
        sentences.append("A thin line that ends with a cross is a run that diverged there.")
    if floors:
        sentences.append(f"Dotted: what cheap strategies reach ({', '.join(floors)}).")
    if split_families(histories):
        sentences.append("Each row of panels has one family in color, and all others in grey.")
    return " ".join(sentences)


def alt_text(section: Section, histories: Histories) -> str:
    """Returns the text alternative of the figure: the end of each curve."""
    sentences = []
    for column, rows in histories.items():
        ends = "; ".join(
            f"{history.row.label} {format_number(history.end[1])} at step {format_count(history.end[0])}"
            for history in rows
            if history.end
        )
        sentences.append(f"At the end, {COLUMNS[column]}: {ends or 'nothing was logged'}.")
    return f"Learning curves on {section.title}. {' '.join(sentences)}"

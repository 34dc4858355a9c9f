"""Figure of tuned against default: test scores on fresh seeds, and beside them the validation scores of all trials."""

import math
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.comparison.losses import MIN_SEEDS, Standing
from analysis.figures import labels
from analysis.figures.axes import AxisScale
from analysis.figures.labels import TICK_FONT_SIZE, max_text_width
from analysis.report.summary import format_standing
from analysis.report.tuning.rank_changes import compare_rows
from analysis.report.tuning.search_space import Axis
from analysis.report.tuning.slice_plot import DRAW_ORDER, WINNER_STYLE, marker_style, spread_offset
from analysis.report.tuning.tuned_tasks import TunedArchitecture, TunedTask, plotted_score
from analysis.style import AID_COLOR, theme

WIDTH, RIGHT, TOP, BOTTOM, PANEL_GAP = 440.0, 12.0, 8.0, 38.0, 22.0
"""Width of the figure, margins around its panels, and gap between them, in points."""
ROW_HEIGHT = 34.0
"""Height of an architecture's row in points, if its name takes at most two lines."""
NAME_LENGTH = 18
"""Characters on a line of an architecture's name."""
OFFSET, SEED_OFFSET, SPREAD = 0.2, 0.17, 0.3
"""Offset of default and tuned from the middle of a row, of seeds below their mean, and spread of trials around the
middle, as shares of a row."""
SEED_STYLE: dict[str, Any] = {"linestyle": "", "marker": ".", "markersize": 4.4, "markeredgewidth": 0, "alpha": 0.75}
"""Style of the test loss of one seed."""
TestLosses = list[tuple[TunedArchitecture, str, Standing]]
"""Architecture, `default` or `tuned`, and its test losses."""


def draw_tuned_vs_default(task: TunedTask) -> Figure | None:
    """Draws a row for each architecture; `None` if there is neither a test loss nor a trial with a loss."""
    measure = task.measure
    names = [labels.wrap_text(architecture.name, NAME_LENGTH) for architecture in task.architectures]
    test_losses = compared_losses(task)
    trial_losses = [
        loss
        for architecture in task.architectures
        for trial in architecture.study.finished_trials
        if (loss := plotted_score(architecture.study, trial)) is not None
    ]
    panels = [name for name, losses in (("test", test_losses), ("trials", trial_losses)) if losses]
    if not panels:
        return None
    row_height = max(ROW_HEIGHT, labels.LINE_HEIGHT * max(len(lines) for lines in names) + 4)
    left = 12 + max_text_width((line for lines in names for line in lines), 9)
    width = (WIDTH - left - RIGHT - PANEL_GAP * (len(panels) - 1)) / len(panels)
    height = TOP + BOTTOM + row_height * len(names)
    with theme():
        figure = Figure(figsize=(WIDTH / 72, height / 72))
        for index, name in enumerate(panels):
            x = (left + index * (width + PANEL_GAP)) / WIDTH
            panel = figure.add_axes((x, BOTTOM / height, width / WIDTH, 1 - (TOP + BOTTOM) / height))
            panel.set_ylim(len(names) - 0.5, -0.5)
            panel.set_yticks(range(len(names)), ["\n".join(lines) for lines in names], parse_math=False)
            panel.tick_params(axis="y", length=0, labelleft=index == 0)
            panel.spines["left"].set_visible(False)
            if name == "test":
                scale = measure.fit_scale(axis_values(test_losses))
                set_scale(panel, scale, f"test {measure.words}, fresh seeds")
                draw_test_losses(panel, task, test_losses, scale)
            else:
                scale = measure.fit_scale(trial_losses)
                set_scale(panel, scale, f"validation {measure.words}, trials")
                draw_trials(panel, task.architectures, scale)
    return figure


def caption(task: TunedTask) -> str:
    """Returns the caption."""
    losses = compared_losses(task)
    has_test_losses = bool(losses)
    markers = "Hollow: default; full: tuned, each at its mean; dots are seeds. " if has_test_losses else ""
    if any(interval_ends(standing) for _, _, standing in losses):
        markers += f"Bars are 95 % intervals, from {MIN_SEEDS} seeds on. "
    if any(standing.num_diverged for _, _, standing in losses):
        markers += f"Crosses are diverged seeds, at the {task.measure.words} that they are counted at. "
    subject = "On the right, every" if has_test_losses else "Every"
    words = task.measure.words
    return (
        f"{markers}{subject} point is a finished trial's validation {words}; thin crosses were pruned, at the last "
        f"{words} they reported; thick crosses diverged; the winner is the large point with a dark rim."
    )


def alt_text(task: TunedTask) -> str:
    """Describes the figure for screen readers: the test losses."""
    losses = "; ".join(
        f"{architecture.name} {kind} {format_standing(standing)}"
        for architecture, kind, standing in compared_losses(task)
    )
    return f"Tuned against default on {task.title}. Test {task.measure.words}: {losses or 'none yet'}."


def compared_losses(task: TunedTask) -> TestLosses:
    """Returns the test losses of all defaults and winners that were run, default before tuned."""
    rows = [
        (architecture, kind, row)
        for architecture in task.architectures
        for kind, row in (("default", architecture.default), ("tuned", architecture.tuned))
        if row is not None
    ]
    comparison = compare_rows(task, [row for _, _, row in rows])
    if comparison is None:
        return []
    standings = {standing.row.label: task.measure.restore(standing) for standing in comparison.standings}
    return [(architecture, kind, standings[row.label]) for architecture, kind, row in rows]


def interval_ends(standing: Standing) -> list[float]:
    """Returns the ends of the interval that is drawn; none with too few seeds."""
    if standing.n < MIN_SEEDS or standing.low is None or standing.high is None:
        return []
    return [standing.low, standing.high]


def axis_values(losses: TestLosses) -> list[float]:
    """Returns the values that the axis has to show: means, seeds, and the ends of intervals.

    What is 0 or below is left out if all means are positive, since then the axis may be logarithmic.
    """
    means = [standing.center for _, _, standing in losses]
    others = [value for _, _, standing in losses for value in standing.values]
    others += [end for _, _, standing in losses for end in interval_ends(standing)]
    return [*means, *(value for value in others if value > 0 or min(means) <= 0)]


def set_scale(panel: Axes, scale: AxisScale, label: str) -> None:
    """Sets the scale, the ticks and the label of the horizontal axis."""
    if scale.log:
        panel.set_xscale("log")
    panel.set_xlim(scale.low, scale.high)
    panel.minorticks_off()
    ticks = Axis(low=scale.low, high=scale.high, log=scale.log).ticks(5)
    values = [value_at(scale, position) for position, _ in ticks]
    panel.set_xticks(values, [text for _, text in ticks], fontsize=TICK_FONT_SIZE)
    panel.minorticks_off()
    panel.set_xlabel(f"{label}{' (log)' if scale.log else ''}")
    panel.grid(axis="x", visible=True)


def value_at(scale: AxisScale, fraction: float) -> float:
    """Returns the value at a fraction of an axis."""
    if scale.log:
        return float(scale.low * (scale.high / scale.low) ** fraction)
    return scale.low + fraction * (scale.high - scale.low)


def draw_test_losses(panel: Axes, task: TunedTask, losses: TestLosses, scale: AxisScale) -> None:
    """Draws default and tuned: seeds as dots, means with their intervals, and a line from one mean to the other."""
    for index, architecture in enumerate(task.architectures):
        standings = {kind: standing for owner, kind, standing in losses if owner is architecture}
        color = architecture.line_style.color
        same = architecture.tuned is architecture.default
        heights = {kind: index + (0 if same else OFFSET if kind == "tuned" else -OFFSET) for kind in standings}
        if len(standings) == 2 and not same:
            x = scale.clip([standings["default"].center, standings["tuned"].center])
            panel.plot(x, [heights["default"], heights["tuned"]], color=AID_COLOR, linewidth=0.8, marker="", zorder=2)
        for kind, standing in standings.items():
            if same and kind == "default":
                continue
            style: dict[str, Any] = {**architecture.line_style.plot_keywords(), "linestyle": ""}
            if kind == "default":
                style |= {"markerfacecolor": "white", "markeredgecolor": color, "markeredgewidth": 1.1}
            if ends := interval_ends(standing):
                panel.plot(scale.clip(ends), [heights[kind]] * 2, color=color, linewidth=1.3, marker="", zorder=2.5)
            panel.plot(scale.clip([standing.center]), [heights[kind]], clip_on=False, zorder=3, **style)
            draw_seeds(panel, architecture, standing, heights[kind], scale)


def draw_seeds(
    panel: Axes, architecture: TunedArchitecture, standing: Standing, height: float, scale: AxisScale
) -> None:
    """Draws each seed below the mean: a dot, or a thick cross if it diverged, at the loss that it is counted at."""
    diverged = [not math.isfinite(run.test_metric(architecture.measure.name)) for run in standing.row.runs]
    for state, style in (
        (False, {**SEED_STYLE, "color": architecture.line_style.color}),
        (True, marker_style(architecture, "diverged")),
    ):
        values = [value for value, is_diverged in zip(standing.values, diverged, strict=True) if is_diverged is state]
        if values:
            panel.plot(scale.clip(values), [height + SEED_OFFSET] * len(values), clip_on=False, zorder=2.7, **style)


def draw_trials(panel: Axes, architectures: Sequence[TunedArchitecture], scale: AxisScale) -> None:
    """Draws the losses of all finished trials, spread within the row of their architecture."""
    for index, architecture in enumerate(architectures):
        study = architecture.study
        for state in DRAW_ORDER:
            losses = [
                (architecture.measure.worst_end(scale) if state == "diverged" else plotted_score(study, trial), trial)
                for trial in study.trials_in(state)
                if trial.number != study.winner
            ]
            points = [(loss, index + SPREAD * spread_offset(trial)) for loss, trial in losses if loss is not None]
            x, heights = scale.clip([loss for loss, _ in points]), [height for _, height in points]
            panel.plot(x, heights, clip_on=False, **marker_style(architecture, state))
        if architecture.best is not None:
            style = {**marker_style(architecture, "complete"), **WINNER_STYLE}
            panel.plot(scale.clip([architecture.best]), [index], clip_on=False, **style)

"""Figure of tuned against default: test losses on fresh seeds, and beside them the validation losses of all trials."""

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures import labels
from analysis.figures.axes import AxisScale, fit_scale
from analysis.figures.labels import TICK_FONT_SIZE, max_text_width
from analysis.formatting import format_interval
from analysis.report.tuning.search_space import Axis
from analysis.report.tuning.slice_plot import DRAW_ORDER, WINNER_STYLE, marker_style, spread_offset
from analysis.report.tuning.tuned_tasks import TunedArchitecture, TunedTask, plotted_loss
from analysis.statistics import Mean
from analysis.style import AID_COLOR, theme

WIDTH, RIGHT, TOP, BOTTOM, PANEL_GAP = 440.0, 12.0, 8.0, 38.0, 22.0
"""Width of the figure, margins around its panels, and gap between them, in points."""
ROW_HEIGHT = 34.0
"""Height of an architecture's row in points, if its name takes at most two lines."""
NAME_LENGTH = 18
"""Characters on a line of an architecture's name."""
OFFSET, SPREAD = 0.13, 0.3
"""Offset of default and tuned from the middle of a row, and spread of trials around it, as shares of a row."""
TestLosses = list[tuple[TunedArchitecture, str, Mean]]
"""Architecture, `default` or `tuned`, and the mean test loss."""


def draw_tuned_vs_default(task: TunedTask) -> Figure | None:
    """Draws a row for each architecture; `None` if there is neither a test loss nor a trial with a loss."""
    names = [labels.wrap_text(architecture.name, NAME_LENGTH) for architecture in task.architectures]
    test_losses = mean_test_losses(task)
    trial_losses = [
        loss
        for architecture in task.architectures
        for trial in architecture.study.finished_trials
        if (loss := plotted_loss(architecture.study, trial)) is not None
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
                scale = fit_scale(axis_values(test_losses))
                set_scale(panel, scale, "test loss, fresh seeds")
                draw_test_losses(panel, task, test_losses, scale)
            else:
                scale = fit_scale(trial_losses)
                set_scale(panel, scale, "validation loss, trials")
                draw_trials(panel, task.architectures, scale)
    return figure


def caption(task: TunedTask) -> str:
    """Returns the caption."""
    has_test_losses = bool(mean_test_losses(task))
    markers = "Hollow: default; full: tuned; bars are 95 % intervals. " if has_test_losses else ""
    subject = "On the right, every" if has_test_losses else "Every"
    return (
        f"{markers}{subject} point is a finished trial's validation loss; thin crosses were pruned, at the last loss "
        "they reported; thick crosses diverged; the winner is the large point with a dark rim."
    )


def alt_text(task: TunedTask) -> str:
    """Describes the figure for screen readers: the test losses."""
    losses = "; ".join(
        f"{architecture.name} {kind} {format_interval(mean)}" for architecture, kind, mean in mean_test_losses(task)
    )
    return f"Tuned against default on {task.title}. Test losses: {losses or 'none yet'}."


def mean_test_losses(task: TunedTask) -> TestLosses:
    """Returns the mean test losses of all rows that have one, default before tuned."""
    rows = [
        (architecture, kind, row)
        for architecture in task.architectures
        for kind, row in (("default", architecture.default), ("tuned", architecture.tuned))
        if row is not None
    ]
    return [(architecture, kind, mean) for architecture, kind, row in rows if (mean := row.test_mean("loss")).n]


def axis_values(losses: TestLosses) -> list[float]:
    """Returns the values that the axis has to show: means, and the ends of intervals.

    Ends at or below 0 are left out if all means are positive, since then the axis may be logarithmic.
    """
    means = [mean.mean for _, _, mean in losses]
    ends = [end for _, _, mean in losses for end in (mean.low, mean.high)]
    return [*means, *(end for end in ends if end > 0 or min(means) <= 0)]


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
    """Draws the losses of default and tuned with their intervals, and a line from one to the other."""
    for index, architecture in enumerate(task.architectures):
        means = {kind: mean for owner, kind, mean in losses if owner is architecture}
        color = architecture.line_style.color
        same = architecture.tuned is architecture.default
        heights = {kind: index + (0 if same else OFFSET if kind == "tuned" else -OFFSET) for kind in means}
        if len(means) == 2 and not same:
            x = scale.clip([means["default"].mean, means["tuned"].mean])
            panel.plot(x, [heights["default"], heights["tuned"]], color=AID_COLOR, linewidth=0.8, marker="", zorder=2)
        for kind, mean in means.items():
            style: dict[str, Any] = {**architecture.line_style.plot_keywords(), "linestyle": ""}
            if kind == "default" and not same:
                style |= {"markerfacecolor": "white", "markeredgecolor": color, "markeredgewidth": 1.1}
            if mean.half_width is not None:
                ends = scale.clip([mean.low, mean.high])
                panel.plot(ends, [heights[kind]] * 2, color=color, linewidth=1.3, marker="", zorder=2.5)
            panel.plot(scale.clip([mean.mean]), [heights[kind]], clip_on=False, zorder=3, **style)


def draw_trials(panel: Axes, architectures: Sequence[TunedArchitecture], scale: AxisScale) -> None:
    """Draws the losses of all finished trials, spread within the row of their architecture."""
    for index, architecture in enumerate(architectures):
        study = architecture.study
        for state in DRAW_ORDER:
            losses = [
                (scale.high if state == "diverged" else plotted_loss(study, trial), trial)
                for trial in study.trials_in(state)
                if trial.number != study.winner
            ]
            points = [(loss, index + SPREAD * spread_offset(trial)) for loss, trial in losses if loss is not None]
            x, heights = scale.clip([loss for loss, _ in points]), [height for _, height in points]
            panel.plot(x, heights, clip_on=False, **marker_style(architecture, state))
        if architecture.best is not None:
            style = {**marker_style(architecture, "complete"), **WINNER_STYLE}
            panel.plot(scale.clip([architecture.best]), [index], clip_on=False, **style)

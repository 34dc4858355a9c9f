"""The figure of tuned against default: test losses on fresh seeds, and beside them the losses of all trials."""

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures import labels
from analysis.figures.axes import AxisScale, fit_scale
from analysis.figures.labels import TICK, widest
from analysis.formatting import format_interval
from analysis.report.tuning.search_space import Axis
from analysis.report.tuning.slice_plot import DRAWN, WINNER, mark
from analysis.report.tuning.tuned import TunedArchitecture, TunedTask, shown_loss
from analysis.statistics import Mean
from analysis.style import FAINT, theme

WIDTH, RIGHT, TOP, BOTTOM, APART = 440.0, 12.0, 8.0, 38.0, 22.0
"""Points: of the figure, of what surrounds its panels, and between the two."""
ROW = 34.0
"""Points from one architecture to the next; more where a name takes more than two lines."""
NAME = 18
"""Characters to a line of an architecture's name."""
OFFSET, STRIP = 0.13, 0.3
"""How far default and tuned stand apart, and how far trials are spread, as a share of a row."""
Losses = list[tuple[TunedArchitecture, str, Mean]]


def draw(subject: TunedTask) -> Figure | None:
    """Draws a row for each architecture; `None` where there is neither a test loss nor a trial with one."""
    names = [labels.wrapped(each.name, NAME) for each in subject.of]
    tested = test_losses(subject)
    found = (shown_loss(each.study, trial) for each in subject.of for trial in each.study.finished)
    tried = [loss for loss in found if loss is not None]
    panels = [name for name, values in (("test", tested), ("trials", tried)) if values]
    if not panels:
        return None
    high = max(ROW, labels.LINE * max(len(lines) for lines in names) + 4)
    left = 12 + widest((line for lines in names for line in lines), 9)
    width = (WIDTH - left - RIGHT - APART * (len(panels) - 1)) / len(panels)
    total = TOP + BOTTOM + high * len(names)
    with theme():
        figure = Figure(figsize=(WIDTH / 72, total / 72))
        for index, name in enumerate(panels):
            frame = (left + index * (width + APART)) / WIDTH, BOTTOM / total, width / WIDTH, 1 - (TOP + BOTTOM) / total
            panel = figure.add_axes(frame)
            panel.set_ylim(len(names) - 0.5, -0.5)
            panel.set_yticks(range(len(names)), ["\n".join(lines) for lines in names], parse_math=False)
            panel.tick_params(axis="y", length=0, labelleft=index == 0)
            panel.spines["left"].set_visible(False)
            if name == "test":
                across(panel, scale := fit_scale(ends(tested)), "test loss, fresh seeds")
                of_tests(panel, subject, tested, scale)
            else:
                across(panel, scale := fit_scale(tried), "validation loss, trials")
                of_trials(panel, subject.of, scale)
    return figure


def test_losses(subject: TunedTask) -> Losses:
    """The means that there are, default before tuned."""
    rows = [
        (each, kind, row)
        for each in subject.of
        for kind, row in (("default", each.default), ("tuned", each.tuned))
        if row is not None
    ]
    return [(each, kind, mean) for each, kind, row in rows if (mean := row.test("loss")).n]


def ends(tested: Losses) -> list[float]:
    """What the axis has to show: means, and the ends of intervals where they are above 0 as every loss is."""
    means = [mean.mean for _, _, mean in tested]
    return [*means, *(end for _, _, mean in tested for end in (mean.low, mean.high) if end > 0 or min(means) <= 0)]


def across(panel: Axes, scale: AxisScale, label: str) -> None:
    """Gives the horizontal axis a scale and a name."""
    if scale.log:
        panel.set_xscale("log")
    panel.set_xlim(scale.low, scale.high)
    panel.minorticks_off()
    ticks = Axis(low=scale.low, high=scale.high, log=scale.log).ticks(5)
    values = [scale.low * (scale.high / scale.low) ** x if scale.log else value(scale, x) for x, _ in ticks]
    panel.set_xticks(values, [text for _, text in ticks], fontsize=TICK)
    panel.minorticks_off()
    panel.set_xlabel(f"{label}{' (log)' if scale.log else ''}")
    panel.grid(axis="x", visible=True)


def value(scale: AxisScale, fraction: float) -> float:
    """What stands at a fraction of a linear axis."""
    return scale.low + fraction * (scale.high - scale.low)


def of_tests(panel: Axes, subject: TunedTask, tested: Losses, scale: AxisScale) -> None:
    """Default and tuned of each architecture with their intervals, and a line from one to the other."""
    for index, each in enumerate(subject.of):
        mine = {kind: mean for one, kind, mean in tested if one is each}
        same = each.tuned is each.default
        heights = {kind: index + (0 if same else OFFSET if kind == "tuned" else -OFFSET) for kind in mine}
        if len(mine) == 2 and not same:
            x = scale.clip([mine["default"].mean, mine["tuned"].mean])
            panel.plot(x, [heights["default"], heights["tuned"]], color=FAINT, linewidth=0.8, marker="", zorder=2)
        for kind, mean in mine.items():
            look: dict[str, Any] = {**each.look.line(), "linestyle": ""}
            if kind == "default" and not same:
                look |= {"markerfacecolor": "white", "markeredgecolor": each.look.colour, "markeredgewidth": 1.1}
            if mean.half is not None:
                span = scale.clip([mean.low, mean.high])
                bar: dict[str, Any] = {"color": each.look.colour, "linewidth": 1.3, "marker": ""}
                panel.plot(span, [heights[kind]] * 2, zorder=2.5, **bar)
            panel.plot(scale.clip([mean.mean]), [heights[kind]], clip_on=False, zorder=3, **look)


def of_trials(panel: Axes, of: Sequence[TunedArchitecture], scale: AxisScale) -> None:
    """The losses of all finished trials, spread by their numbers, evenly and always alike."""
    for index, each in enumerate(of):
        study = each.study
        for state in DRAWN:
            found = [
                (scale.high if state == "diverged" else shown_loss(study, trial), trial)
                for trial in study.in_state(state)
                if trial.number != study.winner
            ]
            points = [(loss, trial.number) for loss, trial in found if loss is not None]
            heights = [index + STRIP * (2 * ((number * 0.618034) % 1) - 1) for _, number in points]
            panel.plot(scale.clip([loss for loss, _ in points]), heights, clip_on=False, **mark(each, state))
        if each.best is not None:
            panel.plot(scale.clip([each.best]), [index], clip_on=False, **{**mark(each, "complete"), **WINNER})


def caption(subject: TunedTask) -> str:
    """What the figure shows, in words."""
    tested = test_losses(subject)
    said = "Hollow: default; full: tuned; bars are 95 % intervals. " if tested else ""
    where = "On the right, every" if tested else "Every"
    return (
        f"{said}{where} point is a finished trial's validation loss; thin crosses were pruned, at the last loss they "
        "reported; thick crosses diverged; the winner is the large point with a dark rim."
    )


def described(subject: TunedTask) -> str:
    """The figure for those who cannot see it."""
    told = "; ".join(f"{each.name} {kind} {format_interval(mean)}" for each, kind, mean in test_losses(subject))
    return f"Tuned against default on {subject.title}. Test losses: {told or 'none yet'}."

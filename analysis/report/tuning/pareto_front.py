"""The figure of two objectives: every complete trial, and the front that none of them passes."""

import numpy as np
from matplotlib.figure import Figure

from analysis.figures import panels
from analysis.figures.axes import DECADE, fit_scale
from analysis.figures.panels import Line, Panel
from analysis.formatting import format_number, printable
from analysis.report.tuning.slice_plot import mark
from analysis.report.tuning.tuned import TunedArchitecture, TunedTask
from analysis.style import theme
from workbench.study_files import Trial

NAMES = {"seconds": "seconds of training", "parameters": "parameters"}


def points(trials: tuple[Trial, ...]) -> np.ndarray:
    """The finite objectives of the complete ones, (trials, 2): loss, and the second."""
    values = np.array([trial.values[:2] for trial in trials if trial.values is not None], dtype=float).reshape(-1, 2)
    return np.asarray(values[np.isfinite(values).all(1)])


def front(each: TunedArchitecture) -> np.ndarray:
    """The front of a study, (trials, 2), by the second objective, cheapest first."""
    found = points(each.study.front)
    return np.asarray(found[np.argsort(found[:, 1], kind="stable")])


def drawn(subject: TunedTask) -> list[TunedArchitecture]:
    """The studies of two objectives that have a complete trial."""
    return [each for each in subject.of if len(each.study.objectives) > 1 and len(points(each.study.trials))]


def draw(subject: TunedTask) -> Figure | None:
    """Draws the fronts as steps, and the trials behind them; `None` where no study has two objectives."""
    shown = drawn(subject)
    if not shown:
        return None
    every = np.concatenate([points(each.study.trials) for each in shown])
    lines = []
    for each in shown:
        found = front(each)
        look = {**each.look.line(), "drawstyle": "steps-post"}
        lines.append(Line(label=each.name, x=found[:, 1], y=found[:, 0], look=look))
    low, high = float(every[:, 1].min()), float(every[:, 1].max())
    log = low > 0 and high / low > DECADE
    second = shown[0].study.objectives[1]
    label = f"{NAMES.get(second, printable(second))}{' (logarithmic)' if log else ''}"
    with theme():
        figure = panels.draw(
            [Panel(lines=lines, x_label=label, y_label="validation loss", log_x=log, scale=fit_scale(every[:, 0]))]
        )
        axes = figure.axes[0]
        room = (high / low) ** 0.04 if log else 0.04 * ((high - low) or abs(high) or 1.0)
        axes.set_xlim((low / room, high * room) if log else (low - room, high + room))
        for each in shown:
            found = points(each.study.trials)
            axes.plot(
                found[:, 1], np.clip(found[:, 0], *axes.get_ylim()), zorder=1.5, **{**mark(each, "complete"), **FAR}
            )
    return figure


FAR = {"markersize": 3.2, "alpha": 0.55}
"""Of trials behind the front."""
CAPTION = (
    "Each point is a complete trial, small where another is better in both. The steps are an architecture's front: the "
    "lowest validation loss that some trial had for no more than this."
)


def described(subject: TunedTask) -> str:
    """The figure for those who cannot see it: the ends of each front."""
    told = []
    for each in drawn(subject):
        found, second = front(each), printable(each.study.objectives[1])
        ends = " to ".join(
            f"{format_number(float(loss))} for {format_number(float(cost))} {second}" for loss, cost in found[[0, -1]]
        )
        told.append(f"{each.name} from {ends}")
    return f"Pareto fronts on {subject.title}. {'; '.join(told)}."

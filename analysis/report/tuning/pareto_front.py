"""Pareto front plot of studies with two objectives: every complete trial, and the front of each architecture."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from analysis.figures import panels
from analysis.figures.axes import LOG_SCALE_RATIO, fit_scale
from analysis.figures.panels import Line, Panel
from analysis.formatting import format_number, make_printable
from analysis.report.tuning.slice_plot import marker_style
from analysis.report.tuning.tuned_tasks import TunedArchitecture, TunedTask
from analysis.style import theme
from workbench.study_files import Trial

OBJECTIVE_LABELS = {"seconds": "seconds of training", "parameters": "parameters"}
"""Axis labels of second objectives."""
POINT_STYLE = {"markersize": 3.2, "alpha": 0.55}
"""Changes to the marker of a complete trial, since the front is what matters."""
CAPTION = (
    "Each point is a complete trial, small where another is better in both. The steps are an architecture's front: the "
    "lowest validation loss that some trial had for no more than this."
)


def draw_fronts(task: TunedTask) -> Figure | None:
    """Draws the fronts as steps, with all complete trials; `None` if no study has two objectives."""
    architectures = studies_with_front(task)
    if not architectures:
        return None
    all_points = np.concatenate([trial_points(architecture.study.trials) for architecture in architectures])
    lines = []
    for architecture in architectures:
        front = front_points(architecture)
        style = {**architecture.line_style.plot_keywords(), "drawstyle": "steps-post"}
        lines.append(Line(label=architecture.name, x=front[:, 1], y=front[:, 0], plot_keywords=style))
    low, high = float(all_points[:, 1].min()), float(all_points[:, 1].max())
    log = low > 0 and high / low > LOG_SCALE_RATIO
    second = architectures[0].study.objectives[1]
    label = f"{OBJECTIVE_LABELS.get(second, make_printable(second))}{' (logarithmic)' if log else ''}"
    scale = fit_scale(all_points[:, 0])
    with theme():
        figure = panels.draw_panels(
            [Panel(lines=lines, x_label=label, y_label="validation loss", log_x=log, scale=scale)]
        )
        axes = figure.axes[0]
        margin = (high / low) ** 0.04 if log else 0.04 * ((high - low) or abs(high) or 1.0)
        axes.set_xlim((low / margin, high * margin) if log else (low - margin, high + margin))
        for architecture in architectures:
            points = trial_points(architecture.study.trials)
            losses = np.clip(points[:, 0], *axes.get_ylim())
            axes.plot(points[:, 1], losses, zorder=1.5, **{**marker_style(architecture, "complete"), **POINT_STYLE})
    return figure


def alt_text(task: TunedTask) -> str:
    """Describes the figure for screen readers: the ends of each front."""
    fronts = []
    for architecture in studies_with_front(task):
        front, second = front_points(architecture), make_printable(architecture.study.objectives[1])
        ends = " to ".join(
            f"{format_number(float(loss))} for {format_number(float(cost))} {second}" for loss, cost in front[[0, -1]]
        )
        fronts.append(f"{architecture.name} from {ends}")
    return f"Pareto fronts on {task.title}. {'; '.join(fronts)}."


def studies_with_front(task: TunedTask) -> list[TunedArchitecture]:
    """Returns the architectures whose study has two objectives and a complete trial."""
    return [
        architecture
        for architecture in task.architectures
        if len(architecture.study.objectives) > 1 and len(trial_points(architecture.study.trials))
    ]


def front_points(architecture: TunedArchitecture) -> np.ndarray:
    """Returns the front of a study in ascending order of the second objective, (trials, 2)."""
    points = trial_points(architecture.study.pareto_front)
    return np.asarray(points[np.argsort(points[:, 1], kind="stable")])


def trial_points(trials: Sequence[Trial]) -> np.ndarray:
    """Returns the loss and the second objective of complete trials, if both are finite, (trials, 2)."""
    values = np.array([trial.values[:2] for trial in trials if trial.values is not None], dtype=float).reshape(-1, 2)
    return np.asarray(values[np.isfinite(values).all(1)])

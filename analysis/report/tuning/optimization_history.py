"""Optimisation history of studies: the best validation score so far against the number of finished trials."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis.figures import panels
from analysis.figures.learning_curves import reference_levels
from analysis.figures.panels import REFERENCE_LINE, Line, Panel
from analysis.formatting import format_number
from analysis.report.tuning.tuned_tasks import TunedTask, best_so_far
from analysis.style import theme


def caption(task: TunedTask) -> str:
    """Returns the caption."""
    measure = task.measure
    return (
        f"The {measure.best} validation {measure.words} of the complete trials so far; pruned and diverged trials "
        f"count as finished and {'raise' if measure.maximize else 'lower'} nothing."
    )


def draw_history(task: TunedTask) -> Figure | None:
    """Draws the curves with the trivial loss and the floors; `None` if no trial is complete."""
    lines = history_lines(task)
    if not lines:
        return None
    measure = task.measure
    levels = () if task.section is None else reference_levels(task.section, f"val/{measure.name}")
    x = np.array([1.0, max(len(line.x) for line in lines)])
    for level in levels:
        keywords = REFERENCE_LINE if level.name == "trivial" else dict(level.plot_keywords)
        lines.append(Line(label=level.text, x=x, y=np.full(2, level.value), plot_keywords=keywords))
    label = f"best validation {measure.words} so far"
    # That of losses is found by the figure, together with the trivial one.
    scale = None if measure.is_loss else measure.fit_scale(y for line in lines for y in line.y)
    with theme():
        figure = panels.draw_panels([Panel(lines=lines, x_label="finished trials", y_label=label, scale=scale)])
        figure.axes[0].xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10], integer=True))
    return figure


def alt_text(task: TunedTask) -> str:
    """Describes the figure for screen readers: the end of each curve."""
    ends = "; ".join(
        f"{line.label} {format_number(float(line.y[-1]))} after {len(line.x)}" for line in history_lines(task)
    )
    return f"Optimisation history on {task.title}. Best validation {task.measure.words} at the end: {ends}."


def history_lines(task: TunedTask) -> list[Line]:
    """Returns a step curve for each architecture with a complete trial."""
    lines = []
    for architecture in task.architectures:
        best = best_so_far(architecture.study)
        if np.isfinite(best).any():
            style = {**architecture.line_style.plot_keywords(), "drawstyle": "steps-post"}
            x = np.arange(1.0, len(best) + 1)
            lines.append(Line(label=architecture.name, x=x, y=best, plot_keywords=style))
    return lines

"""The figure of how the search went: the best validation loss so far against the number of finished trials."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis.figures import panels
from analysis.figures.panels import AID, Line, Panel
from analysis.formatting import format_number
from analysis.report.tuning.tuned import TunedTask, best_so_far
from analysis.style import theme


def lines(subject: TunedTask) -> list[Line]:
    """A step curve for each architecture that has a complete trial."""
    made = []
    for each in subject.of:
        best = best_so_far(each.study)
        if np.isfinite(best).any():
            steps = {**each.look.line(), "drawstyle": "steps-post"}
            made.append(Line(label=each.name, x=np.arange(1.0, len(best) + 1), y=best, look=steps))
    return made


def draw(subject: TunedTask) -> Figure | None:
    """Draws the curves and the trivial loss; `None` where no trial is complete."""
    drawn = lines(subject)
    if not drawn:
        return None
    trivial = None if subject.section is None else subject.section.trivial_loss
    if trivial is not None:
        x = np.array([1.0, max(len(each.x) for each in drawn)])
        drawn.append(Line(label=f"trivial {format_number(trivial)}", x=x, y=np.full(2, trivial), look=AID))
    with theme():
        figure = panels.draw([Panel(lines=drawn, x_label="finished trials", y_label="best validation loss so far")])
        figure.axes[0].xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10], integer=True))
    return figure


CAPTION = (
    "The lowest validation loss of the complete trials so far; pruned and diverged trials count as finished and lower "
    "nothing."
)


def described(subject: TunedTask) -> str:
    """The figure for those who cannot see it."""
    ends = "; ".join(f"{each.label} {format_number(float(each.y[-1]))} after {len(each.x)}" for each in lines(subject))
    return f"Optimisation history on {subject.title}. Best validation loss at the end: {ends}."

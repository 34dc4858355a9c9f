"""Figure of performance profiles: the share of runs above each score, a curve for each architecture."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from analysis.comparison.across_tasks import THRESHOLDS, Scores, performance_profile
from analysis.figures.axes import SHARE_SCALE
from analysis.style import LineStyle, theme

SIZE = (7.2, 3.4)
"""Width and height in inches."""


def draw_performance_profiles(scores: Scores, styles: Sequence[LineStyle]) -> Figure:
    """Draws the profile of each row (Agarwal et al. 2021, section 4.2).

    Args:
        scores: scores over several tasks.
        styles: line style of each row, in the order of the scores' labels.
    """
    with theme():
        figure = Figure(figsize=SIZE, layout="constrained")
        axes = figure.add_subplot()
        for row, (label, style) in enumerate(zip(scores.labels, styles, strict=True)):
            profile = performance_profile(scores, row)
            axes.plot(THRESHOLDS, profile, label=label, color=style.color, linestyle=style.dash, drawstyle="steps-post")
        SHARE_SCALE.apply(axes)
        axes.set_xlim(0, 1)
        axes.set_xlabel("score: 0 no memory, 1 the best architecture's mean")
        axes.set_ylabel("share of runs above it")
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
    return figure

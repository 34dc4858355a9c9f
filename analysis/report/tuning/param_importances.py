"""The figure of what mattered: the importance of every parameter in every study."""

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from analysis.figures import labels
from analysis.figures.labels import widest
from analysis.formatting import format_range, printable
from analysis.report.tuning.tuned import TunedTask
from analysis.style import theme

WIDTH, RIGHT, TOP, ROW = 440.0, 10.0, 6.0, 19.0
"""Points: of the figure, of what surrounds its cells, and the height of one."""
NAME, HEADING = 26, 16
"""Characters to a line of a parameter's and of an architecture's name."""


def table(subject: TunedTask) -> pd.DataFrame:
    """Importances, (parameters, architectures); NaN where it was not searched. The most important by the mean first."""
    found = {each.slug: each.study.importances for each in subject.of if each.study.importances}
    frame = pd.DataFrame({slug: pd.Series(dict(known), dtype=float) for slug, known in found.items()})
    means = frame.mean(axis=1)
    return frame.loc[sorted(frame.index, key=lambda name: (-means[name], name))]


def draw(subject: TunedTask) -> Figure | None:
    """Draws a cell for each parameter and architecture; `None` where no study says anything."""
    frame = table(subject)
    if frame.empty:
        return None
    names = {each.slug: each.name for each in subject.of}
    headings = [labels.wrapped(names[slug], HEADING) for slug in frame.columns]
    rows = [labels.wrapped(printable(name), NAME) for name in frame.index]
    left = 12 + widest((line for lines in rows for line in lines), 9)
    width = WIDTH - left - RIGHT
    longest = widest((line for lines in headings for line in lines), 9)
    # Upright where the names do not fit side by side.
    upright = longest > width / len(headings) - 4
    below = (longest if upright else labels.LINE * max(map(len, headings))) + 12
    high = ROW if all(len(lines) == 1 for lines in rows) else labels.LINE * max(map(len, rows)) + 4
    total = TOP + high * len(rows) + below
    with theme():
        figure = Figure(figsize=(WIDTH / 72, total / 72))
        axes = figure.add_axes((left / WIDTH, below / total, width / WIDTH, high * len(rows) / total))
        sns.heatmap(
            frame.to_numpy(float),
            ax=axes,
            mask=~np.isfinite(frame.to_numpy(float)),
            annot=True,
            fmt=".2f",
            annot_kws={"fontsize": 8.5},
            cmap="viridis_r",
            vmin=0,
            vmax=1,
            cbar=False,
            linewidths=1.5,
            linecolor="white",
            xticklabels=["\n".join(lines) for lines in headings],
            yticklabels=["\n".join(lines) for lines in rows],
        )
        axes.tick_params(length=0)
        axes.grid(visible=False)
        for label in (*axes.get_xticklabels(), *axes.get_yticklabels()):
            label.set_parse_math(False)
        for label in axes.get_xticklabels():
            label.set_rotation(90 if upright else 0)
        for label in axes.get_yticklabels():
            label.set_rotation(0)
    return figure


ENOUGH = 30
"""Complete trials below which importances depend on which happened to be drawn."""


def caption(subject: TunedTask) -> str:
    """What the figure shows, and from how little."""
    complete = [len(each.study.in_state("complete")) for each in subject.of if each.study.importances]
    few = f" With fewer than {ENOUGH} they are a hint, no more." if min(complete, default=ENOUGH) < ENOUGH else ""
    return (
        "How much of the differences in loss each parameter accounts for, by PED-ANOVA; the importances of an "
        "architecture add up to 1. Empty where it was not searched. From "
        f"{format_range(complete)} complete trials of each.{few}"
    )


def described(subject: TunedTask) -> str:
    """The figure for those who cannot see it: what mattered most in each study."""
    frame, names = table(subject), {each.slug: each.name for each in subject.of}
    told = "; ".join(f"{names[slug]} {printable(str(frame[slug].idxmax()))}" for slug in frame.columns)
    return f"Importances on {subject.title}. The most important parameter: {told}."

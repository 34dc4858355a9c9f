"""Parallel coordinates of a study's complete trials, lying: an axis below the other, a line down a trial."""

import math
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from scipy.stats import rankdata

from analysis.figures import labels
from analysis.figures.labels import TEXT_GAP, TICK, fitted, widest
from analysis.formatting import ABSENT, printable
from analysis.report.tuning import search_space as axes_of
from analysis.report.tuning.search_space import Axis, named, searched
from analysis.report.tuning.tuned import TunedArchitecture, loss_of
from analysis.style import FAINT, INK, theme

WIDTH, RIGHT, TOP, BOTTOM, ROW = 440.0, 30.0, 22.0, 14.0, 38.0
"""Points: of the figure, of what surrounds its axes, and from one axis to the next."""
NAME = 22
"""Characters to a line of a parameter's name."""
NAMED = 20.0
"""Points from a name to its axis: half of what stands at the first tick is between them."""
NONE = 1.08
"""Where a line runs through an axis whose parameter the trial does not have."""
MANY = 400
"""Trials from which on the lines are drawn as one image."""
COLOURS = colormaps["viridis"]


def draw(each: TunedArchitecture) -> Figure | None:
    """Draws an axis for each searched parameter and the loss; `None` with fewer than two complete trials."""
    study = each.study
    done = [(trial, loss) for trial in study.trials if (loss := loss_of(study, trial)) is not None]
    domains = [domain for domain in searched(study) if any(domain.name in trial.params for trial, _ in done)]
    if len(done) < 2 or not domains:
        return None
    losses = [loss for _, loss in done]
    given = [[trial.params[each.name] for trial, _ in done if each.name in trial.params] for each in domains]
    axes = [axes_of.of_domain(domain, values) for domain, values in zip(domains, given, strict=True)]
    axes.append(axes_of.of_values(losses))
    names = [f"{printable(each.name)}{' (log)' if each.log else ''}" for each in domains] + ["validation loss"]
    places = np.array(
        [
            [
                *(
                    axis.place(trial.params[each.name]) if each.name in trial.params else math.nan
                    for axis, each in zip(axes[:-1], domains, strict=True)
                ),
                axes[-1].place(loss),
            ]
            for trial, loss in done
        ]
    )
    absent = ~np.isfinite(places)
    lacking = absent.any(0)
    wrapped = [labels.wrapped(name, NAME)[:2] for name in names]
    left = NAMED + 6 + widest((line for lines in wrapped for line in lines), labels.SIZE)
    total = TOP + ROW * (len(axes) - 1) + BOTTOM
    with theme():
        figure = Figure(figsize=(WIDTH / 72, total / 72))
        frame = (left / WIDTH, BOTTOM / total, 1 - (left + RIGHT) / WIDTH, ROW * (len(axes) - 1) / total)
        panel = figure.add_axes(frame)
        panel.set_axis_off()
        panel.set_xlim(0, 1)
        panel.set_ylim(len(axes) - 1, 0)
        lines(panel, np.where(absent, NONE, places), losses, winner=[trial.number == study.winner for trial, _ in done])
        for row, (axis, text) in enumerate(zip(axes, wrapped, strict=True)):
            ruled(panel, row, axis, "\n".join(text), lacking=bool(lacking[row]))
    return figure


def lines(panel: Axes, places: np.ndarray, losses: list[float], winner: list[bool]) -> None:
    """A line for each trial, by the rank of its loss: the darker, the lower, and those on top."""
    ranks = rankdata(losses, method="average")
    share = (ranks - 1) / max(1, len(losses) - 1)
    order = sorted(range(len(losses)), key=lambda index: (-share[index], index))
    rows = np.arange(places.shape[1])
    segments = [np.column_stack([places[index], rows]) for index in order]
    colours = [COLOURS(0.92 * float(share[index])) for index in order]
    drawn = LineCollection(segments, colors=colours, linewidths=0.9, alpha=0.75, clip_on=False, zorder=2)
    drawn.set_rasterized(len(losses) > MANY)
    panel.add_collection(drawn, autolim=False)
    for index in np.flatnonzero(winner):
        panel.plot(places[index], rows, color=COLOURS(0.0), linewidth=2.6, marker="", clip_on=False, zorder=3)


def ruled(panel: Axes, row: int, axis: Axis, name: str, *, lacking: bool) -> None:
    """One axis: its line, its ticks with what stands at them, and the parameter's name to its left."""
    panel.plot([0, 1], [row, row], color=FAINT, linewidth=0.8, marker="", clip_on=False, zorder=2.5)
    found = list(axis.ticks(6))
    points = panel.get_window_extent().width / panel.figure.dpi * 72
    texts = [text for _, text in found]
    if axis.choices is not None:
        texts = [fitted(named(text), points / len(found) - TEXT_GAP) for text in texts]
    if lacking:
        found.append((NONE, ""))
        texts.append(ABSENT)
    for (x, _), text in zip(found, texts, strict=True):
        if not math.isfinite(x):
            continue
        panel.plot([x, x], [row - 0.06, row + 0.06], color=INK, linewidth=0.8, marker="", clip_on=False, zorder=4)
        box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.6}
        where: dict[str, Any] = {"ha": "center", "va": "bottom", "zorder": 5, "bbox": box}
        panel.text(x, row - 0.1, text, fontsize=TICK, color=INK, parse_math=False, **where)
    panel.text(-NAMED / points, row, name, ha="right", va="center", fontsize=labels.SIZE, parse_math=False)

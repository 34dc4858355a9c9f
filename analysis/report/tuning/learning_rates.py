"""Learning-rate window of each architecture: at which rates it comes within 5 % of its best validation score.

Source: on how narrow such windows can be, and how they confound comparisons, arXiv 2508.19029.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from analysis.figures import panels
from analysis.figures.panels import Line, Panel
from analysis.formatting import join_names
from analysis.report.tuning.slice_plot import marker_style
from analysis.report.tuning.tuned_tasks import TunedArchitecture, TunedTask, final_score
from analysis.style import theme

PARAMETER = "learning_rate"
TOLERANCE = 0.05
"""Difference from the best score, as a share of it, up to which a rate is in the window."""
MAX_GRID = 12
"""Most different rates that count one by one; of more, those of a quarter of a decade count together."""
BINS_PER_DECADE = 4
WINDOW_STYLE = {"linewidth": 8.0, "alpha": 0.3, "solid_capstyle": "round", "marker": "", "linestyle": "-", "zorder": 2}
"""Changes to the line of an architecture along its window."""
SINGLE_STYLE = {**WINDOW_STYLE, "marker": "o", "markersize": 10.0, "markeredgewidth": 0.0}
"""Changes to it where the window is a single rate."""
MARGIN = 0.04
"""Space beyond the ends of the horizontal axis, as a share of its length."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLevel:
    """Trials with one learning rate, or with rates close together."""

    trials: tuple[tuple[float, float], ...]
    """Rate and score of each trial that was completed."""
    rates: tuple[float, ...]
    """Rates of all finished trials, those given up and diverged included, in ascending order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RateWindow:
    """The learning rates around the best one at which the score stays within the tolerance of the best."""

    low: float
    high: float
    best_rate: float
    best: float
    """The score at the best rate."""
    is_open_below: bool
    """Whether no lower rate was tried, so that the window may go on there."""
    is_open_above: bool

    @property
    def factor(self) -> float:
        """How many times the lowest rate the highest is."""
        return self.high / self.low


def rate_levels(trials: Iterable[tuple[float, float | None]]) -> list[RateLevel]:
    """Groups trials by learning rate, in ascending order.

    Of at most `MAX_GRID` different rates each is a level; of more, as random search has them, the rates of a quarter of
    a decade together.

    Args:
        trials: rate and score of each finished trial; the score is `None` if it was given up or diverged.
    """
    trials = sorted(trials, key=lambda trial: trial[0])
    is_grid = len({rate for rate, _ in trials}) <= MAX_GRID
    by_level: dict[float, list[tuple[float, float | None]]] = {}
    for rate, score in trials:
        level = rate if is_grid else math.floor(math.log10(rate) * BINS_PER_DECADE + 1e-9)
        by_level.setdefault(level, []).append((rate, score))
    return [
        RateLevel(
            trials=tuple((rate, score) for rate, score in members if score is not None),
            rates=tuple(rate for rate, _ in members),
        )
        for members in by_level.values()
    ]


def best_trial(level: RateLevel, *, maximize: bool) -> tuple[float, float] | None:
    """Returns the rate and the score of the best trial of a level; `None` if none was completed."""
    if not level.trials:
        return None
    return (max if maximize else min)(level.trials, key=lambda trial: trial[1])


def find_window(levels: Sequence[RateLevel], *, maximize: bool) -> RateWindow | None:
    """Returns the window: from the best trial on, as far as every level has a trial within the tolerance.

    Other parameters were searched at the same time, so that a level counts by the best of its trials.

    Args:
        levels: in ascending order.
        maximize: whether more of the score is better.

    Returns:
        The window; `None` if fewer than two levels were tried, or no trial was completed.
    """
    found = [best_trial(level, maximize=maximize) for level in levels]
    completed = [(index, trial) for index, trial in enumerate(found) if trial is not None]
    if len(levels) < 2 or not completed:
        return None
    sign = -1 if maximize else 1
    start, (best_rate, best) = min(completed, key=lambda item: sign * item[1][1])
    bound = sign * best + TOLERANCE * abs(best)

    def is_within(trial: tuple[float, float] | None) -> bool:
        return trial is not None and sign * trial[1] <= bound

    first = last = start
    while first > 0 and is_within(found[first - 1]):
        first -= 1
    while last < len(levels) - 1 and is_within(found[last + 1]):
        last += 1
    rates = [trial[0] for level in levels[first : last + 1] for trial in level.trials if is_within(trial)]
    return RateWindow(
        low=min(rates),
        high=max(rates),
        best_rate=best_rate,
        best=best,
        # Within the outermost level, rates beyond the window may have been tried and found worse.
        is_open_below=first == 0 and min(rates) == levels[0].rates[0],
        is_open_above=last == len(levels) - 1 and max(rates) == levels[-1].rates[-1],
    )


def levels_of(architecture: TunedArchitecture) -> list[RateLevel]:
    """Returns the levels of a study's finished trials that have a learning rate."""
    study = architecture.study
    trials = [(trial.params.get(PARAMETER), final_score(study, trial)) for trial in study.finished_trials]
    return rate_levels(
        (float(rate), score)
        for rate, score in trials
        if isinstance(rate, int | float) and math.isfinite(rate) and rate > 0
    )


def windows(task: TunedTask) -> list[tuple[TunedArchitecture, RateWindow]]:
    """Returns the window of each architecture that has one and is judged as the task is."""
    found = [
        (architecture, find_window(levels_of(architecture), maximize=task.measure.maximize))
        for architecture in task.architectures
        if architecture.measure == task.measure
    ]
    return [(architecture, window) for architecture, window in found if window is not None]


def describe_windows(task: TunedTask) -> str:
    """Names the widest and the narrowest window, with their rates; empty if no rate was searched."""
    found = sorted(windows(task), key=lambda item: (-item[1].factor, item[0].name))
    if not found:
        return ""
    within = f"within 5 % of {'its' if len(found) == 1 else 'their'} best validation {task.measure.words}"
    (widest, window), (narrowest, other) = found[0], found[-1]
    if len(found) == 1:
        return f"{widest.name} comes {within} at the learning rates {describe_window(window)}."
    if window == other or math.isclose(window.factor, other.factor):
        names = [f"{architecture.name} ({describe_window(each)})" for architecture, each in found]
        if math.isclose(window.factor, 1):
            return f"No architecture has two learning rates among its trials {within}: {join_names(names)}."
        return f"The windows of learning rates {within} are equally wide: {join_names(names)}."
    return (
        f"The window of learning rates {within} is widest for {widest.name} ({describe_window(window)}) and narrowest "
        f"for {narrowest.name} ({describe_window(other)})."
    )


def describe_window(window: RateWindow) -> str:
    """Describes a window by its ends, and says where nothing was tried beyond them.

    Example:
        >>> describe_window(
        ...     RateWindow(low=0.001, high=0.004, best_rate=0.002, best=0.1, is_open_below=False, is_open_above=True)
        ... )
        '0.001 to 0.004, a factor of 4 or more: no higher one was tried'
    """
    sides = [side for side, is_open in (("lower", window.is_open_below), ("higher", window.is_open_above)) if is_open]
    untried = f": no {' or '.join(sides)} one was tried" if sides else ""
    if window.low == window.high:
        return f"{window.low:.2g} alone{untried}"
    factor = f"{float(f'{window.factor:.2g}'):g}"
    return f"{window.low:.2g} to {window.high:.2g}, a factor of {factor}{' or more' if sides else ''}{untried}"


def caption(task: TunedTask) -> str:
    """Returns the caption."""
    measure = task.measure
    return (
        f"The {measure.best} validation {measure.words} of the trials at a learning rate, whatever else was searched "
        f"at the same time; of more than {MAX_GRID} rates, those of a quarter of a decade together, at the best one's. "
        f"Broad lines, and a ring around a single rate: within 5 % of an architecture's {measure.best}. Crosses at the "
        f"{'lower' if measure.maximize else 'upper'} edge: every trial was given up or diverged."
    )


def draw_windows(task: TunedTask) -> Figure | None:
    """Draws the score against the learning rate, with each window broader; `None` if no rate was searched."""
    found = windows(task)
    if not found:
        return None
    measure = task.measure
    curves = [(architecture, window, levels_of(architecture)) for architecture, window in found]
    lines = []
    for architecture, _, levels in curves:
        points = np.array([point for level in levels if (point := best_trial(level, maximize=measure.maximize))])
        style = architecture.line_style.plot_keywords()
        lines.append(
            Line(label=architecture.name, x=points[:, 0], y=points[:, 1], plot_keywords=style, mark_every_point=True)
        )
    scale = measure.fit_scale(float(value) for line in lines for value in line.y)
    rates = [rate for _, _, levels in curves for level in levels for rate in level.rates]
    panel = Panel(
        lines=lines,
        x_label="learning rate (logarithmic)",
        y_label=f"validation {measure.words}",
        log_x=True,
        scale=scale,
    )
    with theme():
        figure = panels.draw_panels([panel])
        axes = figure.axes[0]
        margin = (max(rates) / min(rates)) ** MARGIN
        axes.set_xlim(min(rates) / margin, max(rates) * margin)
        for (architecture, window, levels), line in zip(curves, lines, strict=True):
            inside = (line.x >= window.low) & (line.x <= window.high)
            style = {**line.plot_keywords, **(SINGLE_STYLE if window.low == window.high else WINDOW_STYLE)}
            # The ends of the window may be trials beside the best of their level.
            x = np.array([window.low, *line.x[inside], window.high])
            axes.plot(x, scale.clip(np.interp(np.log(x), np.log(line.x), line.y)), **style)
            lost = [math.sqrt(level.rates[0] * level.rates[-1]) for level in levels if not level.trials]
            if lost:
                edge = [measure.worst_end(scale)] * len(lost)
                axes.plot(lost, edge, clip_on=False, **marker_style(architecture, "diverged"))
    return figure


def alt_text(task: TunedTask) -> str:
    """Describes the figure for screen readers: the window of each architecture."""
    texts = [f"{architecture.name} {describe_window(window)}" for architecture, window in windows(task)]
    return f"Validation {task.measure.words} against the learning rate on {task.title}. Windows: {'; '.join(texts)}."

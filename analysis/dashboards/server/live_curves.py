"""The learning curves so far: the report's figures, of runs that are still under way."""

import io
import threading
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import matplotlib as mpl
import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure

from analysis.dashboards.server.progress import FolderProgress, Group
from analysis.dashboards.server.run_status import ENDED, RunStatus, shorten
from analysis.figures import learning_curves
from analysis.figures.learning_curves import History, Lost, Panels, finite
from analysis.grouping import Section, sections, variant_key
from analysis.report import output_files
from analysis.style import NO_METADATA, theme
from workbench import tasks
from workbench.results import Run

REST = 10.0
"""Drawing takes at most one part in so many of the time of one core."""
LEAST_SECONDS = 4.0
"""Between one drawing and the next."""
SEPARATE: Mapping[str, Any] = {"marker": "", "linewidth": 0.9, "alpha": 0.75, "zorder": 2.8}


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnFigure:
    """The figure of a group."""

    title: str
    svg: Markup | None
    """`None` where it could not be drawn."""
    caption: str


class LiveCurves:
    """Figures, drawn again when there is something new, and rarely enough not to slow down what is being trained."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, tuple[Any, DrawnFigure]] = {}
        self._drawn: tuple[DrawnFigure, ...] = ()
        self._key: Any = None
        self._next = 0.0
        self._trivial: dict[str, float | None] = {}

    @property
    def begun(self) -> bool:
        """Whether anything was drawn yet."""
        return self._key is not None

    def now(self, progress: FolderProgress) -> tuple[DrawnFigure, ...]:
        """The figures: new ones where something has changed and it is time, or else the last ones."""
        # The first is waited for; later on, one of those who ask draws, and the others have what there is.
        if not self._lock.acquire(blocking=not self.begun):
            return self._drawn
        try:
            key = (tuple(signature(group) for group in progress.groups), roles(progress))
            if key != self._key and time.monotonic() >= self._next:
                # What it costs, and not how long others have kept it waiting.
                began = time.thread_time()
                self._drawn, self._key = self._draw(progress), key
                self._next = time.monotonic() + max(LEAST_SECONDS, REST * (time.thread_time() - began))
            return self._drawn
        finally:
            self._lock.release()

    def _draw(self, progress: FolderProgress) -> tuple[DrawnFigure, ...]:
        groups = progress.groups
        shown = {group.key: drawable_runs(group.runs) for group in groups}
        runs = [seen.run for each in shown.values() for seen in each]
        try:
            # All at once, so that an architecture has one look in all figures.
            found = {key_of(section.runs[0]): section for section in sections(self._completed(runs), progress.studies)}
        except Exception as problem:
            return (DrawnFigure(title="", svg=None, caption=f"The curves cannot be drawn: {problem}"),)
        names = frozenset(run.experiment.architecture.name for run in runs)
        known = {
            group.key: self._figure(
                group, found[group.key], shown[group.key], (signature(group), names, roles(progress))
            )
            for group in groups
            if group.key in found
        }
        self._known = known
        return tuple(drawn for _, drawn in known.values() if drawn.svg is not None or drawn.caption)

    def _figure(self, group: Group, section: Section, shown: Sequence[RunStatus], key: Any) -> tuple[Any, DrawnFigure]:
        if group.key in self._known and self._known[group.key][0] == key:
            return self._known[group.key]
        try:
            return key, draw_section(section, shown)
        except Exception as problem:
            why = shorten(problem, shown[0].run.folder)
            return key, DrawnFigure(title=section.title, svg=None, caption=f"The curves cannot be drawn: {why}")

    def _completed(self, runs: Sequence[Run]) -> list[Run]:
        """The runs, each with the loss of the best answer without memory, which only finished ones have written."""
        for run in runs:
            if run.result["trivial_loss"] is not None:
                self._trivial[key_of(run)] = run.result["trivial_loss"]
        for run in runs:
            if key_of(run) not in self._trivial:
                self._trivial[key_of(run)] = trivial(run)
        return [
            replace(run, result={**run.result, "trivial_loss": self._trivial[key_of(run)]})
            if run.result["trivial_loss"] is None
            else run
            for run in runs
        ]


def key_of(run: Run) -> str:
    """Of the group that a run belongs to."""
    return variant_key(run.experiment.task.name, run.experiment.task.options)


def signature(group: Group) -> Any:
    """What changes whenever the figure of a group does."""
    return group.key, tuple((seen.folder, seen.state, seen.stamp) for seen in group.runs if seen.stamp is not None)


def roles(progress: FolderProgress) -> Any:
    """What changes whenever a configuration comes to be called a study's winner."""
    return tuple((study.name, study.winner_identity, study.default_identity) for study in progress.studies)


def drawable_runs(runs: Sequence[RunStatus]) -> list[RunStatus]:
    """The runs that have curves."""
    return [seen for seen in runs if seen.experiment is not None and seen.folder is not None and seen.stamp is not None]


def trivial(run: Run) -> float | None:
    """A task's loss of the best answer without memory; `None` for one that is not the bench's own."""
    task = run.experiment.task
    if task.name not in tasks.names():
        return None
    try:
        return tasks.build(task.name, **task.options).trivial_loss
    except Exception:
        return None


def draw_section(section: Section, shown: Sequence[RunStatus]) -> DrawnFigure:
    """The report's figure, of what there is so far.

    A mean goes as far as all its seeds go. So that the curve of those that are finished does not shrink to where the
    next one stands, this one is a thin line of its own until it is finished too. While none is finished, the one that
    is farthest stands for the mean.
    """
    known = {seen.folder: seen for seen in shown}
    apart: dict[str, list[Run]] = defaultdict(list)
    rows = []
    for row in section.rows:
        whole = tuple(run for run in row.runs if known[run.folder].state in ENDED)
        under_way = [run for run in row.runs if run not in whole]
        if under_way and all(run.diverged for run in whole):
            farthest = max(under_way, key=lambda run: known[run.folder].made)
            under_way.remove(farthest)
            whole = (*whole, farthest)
        apart[row.label] = under_way
        rows.append(replace(row, runs=whole))
    means = replace(section, rows=tuple(rows))
    panels = thin_panels(learning_curves.panels(means))
    if not panels:
        return DrawnFigure(title=section.title, svg=None, caption="")
    figure = learning_curves.draw(means, panels)
    with_unique_ids(figure, means, panels, apart)
    text = io.StringIO()
    with theme(), mpl.rc_context({"svg.hashsalt": section.anchor}):
        figure.savefig(text, format="svg", metadata=NO_METADATA)
    caption = learning_curves.caption(panels)
    if any(apart.values()):
        caption += " Thin lines without an end mark are seeds under way; they join the mean when they are finished."
    image = output_files.inline(text.getvalue(), section.anchor, learning_curves.described(means, panels))
    return DrawnFigure(title=section.title, svg=image, caption=caption)


def with_unique_ids(figure: Figure, section: Section, panels: Panels, apart: Mapping[str, Sequence[Run]]) -> None:
    """Draws runs that are in no mean into the panels of a figure."""
    with theme():
        for axes, (column, histories) in zip(figure.axes, panels.items(), strict=True):
            scale = learning_curves.scale(section, column, histories)
            for row in section.rows:
                for run in apart.get(row.label, ()):
                    values = finite(run, column)
                    if values is not None and len(values):
                        values = values.iloc[kept_indices(values.to_numpy(float))]
                        line = {**row.look.line(), **SEPARATE}
                        axes.plot(values.index.to_numpy(float), scale.clip(values.to_numpy(float)), **line)


POINTS = 1000
"""Of a line, about; a figure is some hundred pixels wide."""


def thin_panels(drawn: Panels) -> Panels:
    """What there is to draw, every line thinned."""
    return {column: [thin_history(each) for each in histories] for column, histories in drawn.items()}


def thin_history(full: History) -> History:
    """A row's curve, and the runs that were lost."""
    seen = kept_indices(full.mean)
    return replace(
        full,
        step=full.step[seen],
        mean=full.mean[seen],
        half=full.half[seen],
        lost=tuple(thin_diverged(each) for each in full.lost),
    )


def thin_diverged(full: Lost) -> Lost:
    """A run that diverged."""
    seen = kept_indices(full.value)
    return replace(full, step=full.step[seen], value=full.value[seen])


def kept_indices(values: np.ndarray) -> np.ndarray:
    """Which values are drawn: the lowest and the highest of each stretch, so that no spike is lost, and both ends.

    Args:
        values: finite, (time,).

    Returns:
        Their places, in order; all of them where there are few.
    """
    if len(values) <= POINTS:
        return np.arange(len(values))
    edges = np.linspace(0, len(values), POINTS // 2 + 1).astype(int)
    found = {0, len(values) - 1}
    for begin, end in pairwise(edges):
        stretch = values[begin:end]
        found |= {int(begin + stretch.argmin()), int(begin + stretch.argmax())}
    return np.array(sorted(found))

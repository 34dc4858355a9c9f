"""The learning curves so far: the report's figures, of runs that are still under way."""

import io
import threading
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.figure import Figure

from analysis import curves, svg
from analysis.curves import Panels
from analysis.groups import Section, sections
from analysis.histories import finite
from analysis.naming import variant_key
from analysis.style import NO_METADATA, theme
from dashboards.view import thinned
from dashboards.view.grouping import Group
from dashboards.view.progress import Progress
from dashboards.view.seen import ENDED, Seen, shortened
from workbench import tasks
from workbench.results import Run

REST = 10.0
"""Drawing takes at most one part in so many of the time of one core."""
LEAST_SECONDS = 4.0
"""Between one drawing and the next."""
SEPARATE: Mapping[str, Any] = {"marker": "", "linewidth": 0.9, "alpha": 0.75, "zorder": 2.8}


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """The figure of a group."""

    title: str
    svg: Markup | None
    """`None` where it could not be drawn."""
    caption: str


class Gallery:
    """Figures, drawn again when there is something new, and rarely enough not to slow down what is being trained."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, tuple[Any, Drawn]] = {}
        self._drawn: tuple[Drawn, ...] = ()
        self._key: Any = None
        self._next = 0.0
        self._trivial: dict[str, float | None] = {}

    @property
    def begun(self) -> bool:
        """Whether anything was drawn yet."""
        return self._key is not None

    def now(self, progress: Progress) -> tuple[Drawn, ...]:
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

    def _draw(self, progress: Progress) -> tuple[Drawn, ...]:
        groups = progress.groups
        shown = {group.key: drawable(group.runs) for group in groups}
        runs = [seen.run for each in shown.values() for seen in each]
        try:
            # All at once, so that an architecture has one look in all figures.
            found = {key_of(section.runs[0]): section for section in sections(self._completed(runs), progress.studies)}
        except Exception as problem:
            return (Drawn(title="", svg=None, caption=f"The curves cannot be drawn: {problem}"),)
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

    def _figure(self, group: Group, section: Section, shown: Sequence[Seen], key: Any) -> tuple[Any, Drawn]:
        if group.key in self._known and self._known[group.key][0] == key:
            return self._known[group.key]
        try:
            return key, drawing(section, shown)
        except Exception as problem:
            why = shortened(problem, shown[0].run.folder)
            return key, Drawn(title=section.title, svg=None, caption=f"The curves cannot be drawn: {why}")

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


def roles(progress: Progress) -> Any:
    """What changes whenever a configuration comes to be called a study's winner."""
    return tuple((study.name, study.winner_identity, study.default_identity) for study in progress.studies)


def drawable(runs: Sequence[Seen]) -> list[Seen]:
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


def drawing(section: Section, shown: Sequence[Seen]) -> Drawn:
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
    panels = thinned.panels(curves.panels(means))
    if not panels:
        return Drawn(title=section.title, svg=None, caption="")
    figure = curves.draw(means, panels)
    separate(figure, means, panels, apart)
    text = io.StringIO()
    with theme(), mpl.rc_context({"svg.hashsalt": section.anchor}):
        figure.savefig(text, format="svg", metadata=NO_METADATA)
    caption = curves.caption(panels)
    if any(apart.values()):
        caption += " Thin lines without an end mark are seeds under way; they join the mean when they are finished."
    image = svg.inline(text.getvalue(), section.anchor, curves.described(means, panels))
    return Drawn(title=section.title, svg=image, caption=caption)


def separate(figure: Figure, section: Section, panels: Panels, apart: Mapping[str, Sequence[Run]]) -> None:
    """Draws runs that are in no mean into the panels of a figure."""
    with theme():
        for axes, (column, histories) in zip(figure.axes, panels.items(), strict=True):
            scale = curves.scale(section, column, histories)
            for row in section.rows:
                for run in apart.get(row.label, ()):
                    values = finite(run, column)
                    if values is not None and len(values):
                        values = values.iloc[thinned.places(values.to_numpy(float))]
                        line = {**row.look.line(), **SEPARATE}
                        axes.plot(values.index.to_numpy(float), scale.clip(values.to_numpy(float)), **line)

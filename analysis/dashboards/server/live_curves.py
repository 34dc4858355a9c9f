"""Learning curves so far: the report's figures, including runs that are still under way."""

import io
import threading
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, TypeVar

import matplotlib as mpl
import numpy as np
from markupsafe import Markup

from analysis.dashboards.server.progress import FolderProgress, Group
from analysis.dashboards.server.run_status import ENDED, RunStatus, describe_problem
from analysis.figures import learning_curves
from analysis.figures.histories import DivergedRun, Histories, History, SeedCurve, finite_column, seed_curve
from analysis.grouping import Row, Section, build_sections
from analysis.report import output_files
from analysis.style import NO_METADATA, theme
from analysis.variant_names import variant_key
from workbench import tasks
from workbench.results import Run
from workbench.tasks.floors import write_floors

REST_FACTOR = 10.0
"""Pause after drawing, in multiples of the time that it took: drawing uses at most a tenth of one core."""
LEAST_SECONDS = 4.0
"""Least seconds between one drawing and the next."""
C = TypeVar("C", DivergedRun, SeedCurve)
MAX_POINTS = 1000
"""Approximate limit on the points of a line; a figure is a few hundred pixels wide."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnFigure:
    """The figure of a group of runs."""

    title: str
    svg: Markup | None
    """`None` if it could not be drawn."""
    caption: str


class LiveCurves:
    """Cache of figures, drawn again when there is something new, and rarely enough not to slow down the training."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_group: dict[str, tuple[Any, DrawnFigure]] = {}
        self._drawn: tuple[DrawnFigure, ...] = ()
        self._key: Any = None
        self._next = 0.0
        self._references: dict[str, dict[str, Any]] = {}

    @property
    def has_drawn(self) -> bool:
        """True once figures were drawn."""
        return self._key is not None

    def figures(self, progress: FolderProgress) -> tuple[DrawnFigure, ...]:
        """Returns the figures: new ones if something has changed and enough time has passed, else the last ones."""
        # All requests wait for the first drawing; later, one request draws while the others get the last figures.
        if not self._lock.acquire(blocking=not self.has_drawn):
            return self._drawn
        try:
            key = (tuple(group_signature(group) for group in progress.groups), study_roles(progress))
            if key != self._key and time.monotonic() >= self._next:
                # The processor time of this thread, without the time that it had to wait for others.
                began = time.thread_time()
                self._drawn, self._key = self._draw(progress), key
                self._next = time.monotonic() + max(LEAST_SECONDS, REST_FACTOR * (time.thread_time() - began))
            return self._drawn
        finally:
            self._lock.release()

    def _draw(self, progress: FolderProgress) -> tuple[DrawnFigure, ...]:
        groups = progress.groups
        drawable = {group.key: drawable_runs(group.runs) for group in groups}
        runs = [status.run for statuses in drawable.values() for status in statuses]
        try:
            # In one call, so that an architecture has the same line style in all figures.
            all_sections = build_sections(self._with_references(runs), progress.studies)
            sections = {group_key(section.runs[0]): section for section in all_sections}
        except Exception as error:
            return (DrawnFigure(title="", svg=None, caption=f"The curves cannot be drawn: {error}"),)
        names = frozenset(run.experiment.architecture.name for run in runs)
        self._by_group = {
            group.key: self._figure(
                group, sections[group.key], drawable[group.key], (group_signature(group), names, study_roles(progress))
            )
            for group in groups
            if group.key in sections
        }
        return tuple(drawn for _, drawn in self._by_group.values() if drawn.svg is not None or drawn.caption)

    def _figure(
        self, group: Group, section: Section, statuses: Sequence[RunStatus], key: Any
    ) -> tuple[Any, DrawnFigure]:
        if group.key in self._by_group and self._by_group[group.key][0] == key:
            return self._by_group[group.key]
        try:
            return key, draw_section(section, statuses)
        except Exception as error:
            why = describe_problem(error, statuses[0].run.folder)
            return key, DrawnFigure(title=section.title, svg=None, caption=f"The curves cannot be drawn: {why}")

    def _with_references(self, runs: Sequence[Run]) -> list[Run]:
        """Adds the trivial loss and the floors, which only finished runs have in their results."""
        for run in runs:
            if run.result["trivial_loss"] is not None:
                self._references[group_key(run)] = {key: run.result.get(key) for key in ("trivial_loss", "floors")}
        for run in runs:
            if group_key(run) not in self._references:
                self._references[group_key(run)] = find_references(run)
        return [
            replace(run, result={**run.result, **self._references[group_key(run)]})
            if run.result["trivial_loss"] is None
            else run
            for run in runs
        ]


def group_key(run: Run) -> str:
    """Returns the key of the group that a run belongs to."""
    task = run.experiment.task
    return variant_key(task.name, task.options, task.source)


def group_signature(group: Group) -> Any:
    """Returns a value that changes whenever the figure of a group does."""
    return group.key, tuple(
        (status.folder, status.state, status.metrics_stamp) for status in group.runs if status.metrics_stamp is not None
    )


def study_roles(progress: FolderProgress) -> Any:
    """Returns a value that changes whenever a configuration becomes a study's winner."""
    return tuple((study.name, study.winner_identity, study.default_identity) for study in progress.studies)


def drawable_runs(statuses: Sequence[RunStatus]) -> list[RunStatus]:
    """Returns the runs that have curves."""
    return [
        status
        for status in statuses
        if status.experiment is not None and status.folder is not None and status.metrics_stamp is not None
    ]


def find_references(run: Run) -> dict[str, Any]:
    """Returns the trivial loss and the floors of a run's task as results hold them; `None` for a custom task."""
    part = run.experiment.task
    if part.name in tasks.names():
        try:
            task = tasks.build(part.name, **part.options)
            return {"trivial_loss": task.trivial_loss, "floors": write_floors(task.floors)}
        except Exception:
            # Its data may be missing on this machine.
            pass
    return {"trivial_loss": None, "floors": None}


def draw_section(section: Section, statuses: Sequence[RunStatus]) -> DrawnFigure:
    """Draws the report's figure of a section from the rows so far.

    In a mean, a seed that has ended keeps its last value. Therefore only finished seeds enter it, and every other seed
    is a thin line until it finishes. While none has finished, the seed with the most steps takes the place of the mean.
    """
    by_folder = {status.folder: status for status in statuses}
    unfinished: dict[str, list[Run]] = defaultdict(list)
    rows = []
    for row in section.rows:
        in_mean = tuple(run for run in row.runs if by_folder[run.folder].state in ENDED)
        under_way = [run for run in row.runs if run not in in_mean]
        if under_way and all(run.diverged for run in in_mean):
            farthest = max(under_way, key=lambda run: by_folder[run.folder].steps)
            under_way.remove(farthest)
            in_mean = (*in_mean, farthest)
        unfinished[row.label] = under_way
        rows.append(replace(row, runs=in_mean))
    means = replace(section, rows=tuple(rows))
    histories = thin_histories(add_unfinished_runs(learning_curves.load_histories(means), unfinished))
    if not histories:
        return DrawnFigure(title=section.title, svg=None, caption="")
    figure = learning_curves.draw_learning_curves(means, histories)
    text = io.StringIO()
    with theme(), mpl.rc_context({"svg.hashsalt": section.anchor}):
        figure.savefig(text, format="svg", metadata=NO_METADATA)
    caption = learning_curves.caption(histories, tuple(section.floors))
    if any(unfinished.values()):
        caption += " Thin lines without an end mark are seeds under way; they join the mean when they are finished."
    image = output_files.inline_svg(text.getvalue(), section.anchor, learning_curves.alt_text(means, histories))
    return DrawnFigure(title=section.title, svg=image, caption=caption)


def add_unfinished_runs(histories: Histories, unfinished: Mapping[str, Sequence[Run]]) -> Histories:
    """Returns the histories with the runs of each row that are not in a mean, by its label."""

    def curves(row: Row, column: str) -> tuple[SeedCurve, ...]:
        columns = (finite_column(run, column) for run in unfinished.get(row.label, ()))
        return tuple(seed_curve(values) for values in columns if values is not None and len(values))

    return {
        column: [replace(history, under_way=curves(history.row, column)) for history in rows]
        for column, rows in histories.items()
    }


def thin_histories(histories: Histories) -> Histories:
    """Returns the histories of all columns with fewer points."""
    return {column: [thin_history(history) for history in rows] for column, rows in histories.items()}


def thin_history(history: History) -> History:
    """Returns the mean of a row, its interval and its diverged runs with fewer points."""
    indices = thin_indices(history.mean)
    return replace(
        history,
        step=history.step[indices],
        mean=history.mean[indices],
        half_width=history.half_width[indices],
        diverged=tuple(thin_curve(run) for run in history.diverged),
        seeds=tuple(thin_curve(seed) for seed in history.seeds),
        under_way=tuple(thin_curve(seed) for seed in history.under_way),
    )


def thin_curve(run: C) -> C:
    """Returns the curve of a run with fewer points."""
    indices = thin_indices(run.value)
    return replace(run, step=run.step[indices], value=run.value[indices])


def thin_indices(values: np.ndarray) -> np.ndarray:
    """Chooses the points of a line to draw: both ends, and the extremes of each stretch, so that no spike is lost.

    Args:
        values: finite, (time,).

    Returns:
        Indices in increasing order; all of them if there are few.
    """
    if len(values) <= MAX_POINTS:
        return np.arange(len(values))
    edges = np.linspace(0, len(values), MAX_POINTS // 2 + 1).astype(int)
    indices = {0, len(values) - 1}
    for begin, end in pairwise(edges):
        stretch = values[begin:end]
        indices |= {int(begin + stretch.argmin()), int(begin + stretch.argmax())}
    return np.array(sorted(indices))

"""Progress of everything in a folder of results: all runs, grouped by task, with the time left."""

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import mean
from typing import get_args

from analysis.dashboards.server.plan import Plan, load_plan
from analysis.dashboards.server.run_status import ENDED, FileCache, RunStatus, State, describe_problem, read_status
from analysis.formatting import make_printable
from analysis.grouping import build_sections, catalogue_sort_key
from analysis.variant_names import natural_sort_key, variant_key, variant_titles
from workbench import study_files
from workbench.config import TUNING_SEED
from workbench.leases import LeaseWatch
from workbench.planned_runs import PLAN_FILE
from workbench.results import Run
from workbench.run_folder import see_holder
from workbench.study_files import STUDIES_FOLDER, Study

FRESH_SECONDS = 1.0
"""Seconds for which a result is reused for other requests."""
REMAINING_STATES = ("waiting", "running", "interrupted")
"""States of runs that an active comparison has yet to train."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """All runs on one variant of a task."""

    key: str
    title: str
    runs: tuple[RunStatus, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderProgress:
    """Everything in a folder of results at one moment."""

    groups: tuple[Group, ...]
    tuning: tuple[RunStatus, ...]
    """Trials of a sweep that are running here."""
    studies: tuple[Study, ...]
    problems: tuple[str, ...]
    """Errors of unreadable files, one line each."""
    seconds_left: float | None
    """Estimated time of the remaining runs; `None` if unknown."""

    @property
    def runs(self) -> tuple[RunStatus, ...]:
        """All runs, without those of a sweep's trials."""
        return tuple(status for group in self.groups for status in group.runs)

    @property
    def state_counts(self) -> tuple[tuple[State, int], ...]:
        """The number of runs in each state that occurs."""
        counts = Counter(status.state for status in self.runs)
        return tuple((state, counts[state]) for state in get_args(State) if counts[state])

    @property
    def share(self) -> float:
        """Share of all steps that are done."""
        weights = [(status.total_steps or 0, status.share) for status in self.runs]
        total = sum(steps for steps, _ in weights)
        return sum(steps * share for steps, share in weights) / total if total else 0.0


class FolderWatcher:
    """Observer of a folder of results.

    Args:
        out: the folder.
    """

    def __init__(self, out: Path) -> None:
        self.out = out.resolve()
        self.cache = FileCache(self.out)
        self._leases = LeaseWatch()
        self._time_left = TimeLeft()
        self._lock = threading.Lock()
        self._last: tuple[float, FolderProgress] | None = None

    def current(self) -> FolderProgress:
        """Returns the progress, read from the files with a second between however many requests there are."""
        with self._lock:
            if self._last is None or time.monotonic() - self._last[0] > FRESH_SECONDS:
                progress = self._read()
                # From its end on: of thousands of runs it takes about as long itself, and a page asks several times.
                self._last = (time.monotonic(), progress)
            return self._last[1]

    def _read(self) -> FolderProgress:
        problems: list[str] = []
        started = {status.folder: status for status in self._read_runs() if status.folder is not None}
        tuning = tuple(
            status for status in started.values() if status.seed >= TUNING_SEED and status.state == "running"
        )
        untuned = {folder: status for folder, status in started.items() if status.seed < TUNING_SEED}
        plan = self._read_plan(problems)
        planned = [] if plan is None else plan.merge(untuned)
        planned_folders = {status.folder for status in planned}
        runs = [*planned, *(status for folder, status in untuned.items() if folder not in planned_folders)]
        self._time_left.observe(runs)
        studies = self._read_studies(problems)
        return FolderProgress(
            groups=group_runs(self._with_labels(list(mark_duplicates(runs)), studies)),
            tuning=tuning,
            studies=studies,
            problems=tuple(problems),
            seconds_left=self._time_left.estimate(runs),
        )

    def _read_runs(self) -> Iterator[RunStatus]:
        for folder in sorted(path for path in (self.out / "runs").glob("*/*/*/seed-*") if path.is_dir()):
            for _ in range(2):
                status = read_status(folder, self.cache, partial(see_holder, folder, self._leases))
                # Between the reading of its files and the check of its lock the run may have finished: look again.
                if status is None or status.state != "interrupted":
                    break
            if status is not None:
                yield status

    def _with_labels(self, runs: Sequence[RunStatus], studies: Sequence[Study]) -> list[RunStatus]:
        by_identity = {status.identity: status.run for status in runs if status.identity is not None}
        stamp = (frozenset(by_identity), tuple((study.winner_identity, study.default_identity) for study in studies))
        try:
            labels = self.cache.value(
                "labels", self.out, stamp, lambda: configuration_labels(by_identity.values(), studies)
            )
        except Exception:
            # A study's file may not fit the runs; the names of the architectures serve then.
            labels = {}
        return [replace(status, label=labels.get(status.identity, status.architecture)) for status in runs]

    def _read_plan(self, problems: list[str]) -> Plan | None:
        path = self.out / "comparison.yaml"
        stamp = self.cache.stamp(path)
        if stamp is None:
            return None
        try:
            # Written after the comparison, and gone if somebody deletes it.
            stamps = (stamp, self.cache.stamp(self.out / PLAN_FILE))
            return self.cache.value("plan", path, stamps, lambda: load_plan(self.out))
        except Exception as error:
            problems.append(f"comparison.yaml cannot be read: {describe_problem(error, self.out)}")
            return None

    def _read_studies(self, problems: list[str]) -> tuple[Study, ...]:
        folder = self.out / STUDIES_FOLDER
        stamps = {path: self.cache.stamp(path) for path in sorted(folder.rglob("*.json"))}
        if None in stamps.values():
            problems.append(f"{STUDIES_FOLDER}/ has a link out of the folder, or a pipe or device; no study is shown")
            return ()
        try:
            return self.cache.value(
                "studies", folder, tuple(stamps.items()), lambda: study_files.read_studies(self.out)
            )
        except Exception as error:
            problems.append(f"the studies cannot be read: {describe_problem(error, self.out)}")
            return ()


def count_ended(runs: Sequence[RunStatus]) -> int:
    """Returns the number of runs that have finished or diverged."""
    return sum(status.state in ENDED for status in runs)


def group_runs(runs: Sequence[RunStatus]) -> tuple[Group, ...]:
    """Groups runs by task and its options, in the order of the report; within a group by architecture and seed."""
    groups: dict[str, list[RunStatus]] = defaultdict(list)
    titles = variant_titles(status.experiment.task for status in runs if status.experiment is not None)
    for status in runs:
        task = None if status.experiment is None else status.experiment.task
        key = status.task if task is None else variant_key(task.name, task.options, task.source)
        titles.setdefault(key, make_printable(status.task))
        groups[key].append(status)
    return tuple(
        Group(key=key, title=titles[key], runs=tuple(sorted(groups[key], key=sort_key)))
        for key in sorted(groups, key=lambda key: (natural_sort_key(titles[key]), key))
    )


def configuration_labels(runs: Iterable[Run], studies: Sequence[Study]) -> dict[str | None, str]:
    """Returns the report's label of each configuration, by its identity."""
    return {row.experiment.identity: row.label for section in build_sections(runs, studies) for row in section.rows}


def sort_key(status: RunStatus) -> tuple[tuple[int, str], str, int]:
    """Returns a sorting key: by architecture, in the catalogue's order, then by configuration and seed."""
    return catalogue_sort_key(status.architecture), status.label, status.seed


def mark_duplicates(runs: Sequence[RunStatus]) -> Iterator[RunStatus]:
    """Yields the runs, with copies of a run in other folders marked as unreadable.

    Counted as two seeds they would narrow an interval.
    """
    originals: dict[tuple[str, int], RunStatus] = {}
    for status in runs:
        key = None if status.identity is None else (status.identity, status.seed)
        if key is None or key not in originals or status.folder is None:
            yield status
            if key is not None:
                originals[key] = status
            continue
        message = f"holds the same run as {originals[key].folder}; move one of them away"
        yield replace(status, state="unreadable", message=message, experiment=None, identity=None)


class TimeLeft:
    """Estimator of the time left.

    It knows the time of a step for each configuration, as observed while it was trained, else from the `timing.json` of
    its finished runs, without evaluation. The pace of one configuration says nothing about another.
    """

    def __init__(self) -> None:
        self._first_seen: dict[Path, tuple[int, int]] = {}
        self._step_seconds: dict[str, float] = {}

    def observe(self, runs: Sequence[RunStatus]) -> None:
        """Records the pace of running runs from the rows written since they were first seen running."""
        for status in runs:
            if status.folder is None or status.identity is None:
                continue
            if status.state != "running" or status.metrics_stamp is None:
                self._first_seen.pop(status.folder, None)
                continue
            now = (status.steps, status.metrics_stamp[0])
            steps, nanoseconds = self._first_seen.setdefault(status.folder, now)
            if status.steps > steps and now[1] > nanoseconds:
                self._step_seconds[status.identity] = (now[1] - nanoseconds) / 1e9 / (status.steps - steps)
            elif status.steps < steps:
                self._first_seen[status.folder] = now

    def estimate(self, runs: Sequence[RunStatus]) -> float | None:
        """Returns the seconds until all runs are done, with as many side by side as now.

        Returns:
            `None` if nothing is running, or the pace of a remaining configuration is unknown.
        """
        running = sum(status.state == "running" for status in runs)
        remaining = [
            status
            for status in runs
            if status.state in REMAINING_STATES and (status.planned or status.state == "running")
        ]
        if not running or any(status.experiment is None or not status.total_steps for status in remaining):
            return None
        finished: dict[str, list[float]] = {}
        for status in runs:
            if status.state == "finished" and status.seconds and status.steps and status.identity is not None:
                finished.setdefault(status.identity, []).append(status.seconds / status.steps)
        step_seconds = {identity: mean(values) for identity, values in finished.items()} | self._step_seconds
        times = []
        for status in remaining:
            assert status.experiment is not None
            if status.identity not in step_seconds:
                return None
            steps = max(0, (status.total_steps or 0) - status.steps)
            limit = status.experiment.budget.seconds
            times.append(min(steps * step_seconds[status.identity], limit or float("inf")))
        return max(sum(times) / running, max(times, default=0.0))

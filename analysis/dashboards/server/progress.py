"""How far everything in a folder of results has come."""

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean
from typing import get_args

from analysis.dashboards.server.locks import LockedFiles, is_local, locked_files, place
from analysis.dashboards.server.plan import Plan, plan
from analysis.dashboards.server.run_status import ENDED, FileCache, RunStatus, State, read_status, shorten
from analysis.formatting import printable
from analysis.grouping import catalogue_order, natural_sort_key, sections, task_title, variant_key
from workbench import study_files
from workbench.config import TUNING_SEED
from workbench.results import Run
from workbench.study_files import FOLDER, Study

FRESH_SECONDS = 1.0
"""For which what was found is given to whoever else asks."""
LEAST, MOST = 30.0, 3600.0
"""Seconds without a new row after which a run is taken for interrupted, where locks do not tell."""
ROWS = 3
"""The same in times of what a row took until then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """All runs on one variant of a task."""

    key: str
    title: str
    runs: tuple[RunStatus, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderProgress:
    """Everything at one moment."""

    groups: tuple[Group, ...]
    tuning: tuple[RunStatus, ...]
    """Trials of a sweep that are under way here."""
    studies: tuple[Study, ...]
    problems: tuple[str, ...]
    """Files that cannot be read, a line each."""
    left: float | None
    """Seconds that the rest takes, about; `None` where that is not known."""

    @property
    def runs(self) -> tuple[RunStatus, ...]:
        """All runs, those of a sweep's trials apart."""
        return tuple(seen for group in self.groups for seen in group.runs)

    @property
    def counts(self) -> tuple[tuple[State, int], ...]:
        """How many runs are in each state that there is."""
        counted = Counter(seen.state for seen in self.runs)
        return tuple((state, counted[state]) for state in get_args(State) if counted[state])

    @property
    def share(self) -> float:
        """How much is done, by steps."""
        asked = [(seen.asked or 0, seen.share) for seen in self.runs]
        total = sum(steps for steps, _ in asked)
        return sum(steps * share for steps, share in asked) / total if total else 0.0


class FolderWatcher:
    """Looks at a folder of results.

    Args:
        out: the folder.
    """

    def __init__(self, out: Path) -> None:
        self.out = out.resolve()
        self.kept = FileCache(self.out)
        self._pace = TimeLeft()
        self._lock = threading.Lock()
        self._trusted: dict[int, bool] = {}
        self._last: tuple[float, FolderProgress] | None = None

    def now(self) -> FolderProgress:
        """How far everything is, looked up at most once a second however many ask."""
        with self._lock:
            if self._last is None or time.monotonic() - self._last[0] > FRESH_SECONDS:
                self._last = (time.monotonic(), self._look())
            return self._last[1]

    def _look(self) -> FolderProgress:
        problems: list[str] = []
        found = {seen.folder: seen for seen in self._runs() if seen.folder is not None}
        tuning = tuple(seen for seen in found.values() if seen.seed >= TUNING_SEED and seen.state == "running")
        fresh = {folder: seen for folder, seen in found.items() if seen.seed < TUNING_SEED}
        asked = self._plan(problems)
        wanted = [] if asked is None else asked.fill(fresh)
        taken = {seen.folder for seen in wanted}
        runs = [*wanted, *(seen for folder, seen in fresh.items() if folder not in taken)]
        self._pace.see(runs)
        known = self._studies(problems)
        return FolderProgress(
            groups=group_runs(self._labelled(list(without_duplicates(runs)), known)),
            tuning=tuning,
            studies=known,
            problems=tuple(problems),
            left=self._pace.left(runs),
        )

    def _runs(self) -> Iterator[RunStatus]:
        folders = sorted(path for path in (self.out / "runs").glob("*/*/*/seed-*") if path.is_dir())
        before, unsure = locked_files(), []
        for folder in folders:
            seen = read_status(folder, self.kept, self._running(folder, before))
            if seen is not None and seen.state == "interrupted":
                unsure.append(folder)
            elif seen is not None:
                yield seen
        # It may have begun, or ended, after the locks were read: only one that is still unheld now has stopped.
        after = locked_files() if unsure else None
        for folder in unsure:
            if (seen := read_status(folder, self.kept, self._running(folder, after))) is not None:
                yield seen

    def _running(self, folder: Path, locks: LockedFiles | None) -> bool:
        lock, config = folder / ".lock", folder / "config.yaml"
        found = place(lock)
        if found is None:
            return False
        if locks is not None and found in locks:
            return True
        if found[0] not in self._trusted and self.kept.stamp(config) is not None:
            self._trusted[found[0]] = is_local(config)
        return not self._trusted.get(found[0], True) and self._recent(folder)

    def _recent(self, folder: Path) -> bool:
        begun, row = (self.kept.stamp(folder / name) for name in ("config.yaml", "metrics.csv"))
        if begun is None or self.kept.stamp(folder / "error.log") is not None:
            return False
        rows, took, newest = 1, 0.0, begun[0] / 1e9
        if row is not None:
            rows = max(1, (folder / "metrics.csv").read_bytes().count(b"\n") - 1)
            took, newest = (row[0] - begun[0]) / 1e9, row[0] / 1e9
        return time.time() - newest < min(MOST, max(LEAST, ROWS * took / rows))

    def _labelled(self, runs: Sequence[RunStatus], known: Sequence[Study]) -> list[RunStatus]:
        of_each = {seen.identity: seen.run for seen in runs if seen.identity is not None}
        stamp = (frozenset(of_each), tuple((study.winner_identity, study.default_identity) for study in known))
        try:
            labels = self.kept.value("labels", self.out, stamp, lambda: labels_of(of_each.values(), known))
        except Exception:
            # What a study's file says may not fit the runs; they have names all the same.
            labels = {}
        return [replace(seen, label=labels.get(seen.identity, seen.architecture)) for seen in runs]

    def _plan(self, problems: list[str]) -> Plan | None:
        path = self.out / "comparison.yaml"
        stamp = self.kept.stamp(path)
        if stamp is None:
            return None
        try:
            return self.kept.value("plan", path, stamp, lambda: plan(self.out))
        except Exception as problem:
            problems.append(f"comparison.yaml cannot be read: {shorten(problem, self.out)}")
            return None

    def _studies(self, problems: list[str]) -> tuple[Study, ...]:
        folder = self.out / FOLDER
        stamps = {path: self.kept.stamp(path) for path in sorted(folder.rglob("*.json"))}
        if None in stamps.values():
            problems.append(f"{FOLDER}/ holds what is no file of this folder; its studies are not shown")
            return ()
        try:
            return self.kept.value("studies", folder, tuple(stamps.items()), lambda: study_files.read(self.out))
        except Exception as problem:
            problems.append(f"the studies cannot be read: {shorten(problem, self.out)}")
            return ()


def count_ended(runs: Sequence[RunStatus]) -> int:
    """How many runs have ended as they should."""
    return sum(seen.state in ENDED for seen in runs)


def group_runs(runs: Sequence[RunStatus]) -> tuple[Group, ...]:
    """Runs by task and its options, in the order of the report; within these by architecture and seed."""
    groups: dict[str, list[RunStatus]] = defaultdict(list)
    titles: dict[str, str] = {}
    for seen in runs:
        task = None if seen.experiment is None else seen.experiment.task
        key = seen.task if task is None else variant_key(task.name, task.options)
        titles[key] = printable(seen.task) if task is None else task_title(task.name, task.options)
        groups[key].append(seen)
    return tuple(
        Group(key=key, title=titles[key], runs=tuple(sorted(groups[key], key=order)))
        for key in sorted(groups, key=lambda key: (natural_sort_key(titles[key]), key))
    )


def labels_of(runs: Iterable[Run], known: Sequence[Study]) -> dict[str | None, str]:
    """What each configuration is called in the report, by its identity."""
    found = sections(runs, known)
    return {row.experiment.identity: row.label for section in found for row in section.rows}


def order(seen: RunStatus) -> tuple[tuple[int, str], str, int]:
    """A sorting key: by architecture, in the catalogue's order, then by configuration and seed."""
    return catalogue_order(seen.architecture), seen.label, seen.seed


def without_duplicates(runs: Sequence[RunStatus]) -> Iterator[RunStatus]:
    """The runs, those apart that are another folder's once more: as two seeds they would narrow an interval."""
    first: dict[tuple[str, int], RunStatus] = {}
    for seen in runs:
        key = None if seen.identity is None else (seen.identity, seen.seed)
        if key is None or key not in first or seen.folder is None:
            yield seen
            if key is not None:
                first[key] = seen
            continue
        said = f"holds the same run as {first[key].folder}; move one of them away"
        yield replace(seen, state="unreadable", said=said, experiment=None, identity=None)


LEFT = ("waiting", "running", "interrupted")
"""States of runs that a comparison under way still trains."""


class TimeLeft:
    """What a step takes of each configuration: as observed here while it was trained, or else as its finished runs
    have it in `timing.json`, evaluation apart. Another configuration's pace says nothing about it."""

    def __init__(self) -> None:
        self._first: dict[Path, tuple[int, int]] = {}
        self._observed: dict[str, float] = {}

    def see(self, runs: Sequence[RunStatus]) -> None:
        """Takes note of the rows that running runs have written since they were first seen running."""
        for seen in runs:
            if seen.folder is None or seen.identity is None:
                continue
            if seen.state != "running" or seen.stamp is None:
                self._first.pop(seen.folder, None)
                continue
            made, at = self._first.setdefault(seen.folder, (seen.made, seen.stamp[0]))
            if seen.made > made and seen.stamp[0] > at:
                self._observed[seen.identity] = (seen.stamp[0] - at) / 1e9 / (seen.made - made)
            elif seen.made < made:
                self._first[seen.folder] = (seen.made, seen.stamp[0])

    def left(self, runs: Sequence[RunStatus]) -> float | None:
        """Seconds until all is done with as many runs side by side as now.

        Returns:
            `None` where nothing runs, or the pace of a configuration that is left is not known.
        """
        running = sum(seen.state == "running" for seen in runs)
        rest = [seen for seen in runs if seen.state in LEFT and (seen.planned or seen.state == "running")]
        if not running or any(seen.experiment is None or not seen.asked for seen in rest):
            return None
        finished: dict[str, list[float]] = {}
        for seen in runs:
            if seen.state == "finished" and seen.seconds and seen.made and seen.identity is not None:
                finished.setdefault(seen.identity, []).append(seen.seconds / seen.made)
        paces = {name: mean(each) for name, each in finished.items()} | self._observed
        times = []
        for seen in rest:
            assert seen.experiment is not None
            if seen.identity not in paces:
                return None
            steps = max(0, (seen.asked or 0) - seen.made)
            limit = seen.experiment.budget.seconds
            times.append(min(steps * paces[seen.identity], limit or float("inf")))
        return max(sum(times) / running, max(times, default=0.0))


def format_time_left(seconds: float) -> str:
    """A time to come, no more exactly than it is known."""
    if seconds < 60:
        return "less than a minute"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"about {minutes} min"
    return f"about {round(seconds / 3600)} h" if seconds < 48 * 3600 else f"about {round(seconds / 86400)} days"

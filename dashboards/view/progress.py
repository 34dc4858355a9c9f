"""How far everything in a folder of results has come."""

import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

from dashboards.view.grouping import Group, grouped, labels_of, once
from dashboards.view.held import Held, held, place, trustworthy
from dashboards.view.kept import Kept
from dashboards.view.pace import Pace
from dashboards.view.planned import Plan, plan
from dashboards.view.seen import ENDED, Seen, State, look, shortened
from workbench import studies
from workbench.config import TUNING_SEED
from workbench.studies import FOLDER, Study

FRESH_SECONDS = 1.0
"""For which what was found is given to whoever else asks."""
LEAST, MOST = 30.0, 3600.0
"""Seconds without a new row after which a run is taken for interrupted, where locks do not tell."""
ROWS = 3
"""The same in times of what a row took until then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Everything at one moment."""

    groups: tuple[Group, ...]
    tuning: tuple[Seen, ...]
    """Trials of a sweep that are under way here."""
    studies: tuple[Study, ...]
    problems: tuple[str, ...]
    """Files that cannot be read, a line each."""
    left: float | None
    """Seconds that the rest takes, about; `None` where that is not known."""

    @property
    def runs(self) -> tuple[Seen, ...]:
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


class Watcher:
    """Looks at a folder of results.

    Args:
        out: the folder.
    """

    def __init__(self, out: Path) -> None:
        self.out = out.resolve()
        self.kept = Kept(self.out)
        self._pace = Pace()
        self._lock = threading.Lock()
        self._trusted: dict[int, bool] = {}
        self._last: tuple[float, Progress] | None = None

    def now(self) -> Progress:
        """How far everything is, looked up at most once a second however many ask."""
        with self._lock:
            if self._last is None or time.monotonic() - self._last[0] > FRESH_SECONDS:
                self._last = (time.monotonic(), self._look())
            return self._last[1]

    def _look(self) -> Progress:
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
        return Progress(
            groups=grouped(self._labelled(list(once(runs)), known)),
            tuning=tuning,
            studies=known,
            problems=tuple(problems),
            left=self._pace.left(runs),
        )

    def _runs(self) -> Iterator[Seen]:
        folders = sorted(path for path in (self.out / "runs").glob("*/*/*/seed-*") if path.is_dir())
        before, unsure = held(), []
        for folder in folders:
            seen = look(folder, self.kept, self._running(folder, before))
            if seen is not None and seen.state == "interrupted":
                unsure.append(folder)
            elif seen is not None:
                yield seen
        # It may have begun, or ended, after the locks were read: only one that is still unheld now has stopped.
        after = held() if unsure else None
        for folder in unsure:
            if (seen := look(folder, self.kept, self._running(folder, after))) is not None:
                yield seen

    def _running(self, folder: Path, locks: Held | None) -> bool:
        lock, config = folder / ".lock", folder / "config.yaml"
        found = place(lock)
        if found is None:
            return False
        if locks is not None and found in locks:
            return True
        if found[0] not in self._trusted and self.kept.stamp(config) is not None:
            self._trusted[found[0]] = trustworthy(config)
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

    def _labelled(self, runs: Sequence[Seen], known: Sequence[Study]) -> list[Seen]:
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
            problems.append(f"comparison.yaml cannot be read: {shortened(problem, self.out)}")
            return None

    def _studies(self, problems: list[str]) -> tuple[Study, ...]:
        folder = self.out / FOLDER
        stamps = {path: self.kept.stamp(path) for path in sorted(folder.rglob("*.json"))}
        if None in stamps.values():
            problems.append(f"{FOLDER}/ holds what is no file of this folder; its studies are not shown")
            return ()
        try:
            return self.kept.value("studies", folder, tuple(stamps.items()), lambda: studies.read(self.out))
        except Exception as problem:
            problems.append(f"the studies cannot be read: {shortened(problem, self.out)}")
            return ()


def ended(runs: Sequence[Seen]) -> int:
    """How many runs have ended as they should."""
    return sum(seen.state in ENDED for seen in runs)

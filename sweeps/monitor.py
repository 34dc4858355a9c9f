"""Whoever watches a sweep: what has ended since the last look, and the studies' files kept up to date."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from optuna.trial import FrozenTrial

from sweeps import export
from sweeps.studies import LoadedStudy, refresh
from sweeps.trial_budget import ERROR
from workbench.study_files import FINISHED, Study, Trial

POLL_SECONDS = 1.0
WRITE_SECONDS = 15.0
"""Between two versions of the studies' files while a sweep runs."""


@dataclass(slots=True, kw_only=True)
class Monitor:
    """Looks at studies from time to time.

    Args:
        studies: what to look at.
        out: the folder of results; without one no files are written.
        seeds: fresh runs of each winner.
        ended: told each trial that is finished, or has failed by itself, since the last look.
    """

    studies: Sequence[LoadedStudy]
    out: Path | None = None
    seeds: int = 0
    ended: Callable[[LoadedStudy, Trial], None] = lambda opened, trial: None
    _known: set[tuple[str, int]] = field(default_factory=set, init=False)
    _looked: float = field(default=0.0, init=False)
    _written: float = field(default=0.0, init=False)

    def begin(self) -> list[Study]:
        """Takes what there is for known, and writes the files."""
        self._new()
        return self.write()

    def look(self) -> None:
        """Tells what has ended, at most once a second, and writes the files now and then."""
        if time.monotonic() - self._looked >= POLL_SECONDS:
            self._tell()
            if time.monotonic() - self._written >= WRITE_SECONDS:
                self.write()

    def end(self) -> list[Study]:
        """Tells what has ended last, and writes the files."""
        self._tell()
        return self.write()

    def write(self) -> list[Study]:
        """Writes the studies' files."""
        self._written = time.monotonic()
        if self.out is None:
            return []
        found = [export.write_studies(self.out, refresh(opened), self.seeds) for opened in self.studies]
        self._written = time.monotonic()
        return found

    def _tell(self) -> None:
        for opened, trial in self._new():
            self.ended(opened, export.export_trial(trial, export.default_identity(opened)))
        self._looked = time.monotonic()

    def _new(self) -> list[tuple[LoadedStudy, FrozenTrial]]:
        found = []
        for opened in self.studies:
            for trial in opened.trials:
                key = opened.spec.name, trial.number
                over = export.export_state(trial) in FINISHED or ERROR in trial.user_attrs
                if over and key not in self._known:
                    self._known.add(key)
                    found.append((opened, trial))
        return found

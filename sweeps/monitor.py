"""Monitor of a sweep: reports trials that have ended, and keeps the studies' files up to date."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from optuna.trial import FrozenTrial

from sweeps.export import export_state, export_trial, write_study
from sweeps.studies import LoadedStudy, refresh
from sweeps.trial_budget import ERROR
from workbench.study_files import FINISHED_STATES, Study, Trial

POLL_SECONDS = 1.0
WRITE_SECONDS = 15.0
"""Seconds between two versions of the studies' files while a sweep runs."""


@dataclass(slots=True, kw_only=True)
class Monitor:
    """A monitor of studies in a store.

    Args:
        studies: the studies.
        out: the folder of results; if it is missing, no files are written.
        seeds: the number of fresh runs of each winner.
        on_trial_end: called with each trial that has finished, or has failed by an error.
    """

    studies: Sequence[LoadedStudy]
    out: Path | None = None
    seeds: int = 0
    on_trial_end: Callable[[LoadedStudy, Trial], None] = lambda study, trial: None
    _seen: set[tuple[str, int]] = field(default_factory=set, init=False)
    _polled_at: float = field(default=0.0, init=False)
    _written_at: float = field(default=0.0, init=False)

    def start(self) -> list[Study]:
        """Takes note of trials that have ended already, without reporting them, and writes the files."""
        self._newly_ended()
        return self.write()

    def poll(self) -> None:
        """Reports trials that have ended, at most once a second, and writes the files every `WRITE_SECONDS`."""
        if time.monotonic() - self._polled_at >= POLL_SECONDS:
            self._report()
            if time.monotonic() - self._written_at >= WRITE_SECONDS:
                self.write()

    def finish(self) -> list[Study]:
        """Reports the last trials that have ended, and writes the files."""
        self._report()
        return self.write()

    def write(self) -> list[Study]:
        """Writes the studies' files, and returns their contents."""
        self._written_at = time.monotonic()
        if self.out is None:
            return []
        studies = [write_study(self.out, refresh(study), self.seeds) for study in self.studies]
        self._written_at = time.monotonic()
        return studies

    def _report(self) -> None:
        for study, trial in self._newly_ended():
            self.on_trial_end(study, export_trial(trial, study.default_identity))
        self._polled_at = time.monotonic()

    def _newly_ended(self) -> list[tuple[LoadedStudy, FrozenTrial]]:
        newly_ended = []
        for study in self.studies:
            for trial in study.trials:
                key = study.spec.name, trial.number
                has_ended = export_state(trial) in FINISHED_STATES or ERROR in trial.user_attrs
                if has_ended and key not in self._seen:
                    self._seen.add(key)
                    newly_ended.append((study, trial))
        return newly_ended

"""A sweep's trials in the W&B mirror."""

from dataclasses import dataclass, field
from pathlib import Path

from sweeps.opening import Opened
from workbench.config import TUNING_SEED
from workbench.errors import UserError
from workbench.folder import folder_of
from workbench.mirror import Mirror
from workbench.results import Run, pruned, read
from workbench.studies import FINISHED, Trial


@dataclass(slots=True, kw_only=True)
class Mirrored:
    """Hands finished trials to W&B: grouped by study, and tagged with how they ended.

    Args:
        mirror: where to.
        out: the folder of results.
    """

    mirror: Mirror
    out: Path
    _folders: dict[str, Path] = field(default_factory=dict, init=False)
    _runs: dict[Path, Run] = field(default_factory=dict, init=False)

    def add(self, opened: Opened, trial: Trial) -> None:
        """Mirrors a trial, if it is finished and was run into this folder."""
        if self.mirror.mode == "off" or trial.identity is None or trial.state not in FINISHED:
            return
        name = opened.spec.name
        if name not in self._folders:
            self._folders[name] = folder_of(self.out, opened.spec.experiment({}, TUNING_SEED)).parents[1]
        folder = self._folders[name] / trial.identity / f"seed-{TUNING_SEED}"
        try:
            run = pruned(folder) if trial.state == "pruned" else read(folder)
        except (UserError, OSError, ValueError, LookupError):
            # On another machine, or moved away: what is there is mirrored.
            return
        self._runs[folder] = run
        self.mirror.add(run, group=name, state=trial.state)

    def send(self) -> None:
        """Sends what has not been sent, where that was asked for; once the mirror has written all of it."""
        self.mirror.send(list(self._runs.values()))

"""A sweep's trials in the W&B mirror."""

from dataclasses import dataclass, field
from pathlib import Path

from analysis.dashboards.mirror.mirror import Mirror
from analysis.dashboards.mirror.record import TrialInfo
from analysis.dashboards.mirror.sources import supersedes, trial_of_folder
from sweeps.studies import LoadedStudy
from workbench.config import TUNING_SEED
from workbench.run_folder import run_path
from workbench.study_files import FINISHED, Trial


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialMirror:
    """Hands finished trials to W&B.

    Args:
        mirror: where to.
        out: the folder of results.
    """

    mirror: Mirror
    out: Path
    _shown: dict[Path, TrialInfo] = field(default_factory=dict, init=False)

    def add(self, opened: LoadedStudy, trial: Trial) -> None:
        """Mirrors a trial, if it is finished and was run into this folder."""
        if self.mirror.mode == "off" or trial.identity is None or trial.state not in FINISHED:
            return
        spec = opened.spec
        tried = TrialInfo(study=spec.name, objectives=spec.objectives, trial=trial)
        folder = run_path(self.out, spec.task.name, spec.architecture, trial.identity, TUNING_SEED)
        before = self._shown.get(folder)
        if (before is None or supersedes(tried, before)) and (run := trial_of_folder(folder, tried)) is not None:
            self._shown[folder] = tried
            self.mirror.add(run, tried)

"""A sweep's trials in the W&B mirror."""

from dataclasses import dataclass, field
from pathlib import Path

from analysis.dashboards.mirror.mirror import Mirror
from analysis.dashboards.mirror.record import TrialInfo
from analysis.dashboards.mirror.sources import load_trial_run, supersedes
from sweeps.studies import LoadedStudy
from workbench.config import TUNING_SEED
from workbench.run_folder import run_path
from workbench.study_files import FINISHED_STATES, Trial


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialMirror:
    """Passes finished trials to the W&B mirror.

    Args:
        mirror: the mirror of the results.
        out: the folder of results.
    """

    mirror: Mirror
    out: Path
    _added: dict[Path, TrialInfo] = field(default_factory=dict, init=False)

    def add(self, study: LoadedStudy, trial: Trial) -> None:
        """Mirrors a trial if it is finished and its run is in the folder.

        Trials with the same configuration share a run, which shows one of them.
        """
        if self.mirror.mode == "off" or trial.identity is None or trial.state not in FINISHED_STATES:
            return
        spec = study.spec
        trial_info = TrialInfo(study=spec.name, objectives=spec.objectives, trial=trial)
        folder = run_path(self.out, spec.task.name, spec.architecture, trial.identity, TUNING_SEED)
        shown = self._added.get(folder)
        is_better = shown is None or supersedes(trial_info, shown)
        if is_better and (run := load_trial_run(folder, trial_info)) is not None:
            self._added[folder] = trial_info
            self.mirror.add(run, trial_info)

"""Runs and trials of a folder of results that are mirrored to W&B."""

from collections.abc import Iterator
from pathlib import Path

from analysis.dashboards.mirror.record import TrialInfo
from workbench import study_files
from workbench.config import TUNING_SEED
from workbench.errors import UserError
from workbench.results import Run, finished_runs, read_pruned_run, read_run
from workbench.run_folder import run_path
from workbench.study_files import FINISHED_STATES


def load_runs(out: Path) -> Iterator[tuple[Run, TrialInfo | None]]:
    """Yields every finished run, and every trial that a sweep has finished here, in a stable order.

    A run that several trials share is yielded as the first trial that was not pruned.

    Raises:
        UserError: if a file was not written by this bench.
    """
    for run in finished_runs(out):
        yield run, None
    chosen: dict[Path, TrialInfo] = {}
    for folder, trial_info in load_trials(out):
        if (before := chosen.get(folder)) is None or supersedes(trial_info, before):
            chosen[folder] = trial_info
    for folder, trial_info in chosen.items():
        if (trial_run := load_trial_run(folder, trial_info)) is not None:
            yield trial_run, trial_info


def supersedes(trial_info: TrialInfo, before: TrialInfo) -> bool:
    """Returns whether a run is shown as the later of two trials that share it; samplers may draw the same twice."""
    return before.trial.state == "pruned" != trial_info.trial.state


def load_trials(out: Path) -> Iterator[tuple[Path, TrialInfo]]:
    """Yields every finished trial of the studies in a folder of results, with the folder of its run."""
    for study in study_files.read_studies(out):
        for trial in study.trials:
            if trial.state in FINISHED_STATES and trial.identity is not None:
                yield (
                    run_path(out, study.task, study.architecture, trial.identity, TUNING_SEED),
                    TrialInfo(study=study.name, objectives=study.objectives, trial=trial),
                )


def load_trial_run(folder: Path, trial_info: TrialInfo) -> Run | None:
    """Reads the run of a trial; `None` if it was trained on another machine, or was moved away."""
    try:
        run = read_pruned_run(folder) if trial_info.trial.state == "pruned" else read_run(folder)
    except (UserError, OSError, ValueError, LookupError, TypeError):
        return None
    return run if run.experiment.identity == trial_info.trial.identity else None

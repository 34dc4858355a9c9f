"""Everything below a folder of results that W&B can show: runs, trials, and the comparison as a whole."""

from collections.abc import Iterator
from pathlib import Path

from analysis.dashboards.mirror.record import TrialInfo
from workbench import study_files
from workbench.config import TUNING_SEED
from workbench.errors import UserError
from workbench.results import Run, finished, pruned, read
from workbench.run_folder import run_path
from workbench.study_files import FINISHED


def runs(out: Path) -> Iterator[tuple[Run, TrialInfo | None]]:
    """Every finished run, and every trial that a sweep has finished here, in a stable order.

    A run that was tried more than once is shown as the first trial that went to its end.

    Raises:
        UserError: if a file was not written by this bench.
    """
    for run in finished(out):
        yield run, None
    chosen: dict[Path, TrialInfo] = {}
    for folder, tried in trials(out):
        if (before := chosen.get(folder)) is None or supersedes(tried, before):
            chosen[folder] = tried
    for folder, tried in chosen.items():
        if (tuned := trial_of_folder(folder, tried)) is not None:
            yield tuned, tried


def supersedes(tried: TrialInfo, before: TrialInfo) -> bool:
    """Whether of two trials with the same run, which samplers do draw, the later one is what the run is shown as."""
    return before.trial.state == "pruned" != tried.trial.state


def trials(out: Path) -> Iterator[tuple[Path, TrialInfo]]:
    """Every finished trial of the studies below a folder, with the folder that it was run in."""
    for study in study_files.read(out):
        for trial in study.trials:
            if trial.state in FINISHED and trial.identity is not None:
                yield (
                    run_path(out, study.task, study.architecture, trial.identity, TUNING_SEED),
                    TrialInfo(study=study.name, objectives=study.objectives, trial=trial),
                )


def trial_of_folder(folder: Path, tried: TrialInfo) -> Run | None:
    """A trial's run; `None` where it was run on another machine, or has been moved away."""
    try:
        run = pruned(folder) if tried.trial.state == "pruned" else read(folder)
    except (UserError, OSError, ValueError, LookupError, TypeError):
        return None
    return run if run.experiment.identity == tried.trial.identity else None

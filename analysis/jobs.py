"""What `workbench analyze` is asked to probe: models, and where the findings of each are kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from analysis import subjects
from analysis.subjects import Subject
from workbench import checkpoints
from workbench.checkpoints import LAST, newest
from workbench.config import Experiment
from workbench.errors import UserError
from workbench.files import read_yaml
from workbench.results import finished, read
from workbench.run_folder import run_folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One model to be probed. It is loaded where it is probed, which may be another process."""

    experiment: Experiment
    folder: Path
    """The run's, or the untrained model's own."""
    checkpoint: Path | None = None
    """The weights, of a run that is unfinished or whose end is not meant."""
    trained: bool = True

    def load(self) -> tuple[Subject, Path]:
        """The model, and the folder for its findings: the run's for the weights at its end, one below it for others.

        Raises:
            UserError: if there is no such model, or it cannot be read.
        """
        if not self.trained:
            return subjects.untrained(self.experiment), self.folder
        if self.checkpoint is None:
            return subjects.of_run(read(self.folder)), self.folder
        found = subjects.of_checkpoint(self.checkpoint)
        return found, self.folder / f"step-{found.steps}"


def below(path: Path) -> tuple[list[Job], list[str]]:
    """All models that a path names: a comparison's folder, the folder of one run, or a checkpoint in it.

    Returns:
        The models, and a line for each run that has none.

    Raises:
        UserError: if the path names no model at all.
    """
    if not path.exists() and not checkpoints.join_file(path):
        raise UserError(f"{path} is in parts, of which one is missing or damaged")
    if path.is_file():
        return [_checkpoint(path)], []
    if not path.is_dir():
        raise UserError(f"there is no folder {path}; name the one that was given as --out, or a run's in it")
    if (path / "config.yaml").exists():
        return [_run(path)], []
    jobs, notes = [], []
    for run in finished(path):
        if run.diverged:
            notes.append(subjects.lost(run))
        else:
            jobs.append(Job(experiment=run.experiment, folder=run.folder))
    begun = [found for found in path.glob("runs/*/*/*/seed-*/config.yaml") if not _ended(found.parent)]
    if begun:
        notes.append(f"not finished, and so left out: {len(begun)} of the runs; name the folder of one to probe it")
    if not jobs and not notes:
        raise UserError(f"there are no finished runs in {path}; name the folder given as --out, or a run's in it")
    return jobs, notes


def untrained(out: Path, experiments: Sequence[Experiment]) -> list[Job]:
    """The models of experiments before their first step, with a folder of its own for each below `out/untrained`."""
    return [
        Job(
            experiment=experiment,
            folder=out / "untrained" / run_folder(out, experiment).relative_to(out / "runs"),
            trained=False,
        )
        for experiment in experiments
    ]


def _run(folder: Path) -> Job:
    if _ended(folder):
        run = read(folder)
        if run.diverged:
            raise UserError(subjects.lost(run))
        if newest(folder, run.experiment.identity)[0] is None:
            raise UserError(subjects.unreadable(folder))
        return Job(experiment=run.experiment, folder=folder)
    experiment = Experiment.from_dict(read_yaml(folder / "config.yaml"))
    path, _ = newest(folder, experiment.identity)
    if path is None:
        raise UserError(f"{folder} is of a run that is not finished, and has no checkpoint that can be read yet")
    return Job(experiment=experiment, folder=folder, checkpoint=path)


def _checkpoint(path: Path) -> Job:
    if not (path.parent / "config.yaml").exists():
        raise UserError(f"there is no config.yaml beside {path}; a checkpoint is probed where its run has left it")
    experiment = subjects.experiment_of(path)
    if path.name == LAST and _ended(path.parent):
        return _run(path.parent)
    return Job(experiment=experiment, folder=path.parent, checkpoint=path)


def _ended(folder: Path) -> bool:
    return (folder / "result.json").exists()

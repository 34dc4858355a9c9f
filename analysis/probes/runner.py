"""Probes on many models: what is known already is read, and what is found is kept at once."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from analysis.probes import models, registry
from analysis.probes.errors import LACKING, BrokenError, MachineError, reason
from analysis.probes.models import LoadedModel
from analysis.probes.registry import ProbeRecord
from analysis.probes.settings import ProbeSettings
from workbench import checkpoints
from workbench.checkpoints import LAST, newest
from workbench.config import Experiment
from workbench.devices import release
from workbench.errors import UserError
from workbench.files import read_yaml
from workbench.results import finished, read
from workbench.run_folder import claim, run_folder, run_lock


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeEvent:
    """Something that happened to one probe of one model."""

    kind: Literal["begun", "read", "done", "failed"]
    """`read`: known already."""
    job: int
    probe: str
    entry: ProbeRecord | None = None
    """Of what was read or done; of what failed, the findings of before that stay."""
    seconds: float = 0.0
    text: str = ""
    """Why it failed, in a line."""


Listener = Callable[[ProbeEvent], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeOptions:
    """What is asked for of every model.

    Args:
        names: of the probes.
        settings: how closely it is probed.
        again: whether to repeat what is known already of these weights, probed so.
        threads: of each process.
        device: cpu or cuda.
    """

    names: Sequence[str]
    settings: ProbeSettings
    again: bool = False
    threads: int = 1
    device: str = "cpu"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeJob:
    """One model to be probed. It is loaded where it is probed, which may be another process."""

    experiment: Experiment
    folder: Path
    """The run's, or the untrained model's own."""
    checkpoint: Path | None = None
    """The weights, of a run that is unfinished or whose end is not meant."""
    trained: bool = True

    def load(self) -> tuple[LoadedModel, Path]:
        """The model, and the folder for its findings: the run's for the weights at its end, one below it for others.

        Raises:
            UserError: if there is no such model, or it cannot be read.
        """
        if not self.trained:
            return models.untrained_model(self.experiment), self.folder
        if self.checkpoint is None:
            return models.model_of_run(read(self.folder)), self.folder
        found = models.model_of_checkpoint(self.checkpoint)
        return found, self.folder / f"step-{found.steps}"


def run_probes(index: int, job: ProbeJob, order: ProbeOptions, listen: Listener) -> bool:
    """Applies probes to one model, one after another; each one's findings are on disk before the next begins.

    Args:
        index: of the job, for the events.
        job: the model.
        order: what is asked for.
        listen: told once of every probe, however it ends, and before when it begins.

    Returns:
        Whether it came to the end. Where a GPU failed for good, nothing is told of the probes that are left, and
        another process can go on with them.
    """
    try:
        return _run_probes(index, job, order, listen)
    finally:
        # By now nothing of the model is left.
        release(order.device)


def _run_probes(index: int, job: ProbeJob, order: ProbeOptions, listen: Listener) -> bool:
    left, settings = list(order.names), order.settings
    try:
        with run_lock(job.folder):
            subject, folder = job.load()
            folder.mkdir(exist_ok=True)
            if not job.trained:
                claim(folder, job.experiment)
            known, weights = registry.read_records(folder), subject.weights
            while left:
                name = left[0]
                entry, start = known.get(name), time.perf_counter()
                if order.again or entry is None or not is_current(entry, weights, settings, order.device):
                    listen(ProbeEvent(kind="begun", job=index, probe=name))
                    stays = entry
                    if entry is not None and (
                        entry.result is None or not same_inputs(entry, weights, asdict(settings))
                    ):
                        stays = None
                    # Whatever the number of processes, and whatever was probed before: the same numbers.
                    torch.manual_seed(settings.seed)
                    try:
                        move_to(subject.model, order.device)
                        found = registry.analyze(subject, name, settings)
                        if stays is not None and (lost := lost_measures(found, stays)) is not None:
                            raise MachineError(f"{lost}; what was found before stays")
                    except (UserError, MachineError) as error:
                        text = str(error)
                        listen(ProbeEvent(kind="failed", job=index, probe=left.pop(0), entry=stays, text=text))
                        if isinstance(error, BrokenError):
                            return False
                        continue
                    registry.write_records(folder, {name: found})
                    seconds = time.perf_counter() - start
                    listen(ProbeEvent(kind="done", job=index, probe=left.pop(0), entry=found, seconds=seconds))
                else:
                    listen(ProbeEvent(kind="read", job=index, probe=left.pop(0), entry=entry))
    except UserError as error:
        for name in left:
            listen(ProbeEvent(kind="failed", job=index, probe=name, text=str(error)))
    return True


def move_to(model: torch.nn.Module, device: str) -> None:
    """Moves a model.

    Raises:
        MachineError: if there is no room for it, or no such device.
    """
    try:
        model.to(device)
    except Exception as error:
        raise MachineError(reason(error, torch.device(device))) from error


def unavailable_measures(found: Sequence[Mapping[str, ProbeRecord]]) -> dict[tuple[str, str], list[int]]:
    """Which models have nothing of a probe: their indices by the probe and the reason."""
    missing: dict[tuple[str, str], list[int]] = {}
    for index, entries in enumerate(found):
        for name, entry in entries.items():
            if entry.result is None:
                missing.setdefault((name, entry.reason), []).append(index)
    return missing


def ran_out_of_memory(found: Sequence[Mapping[str, ProbeRecord]]) -> dict[tuple[str, tuple[str, ...]], list[int]]:
    """Which models lack measures of a probe for want of memory: their indices by the probe and the measures."""
    lacking: dict[tuple[str, tuple[str, ...]], list[int]] = {}
    for index, entries in enumerate(found):
        for name, entry in entries.items():
            missing = {} if entry.result is None else entry.result.unavailable
            if parts := tuple(part for part, why in missing.items() if why == LACKING):
                lacking.setdefault((name, parts), []).append(index)
    return lacking


def jobs_below(path: Path) -> tuple[list[ProbeJob], list[str]]:
    """All models that a path names: a comparison's folder, the folder of one run, or a checkpoint in it.

    Returns:
        The models, and a line for each run that has none.

    Raises:
        UserError: if the path names no model at all.
    """
    if not path.exists() and not checkpoints.join_file(path):
        raise UserError(f"{path} is in parts, of which one is missing or damaged")
    if path.is_file():
        return [_job_of_checkpoint(path)], []
    if not path.is_dir():
        raise UserError(f"there is no folder {path}; name the one that was given as --out, or a run's in it")
    if (path / "config.yaml").exists():
        return [_job_of_folder(path)], []
    jobs, notes = [], []
    for run in finished(path):
        if run.diverged:
            notes.append(models.describe_unreadable_run(run))
        else:
            jobs.append(ProbeJob(experiment=run.experiment, folder=run.folder))
    begun = [found for found in path.glob("runs/*/*/*/seed-*/config.yaml") if not _has_ended(found.parent)]
    if begun:
        notes.append(f"not finished, and so left out: {len(begun)} of the runs; name the folder of one to probe it")
    if not jobs and not notes:
        raise UserError(f"there are no finished runs in {path}; name the folder given as --out, or a run's in it")
    return jobs, notes


def untrained_jobs(out: Path, experiments: Sequence[Experiment]) -> list[ProbeJob]:
    """The models of experiments before their first step, with a folder of its own for each below `out/untrained`."""
    return [
        ProbeJob(
            experiment=experiment,
            folder=out / "untrained" / run_folder(out, experiment).relative_to(out / "runs"),
            trained=False,
        )
        for experiment in experiments
    ]


def _job_of_folder(folder: Path) -> ProbeJob:
    if _has_ended(folder):
        run = read(folder)
        if run.diverged:
            raise UserError(models.describe_unreadable_run(run))
        if newest(folder, run.experiment.identity)[0] is None:
            raise UserError(models.describe_unreadable(folder))
        return ProbeJob(experiment=run.experiment, folder=folder)
    experiment = Experiment.from_dict(read_yaml(folder / "config.yaml"))
    path, _ = newest(folder, experiment.identity)
    if path is None:
        raise UserError(f"{folder} is of a run that is not finished, and has no checkpoint that can be read yet")
    return ProbeJob(experiment=experiment, folder=folder, checkpoint=path)


def _job_of_checkpoint(path: Path) -> ProbeJob:
    if not (path.parent / "config.yaml").exists():
        raise UserError(f"there is no config.yaml beside {path}; a checkpoint is probed where its run has left it")
    experiment = models.experiment_of(path)
    if path.name == LAST and _has_ended(path.parent):
        return _job_of_folder(path.parent)
    return ProbeJob(experiment=experiment, folder=path.parent, checkpoint=path)


def _has_ended(folder: Path) -> bool:
    return (folder / "result.json").exists()


def lost_measures(found: ProbeRecord, known: ProbeRecord) -> str | None:
    """What found findings lack that are known already of the same weights, probed so, in a line; `None` if nothing."""
    assert known.result is not None
    if found.result is None:
        return found.reason
    lost = [
        f"{name.replace('_', ' ')}: {why}"
        for name, why in found.result.unavailable.items()
        if name not in known.result.unavailable
    ]
    return "; ".join(lost) or None


def same_inputs(entry: ProbeRecord, weights: str, settings: Mapping[str, Any]) -> bool:
    """Whether an entry is of these weights, probed so."""
    return entry.weights == weights and dict(entry.settings) == dict(settings)


def is_current(entry: ProbeRecord, weights: str, settings: ProbeSettings, device: str) -> bool:
    """Whether an entry is what a probe would come to again. On another device, findings are the same, and failures may
    not be; with more memory, there may be more of them."""
    known = device == entry.device if entry.result is None else LACKING not in entry.result.unavailable.values()
    return known and same_inputs(entry, weights, asdict(settings))

"""Probes applied to a model: known records are read, and every new one is written at once."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from analysis.probes import models
from analysis.probes.errors import OUT_OF_MEMORY, BrokenGpuError, MachineError, failure_reason
from analysis.probes.models import LoadedModel
from analysis.probes.records import ProbeRecord, read_records, write_records
from analysis.probes.registry import load_probe, probe_revision
from analysis.probes.result import NotAvailableError
from analysis.probes.settings import ProbeSettings
from workbench import checkpoints
from workbench.checkpoints import LAST, find_newest
from workbench.config import Experiment
from workbench.devices import matmul_precision, release_memory
from workbench.errors import UserError
from workbench.experiment_file import read_experiment
from workbench.files import describe_error
from workbench.results import finished_runs, read_run
from workbench.run_folder import BusyError, claim, run_folder, run_lock


def run_probe(loaded: "LoadedModel", name: str, settings: ProbeSettings) -> ProbeRecord:
    """Applies a probe to a model, on the model's device.

    If the probe fails because of the model, the record has no result and states the reason.

    Raises:
        UserError: if there is no such probe, or a setting does not suit it.
        MachineError: if memory ran out or the GPU failed.
    """
    probe = load_probe(name)
    device, weights = loaded.model.device, ""
    result, reason = None, ""
    try:
        weights = loaded.weights_hash
        # A GPU would otherwise round the factors of a product, and lose the smallest components of a state.
        with matmul_precision("highest"):
            result = probe.measure(loaded, settings)
    except NotAvailableError as error:
        reason = describe_error(error)
    except (UserError, MachineError):
        raise
    except (Exception, SystemExit) as error:
        # A custom architecture may fail in any way, and the other probes still count.
        reason = failure_reason(error, device)
        if reason == OUT_OF_MEMORY:
            raise MachineError(reason) from error
    return ProbeRecord(
        settings=asdict(settings),
        weights=weights,
        result=result,
        reason=reason,
        device=device.type,
        revision=probe_revision(name),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeEvent:
    """Something that happened to one probe of one model."""

    kind: Literal["begun", "read", "done", "failed", "elsewhere"]
    """`read`: a current record was there already; `elsewhere`: another process, which `text` names, is at work on the
    model."""
    job: int
    """Index of the model among the jobs."""
    probe: str
    record: ProbeRecord | None = None
    """The record that was read or written; if the probe failed, the previous record, which stays."""
    seconds: float | None = 0.0
    """How long it took; `None` if another process measured it."""
    text: str = ""
    """Reason why the probe failed, in one line."""


EventHandler = Callable[[ProbeEvent], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeOptions:
    """Probes to apply to every model, and how.

    Args:
        names: of the probes.
        settings: of the probes.
        again: whether to repeat probes that have a current record.
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
    """One model to probe. It is loaded by the process that probes it."""

    experiment: Experiment
    folder: Path
    """Folder of the run, or of the untrained model."""
    checkpoint: Path | None = None
    """Checkpoint to load, unless it is the last one of a finished run."""
    trained: bool = True

    @property
    def shared(self) -> bool:
        """Whether those who are at work on it are waited for: they probe it, too, and do not train it for hours."""
        return self.checkpoint is None

    def load(self) -> tuple[LoadedModel, Path]:
        """Loads the model.

        Returns:
            The model, and the folder for its records: `folder` for the last checkpoint of a finished run and for an
            untrained model, `folder/step-<n>` for any other checkpoint.

        Raises:
            UserError: if there is no such model, or it cannot be read.
        """
        if not self.trained:
            return models.untrained_model(self.experiment), self.folder
        if self.checkpoint is None:
            return models.model_of_run(read_run(self.folder)), self.folder
        loaded = models.model_of_checkpoint(self.checkpoint)
        return loaded, self.folder / f"step-{loaded.steps}"


def run_probes(index: int, job: ProbeJob, options: ProbeOptions, on_event: EventHandler) -> bool:
    """Applies probes to one model, one after another; each record is on disk before the next probe begins.

    Args:
        index: of the job, for the events.
        job: the model.
        options: the probes and their settings.
        on_event: receives `begun` when a probe begins, and one event when it ends, however it ends.

    Returns:
        False if a GPU failed for good. The probes that are left then have no event, and can be applied by another
        process.

    Raises:
        BusyError: if another process is at work on a model that is shared; there was no event then.
    """
    try:
        return _run_probes(index, job, options, on_event)
    finally:
        # Nothing refers to the model any more at this point.
        release_memory(options.device)


def _run_probes(index: int, job: ProbeJob, options: ProbeOptions, on_event: EventHandler) -> bool:
    remaining = list(options.names)

    def report(kind: Literal["read", "done", "failed"], **details: Any) -> None:
        on_event(ProbeEvent(kind=kind, job=index, probe=remaining.pop(0), **details))

    try:
        with run_lock(job.folder):
            loaded, folder = job.load()
            folder.mkdir(exist_ok=True)
            if not job.trained:
                claim(folder, job.experiment)
            records, weights = read_records(folder), loaded.weights_hash
            while remaining:
                name = remaining[0]
                previous = records.get(name)
                if (
                    previous is not None
                    and not options.again
                    and previous.revision == probe_revision(name)
                    and is_current(previous, weights, options.settings, options.device)
                ):
                    report("read", record=previous)
                    continue
                on_event(ProbeEvent(kind="begun", job=index, probe=name))
                start = time.perf_counter()
                kept = _record_to_keep(previous, weights, options.settings)
                try:
                    record = _run_probe(loaded, name, options, kept)
                except (UserError, MachineError) as error:
                    report("failed", record=kept, text=str(error))
                    if isinstance(error, BrokenGpuError):
                        return False
                    continue
                write_records(folder, {name: record})
                report("done", record=record, seconds=time.perf_counter() - start)
    except UserError as error:
        if isinstance(error, BusyError) and job.shared:
            raise
        while remaining:
            report("failed", text=str(error))
    return True


def _run_probe(loaded: LoadedModel, name: str, options: ProbeOptions, kept: ProbeRecord | None) -> ProbeRecord:
    # The same numbers, whatever the number of processes and whatever was probed before.
    torch.manual_seed(options.settings.seed)
    move_model(loaded.model, options.device)
    record = run_probe(loaded, name, options.settings)
    if kept is not None and (lost := lost_measures(record, kept)) is not None:
        raise MachineError(f"{lost}; the previous result stays")
    return record


def _record_to_keep(previous: ProbeRecord | None, weights: str, settings: ProbeSettings) -> ProbeRecord | None:
    """Returns the previous record if it has a result for the same inputs, which no failure may replace."""
    if previous is None or previous.result is None or not same_inputs(previous, weights, asdict(settings)):
        return None
    return previous


def move_model(model: torch.nn.Module, device: str) -> None:
    """Moves a model to a device.

    Raises:
        MachineError: if there is not enough memory, or no such device.
    """
    try:
        model.to(device)
    except Exception as error:
        raise MachineError(failure_reason(error, torch.device(device))) from error


def is_current(record: ProbeRecord, weights: str, settings: ProbeSettings, device: str) -> bool:
    """Returns whether a record is what the probe would give again.

    Results are the same on every device, but a probe that failed on one may succeed on another; and a measure that ran
    out of memory may succeed on the next try.
    """
    if record.result is None:
        final = device == record.device
    else:
        final = OUT_OF_MEMORY not in record.result.unavailable.values()
    return final and same_inputs(record, weights, asdict(settings))


def same_inputs(record: ProbeRecord, weights: str, settings: Mapping[str, Any]) -> bool:
    """Returns whether a record is of these weights, probed with these settings."""
    return record.weights == weights and dict(record.settings) == dict(settings)


def lost_measures(record: ProbeRecord, previous: ProbeRecord) -> str | None:
    """Returns what a record lacks that the previous one of the same inputs has, in one line; `None` if nothing.

    A measure that only a later revision of the probe has cannot be lost, unless memory ran out in it.
    """
    assert previous.result is not None
    if record.result is None:
        return record.reason
    lost = [
        f"{name.replace('_', ' ')}: {reason}"
        for name, reason in record.result.unavailable.items()
        if name not in previous.result.unavailable and (reason == OUT_OF_MEMORY or record.revision == previous.revision)
    ]
    return "; ".join(lost) or None


def unavailable_probes(records_of_models: Sequence[Mapping[str, ProbeRecord]]) -> dict[tuple[str, str], list[int]]:
    """Returns the models without a result of a probe: their indices, by probe and reason.

    Args:
        records_of_models: the records of each model, by probe.
    """
    indices: dict[tuple[str, str], list[int]] = {}
    for index, records in enumerate(records_of_models):
        for name, record in records.items():
            if record.result is None:
                indices.setdefault((name, record.reason), []).append(index)
    return indices


def out_of_memory_measures(
    records_of_models: Sequence[Mapping[str, ProbeRecord]],
) -> dict[tuple[str, tuple[str, ...]], list[int]]:
    """Returns the models for some of whose measures memory ran out: their indices, by probe and measures.

    Args:
        records_of_models: the records of each model, by probe.
    """
    indices: dict[tuple[str, tuple[str, ...]], list[int]] = {}
    for index, records in enumerate(records_of_models):
        for name, record in records.items():
            unavailable = {} if record.result is None else record.result.unavailable
            if measures := tuple(measure for measure, reason in unavailable.items() if reason == OUT_OF_MEMORY):
                indices.setdefault((name, measures), []).append(index)
    return indices


def find_jobs(path: Path) -> tuple[list[ProbeJob], list[str]]:
    """Returns the models to probe at a path: a comparison's folder, the folder of one run, or a checkpoint in it.

    Returns:
        The models, and a line for each run that has none.

    Raises:
        UserError: if there is no model at all.
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
    for run in finished_runs(path):
        if run.diverged:
            notes.append(models.describe_diverged(run))
        else:
            jobs.append(ProbeJob(experiment=run.experiment, folder=run.folder))
    unfinished = [file for file in path.glob("runs/*/*/*/seed-*/config.yaml") if not _is_finished(file.parent)]
    if unfinished:
        notes.append(
            f"not finished, and so left out: {len(unfinished)} of the runs; name the folder of one to probe it"
        )
    if not jobs and not notes:
        raise UserError(f"there are no finished runs in {path}; name the folder given as --out, or a run's in it")
    return jobs, notes


def untrained_jobs(out: Path, experiments: Sequence[Experiment]) -> list[ProbeJob]:
    """Returns the models of experiments before their first step, each with its folder below `out/untrained`."""
    return [
        ProbeJob(
            experiment=experiment,
            folder=out / "untrained" / run_folder(out, experiment).relative_to(out / "runs"),
            trained=False,
        )
        for experiment in experiments
    ]


def _job_of_folder(folder: Path) -> ProbeJob:
    if _is_finished(folder):
        run = read_run(folder)
        if run.diverged:
            raise UserError(models.describe_diverged(run))
        if find_newest(folder, run.experiment.identity)[0] is None:
            raise UserError(models.describe_unreadable(folder))
        return ProbeJob(experiment=run.experiment, folder=folder)
    experiment = read_experiment(folder / "config.yaml")
    path, _ = find_newest(folder, experiment.identity)
    if path is None:
        raise UserError(f"the run in {folder} is not finished, and has no checkpoint that can be read yet")
    return ProbeJob(experiment=experiment, folder=folder, checkpoint=path)


def _job_of_checkpoint(path: Path) -> ProbeJob:
    if not (path.parent / "config.yaml").exists():
        raise UserError(f"there is no config.yaml beside {path}; a checkpoint has to be in its run's folder")
    experiment = models.experiment_of_checkpoint(path)
    if path.name == LAST and _is_finished(path.parent):
        return _job_of_folder(path.parent)
    return ProbeJob(experiment=experiment, folder=path.parent, checkpoint=path)


def _is_finished(folder: Path) -> bool:
    return (folder / "result.json").exists()

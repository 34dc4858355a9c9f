"""Probes on many models: what is known already is read, and what is found is kept at once."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import torch

from analysis import probes
from analysis.faults import LACKING, BrokenError, MachineError, reason
from analysis.jobs import Job
from analysis.known import holds, same, worse
from analysis.probes import Entry
from analysis.settings import Settings
from workbench.devices import release
from workbench.errors import UserError
from workbench.run_folder import claim, run_lock


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened to one probe of one model."""

    kind: Literal["begun", "read", "done", "failed"]
    """`read`: known already."""
    job: int
    probe: str
    entry: Entry | None = None
    """Of what was read or done; of what failed, the findings of before that stay."""
    seconds: float = 0.0
    text: str = ""
    """Why it failed, in a line."""


Listener = Callable[[Event], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is asked for of every model.

    Args:
        names: of the probes.
        settings: how closely it is probed.
        again: whether to repeat what is known already of these weights, probed so.
        threads: of each process.
        device: cpu or cuda.
    """

    names: Sequence[str]
    settings: Settings
    again: bool = False
    threads: int = 1
    device: str = "cpu"


def run(index: int, job: Job, order: Order, listen: Listener) -> bool:
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
        return _run(index, job, order, listen)
    finally:
        # By now nothing of the model is left.
        release(order.device)


def _run(index: int, job: Job, order: Order, listen: Listener) -> bool:
    left, settings = list(order.names), order.settings
    try:
        with run_lock(job.folder):
            subject, folder = job.load()
            folder.mkdir(exist_ok=True)
            if not job.trained:
                claim(folder, job.experiment)
            known, weights = probes.read(folder), subject.weights
            while left:
                name = left[0]
                entry, start = known.get(name), time.perf_counter()
                if order.again or entry is None or not holds(entry, weights, settings, order.device):
                    listen(Event(kind="begun", job=index, probe=name))
                    stays = entry
                    if entry is not None and (entry.findings is None or not same(entry, weights, asdict(settings))):
                        stays = None
                    # Whatever the number of processes, and whatever was probed before: the same numbers.
                    torch.manual_seed(settings.seed)
                    try:
                        moved(subject.model, order.device)
                        found = probes.analyze(subject, name, settings)
                        if stays is not None and (lost := worse(found, stays)) is not None:
                            raise MachineError(f"{lost}; what was found before stays")
                    except (UserError, MachineError) as error:
                        text = str(error)
                        listen(Event(kind="failed", job=index, probe=left.pop(0), entry=stays, text=text))
                        if isinstance(error, BrokenError):
                            return False
                        continue
                    probes.keep(folder, {name: found})
                    seconds = time.perf_counter() - start
                    listen(Event(kind="done", job=index, probe=left.pop(0), entry=found, seconds=seconds))
                else:
                    listen(Event(kind="read", job=index, probe=left.pop(0), entry=entry))
    except UserError as error:
        for name in left:
            listen(Event(kind="failed", job=index, probe=name, text=str(error)))
    return True


def moved(model: torch.nn.Module, device: str) -> None:
    """Moves a model.

    Raises:
        MachineError: if there is no room for it, or no such device.
    """
    try:
        model.to(device)
    except Exception as error:
        raise MachineError(reason(error, torch.device(device))) from error


def run_all(
    jobs: Sequence[Job], order: Order, *, workers: int = 1, listen: Listener = lambda event: None
) -> list[dict[str, Entry]]:
    """Applies probes to many models.

    Args:
        jobs: the models.
        order: what is asked for.
        workers: models side by side, each in a process of its own. The findings do not depend on their number; one on
            the CPU is this process.
        listen: told what happens to every probe of every model.

    Returns:
        What is known of every model, by probe.
    """
    found: list[dict[str, Entry]] = [{} for _ in jobs]

    def hear(event: Event) -> None:
        if event.entry is not None:
            found[event.job][event.probe] = event.entry
        listen(event)

    # A process that a GPU has failed in is of no more use, and must not be the user's.
    if min(workers, len(jobs)) > 1 or order.device == "cuda":
        from analysis.side_by_side import run_side_by_side

        run_side_by_side(jobs, order, workers=workers, listen=hear)
        return found
    before = torch.get_num_threads()
    torch.set_num_threads(order.threads)
    try:
        for index, job in enumerate(jobs):
            run(index, job, order, hear)
    finally:
        torch.set_num_threads(before)
    return found


def unavailable(found: Sequence[Mapping[str, Entry]]) -> dict[tuple[str, str], list[int]]:
    """Which models have nothing of a probe: their indices by the probe and the reason."""
    missing: dict[tuple[str, str], list[int]] = {}
    for index, entries in enumerate(found):
        for name, entry in entries.items():
            if entry.findings is None:
                missing.setdefault((name, entry.reason), []).append(index)
    return missing


def short_of_memory(found: Sequence[Mapping[str, Entry]]) -> dict[tuple[str, tuple[str, ...]], list[int]]:
    """Which models lack measures of a probe for want of memory: their indices by the probe and the measures."""
    lacking: dict[tuple[str, tuple[str, ...]], list[int]] = {}
    for index, entries in enumerate(found):
        for name, entry in entries.items():
            missing = {} if entry.findings is None else entry.findings.missing
            if parts := tuple(part for part, why in missing.items() if why == LACKING):
                lacking.setdefault((name, parts), []).append(index)
    return lacking

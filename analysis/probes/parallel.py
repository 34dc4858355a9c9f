"""Models probed by several processes at once."""

import threading
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

import torch

from analysis.probes.registry import ProbeRecord
from analysis.probes.runner import Listener, ProbeEvent, ProbeJob, ProbeOptions, run_probes
from workbench.files import one_line
from workbench.process_pool import describe_exit, end_with_parent, start_process

SPENT = "spent"
"""What a process says last that a GPU has failed in."""


@dataclass(slots=True, kw_only=True)
class ProbeWorker:
    """One process, the model it is at, and the probes of it that have not ended."""

    process: BaseProcess
    job: int | None = None
    left: list[str] = field(default_factory=list)


Waiting = deque[tuple[int, Sequence[str]]]
"""Models that nobody is at, each with the probes that are left to do."""


def run_in_parallel(jobs: Sequence[ProbeJob], order: ProbeOptions, *, workers: int, listen: Listener) -> None:
    """Applies probes to many models, a process a model; as `analysis.probes.parallel.run_all`.

    A process that dies costs the probes of its model that had not ended; one that a GPU has failed in costs the probe
    that it was at, and another goes on. If this is interrupted, all processes end.
    """
    waiting: Waiting = deque((index, order.names) for index in range(len(jobs)))
    crew: dict[Connection, ProbeWorker] = {}
    try:
        while True:
            for _ in range(min(workers, len(crew) + len(waiting)) - len(crew)):
                connection, process = start_process(_work, jobs, order, threads=order.threads)
                crew[connection] = ProbeWorker(process=process)
                _assign(connection, crew[connection], waiting)
            if not crew:
                return
            ready = wait(list(crew))
            for connection in [each for each in crew if each in ready]:
                _hear(connection, crew, waiting, listen)
    finally:
        for worker in crew.values():
            worker.process.kill()
        for worker in crew.values():
            worker.process.join()


def _assign(connection: Connection, worker: ProbeWorker, waiting: Waiting) -> None:
    worker.job, names = waiting.popleft() if waiting else (None, ())
    worker.left = list(names)
    # That a process has died is noticed where its answers are read.
    with suppress(OSError):
        connection.send(None if worker.job is None else (worker.job, names))


def _hear(connection: Connection, crew: dict[Connection, ProbeWorker], waiting: Waiting, listen: Listener) -> None:
    worker = crew[connection]
    try:
        event = connection.recv()
        if event is None:
            _assign(connection, worker, waiting)
            return
    except (EOFError, OSError):
        worker.process.join()
        del crew[connection]
        for name in worker.left:
            text = describe_exit(worker.process.exitcode or 0)
            listen(ProbeEvent(kind="failed", job=worker.job or 0, probe=name, text=text))
        return
    if event == SPENT:
        worker.process.kill()
        worker.process.join()
        del crew[connection]
        if worker.job is not None and worker.left:
            waiting.appendleft((worker.job, worker.left))
        return
    if event.kind != "begun":
        worker.left.remove(event.probe)
    listen(event)


def _work(connection: Connection, jobs: Sequence[ProbeJob], order: ProbeOptions) -> None:
    """What a process does: probes one model after another, as it is told."""
    import torch

    threading.Thread(target=end_with_parent, daemon=True).start()
    torch.set_num_threads(order.threads)
    while (told := connection.recv()) is not None:
        index, names = told
        left = list(names)

        def tell(event: ProbeEvent, left: list[str] = left) -> None:
            if event.kind != "begun":
                left.remove(event.probe)
            connection.send(event)

        working = True
        try:
            working = run_probes(index, jobs[index], replace(order, names=names), tell)
        except Exception as error:
            for name in list(left):
                tell(
                    ProbeEvent(kind="failed", job=index, probe=name, text=f"{type(error).__name__}: {one_line(error)}")
                )
        connection.send(None if working else SPENT)


def run_all(
    jobs: Sequence[ProbeJob], order: ProbeOptions, *, workers: int = 1, listen: Listener = lambda event: None
) -> list[dict[str, ProbeRecord]]:
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
    found: list[dict[str, ProbeRecord]] = [{} for _ in jobs]

    def hear(event: ProbeEvent) -> None:
        if event.entry is not None:
            found[event.job][event.probe] = event.entry
        listen(event)

    # A process that a GPU has failed in is of no more use, and must not be the user's.
    if min(workers, len(jobs)) > 1 or order.device == "cuda":
        run_in_parallel(jobs, order, workers=workers, listen=hear)
        return found
    before = torch.get_num_threads()
    torch.set_num_threads(order.threads)
    try:
        for index, job in enumerate(jobs):
            run_probes(index, job, order, hear)
    finally:
        torch.set_num_threads(before)
    return found

"""Models probed by several processes at once."""

import threading
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from analysis.analyze import Event, Listener, Order, run
from analysis.faults import said
from analysis.jobs import Job
from workbench.processes import end_with_parent, ending, hire


@dataclass(slots=True, kw_only=True)
class Worker:
    """One process, the model it is at, and the probes of it that have ended."""

    process: BaseProcess
    job: int | None = None
    ended: set[str] = field(default_factory=set)
    spent: bool = False
    """Whether it is to be replaced after this model."""


def run_side_by_side(jobs: Sequence[Job], order: Order, *, workers: int, listen: Listener) -> None:
    """Applies probes to many models, a process a model; as `analysis.analyze.run_all`.

    A process that dies costs the probes of its model that had not ended. If this is interrupted, all processes end.
    """
    waiting = deque(range(len(jobs)))
    crew: dict[Connection, Worker] = {}
    try:
        while True:
            for _ in range(min(workers, len(crew) + len(waiting)) - len(crew)):
                connection, process = hire(_work, jobs, order, threads=order.threads)
                crew[connection] = Worker(process=process)
                _assign(connection, crew[connection], waiting)
            if not crew:
                return
            ready = wait(list(crew))
            for connection in [each for each in crew if each in ready]:
                _hear(connection, crew, waiting, order, listen)
    finally:
        for worker in crew.values():
            worker.process.kill()
        for worker in crew.values():
            worker.process.join()


def _assign(connection: Connection, worker: Worker, waiting: deque[int]) -> None:
    worker.job, worker.ended = (waiting.popleft() if waiting else None), set()
    # That a process has died is noticed where its answers are read.
    with suppress(OSError):
        connection.send(worker.job)


def _hear(
    connection: Connection,
    crew: dict[Connection, Worker],
    waiting: deque[int],
    order: Order,
    listen: Listener,
) -> None:
    worker = crew[connection]
    try:
        event = connection.recv()
        if event is None and worker.spent:
            worker.process.kill()
            worker.process.join()
            del crew[connection]
            return
        if event is None:
            _assign(connection, worker, waiting)
            return
    except (EOFError, OSError):
        worker.process.join()
        del crew[connection]
        for name in () if worker.job is None else order.names:
            if name not in worker.ended:
                text = ending(worker.process.exitcode or 0)
                listen(Event(kind="failed", job=worker.job or 0, probe=name, text=text))
        return
    if event.kind != "begun":
        worker.ended.add(event.probe)
    # After some errors a GPU refuses all else that the process asks of it.
    worker.spent |= event.kind == "failed" and order.device == "cuda"
    listen(event)


def _work(connection: Connection, jobs: Sequence[Job], order: Order) -> None:
    """What a process does: probes one model after another, as it is told."""
    import torch

    threading.Thread(target=end_with_parent, daemon=True).start()
    torch.set_num_threads(order.threads)
    while (index := connection.recv()) is not None:
        left = list(order.names)

        def tell(event: Event, left: list[str] = left) -> None:
            if event.kind != "begun":
                left.remove(event.probe)
            connection.send(event)

        try:
            run(index, jobs[index], order, tell)
        except Exception as error:
            for name in list(left):
                tell(Event(kind="failed", job=index, probe=name, text=said(error)))
        connection.send(None)

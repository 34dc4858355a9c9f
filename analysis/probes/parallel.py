"""Probes applied to many models, in this process or in several at once."""

from collections.abc import Sequence
from dataclasses import replace
from multiprocessing.connection import Connection
from time import sleep

import torch

from analysis.probes.model_queue import ModelQueue, ModelTask
from analysis.probes.records import ProbeRecord
from analysis.probes.runner import EventHandler, ProbeEvent, ProbeJob, ProbeOptions, run_probes
from workbench.files import describe_error
from workbench.process_pool import IDLE_SECONDS, PoolWorker, ProcessPool, end_with_parent
from workbench.run_folder import BusyError

UNUSABLE = "unusable"
"""The last message of a process in which a GPU has failed."""
BUSY = "busy"
"""The message that another process was a moment earlier."""


def run_all(
    jobs: Sequence[ProbeJob], options: ProbeOptions, *, workers: int = 1, on_event: EventHandler = lambda event: None
) -> list[dict[str, ProbeRecord]]:
    """Applies probes to many models.

    Others may do the same in the same folder: models that they are at work on are put off, and what they have measured
    is read.

    Args:
        jobs: the models.
        options: the probes and their settings.
        workers: models that are probed at the same time, each in a process of its own. The results do not depend on
            this number; a single one on the CPU is probed in this process.
        on_event: receives what happens to every probe of every model.

    Returns:
        For each model, the records of its probes by name.
    """
    records: list[dict[str, ProbeRecord]] = [{} for _ in jobs]

    def keep_record(event: ProbeEvent) -> None:
        if event.record is not None:
            records[event.job][event.probe] = event.record
        on_event(event)

    # A process in which a GPU has failed cannot go on, and must not be the user's.
    if min(workers, len(jobs)) > 1 or options.device == "cuda":
        ProbePool(jobs, options, workers=workers, on_event=keep_record).run_processes()
        return records
    before = torch.get_num_threads()
    torch.set_num_threads(options.threads)
    try:
        queue = ModelQueue(jobs, options.names, keep_record)
        while queue.has_free or queue.has_held:
            if (task := queue.take()) is None:
                sleep(IDLE_SECONDS)
                queue.look()
                continue
            try:
                run_probes(task.job, jobs[task.job], options, keep_record)
            except BusyError:
                queue.put_off(task)
    finally:
        torch.set_num_threads(before)
    return records


class ProbePool(ProcessPool):
    """Applies probes to many models, one model a process.

    A process that dies costs the remaining probes of its model. One in which a GPU has failed costs the probe that
    failed, and another process takes over the rest. Models that others are at work on are put off, and waited for at
    the end. If the pool is interrupted, all processes end.

    Args:
        jobs: the models.
        options: the probes and their settings.
        workers: how many models are probed at the same time.
        on_event: receives what happens to every probe of every model.
    """

    def __init__(
        self, jobs: Sequence[ProbeJob], options: ProbeOptions, *, workers: int, on_event: EventHandler
    ) -> None:
        super().__init__(run_worker, jobs, options, workers=workers, threads=options.threads)
        self.on_event = on_event
        self._queue = ModelQueue(jobs, options.names, on_event)
        self._resting: list[PoolWorker] = []
        """Processes that have nothing to do as long as nothing becomes free."""

    def has_work(self) -> bool:
        """Returns whether a model waits for a process."""
        return self._queue.has_free and not self._resting

    def expects_work(self) -> bool:
        """Returns whether a model that others are at work on is yet to be read."""
        return self._queue.has_held

    def on_start(self, worker: PoolWorker) -> None:
        """Gives a process the next model, or lets it end if none is left, or rest if others will leave one."""
        worker.task = None if self.stopping else self._queue.take()
        if worker.task is not None:
            worker.send(worker.task)
        elif self.stopping or not self._queue.has_held:
            self.dismiss(worker)
        else:
            self._resting.append(worker)

    def on_idle(self) -> None:
        """Looks what others have left, and gives it to the processes that rest."""
        self._queue.look()
        if self._queue.has_free or not self._queue.has_held:
            resting, self._resting = self._resting, []
            for worker in resting:
                self.on_start(worker)

    def on_message(self, worker: PoolWorker, message: ProbeEvent | str | None) -> None:
        """Passes an event on; `None` asks for the next model, and a broken process is replaced."""
        task: ModelTask = worker.task
        if message is None:
            self.on_start(worker)
        elif message == BUSY:
            self._queue.put_off(task)
            self.on_start(worker)
        elif isinstance(message, str):
            self.retire(worker)
            if task.probes:
                self._queue.put_back(task)
        else:
            if message.kind != "begun":
                task.probes.remove(message.probe)
            self.on_event(message)

    def on_exit(self, worker: PoolWorker, reason: str) -> None:
        """Reports the remaining probes of a model whose process died."""
        if worker in self._resting:
            self._resting.remove(worker)
        if worker.task is not None:
            for name in worker.task.probes:
                self.on_event(ProbeEvent(kind="failed", job=worker.task.job, probe=name, text=reason))


def run_worker(connection: Connection, jobs: Sequence[ProbeJob], options: ProbeOptions) -> None:
    """Probes the models that come over the connection until `None` comes. A process's target."""
    end_with_parent()
    torch.set_num_threads(options.threads)
    while isinstance(task := connection.recv(), ModelTask):
        remaining = list(task.probes)

        def send_event(event: ProbeEvent, remaining: list[str] = remaining) -> None:
            if event.kind != "begun":
                remaining.remove(event.probe)
            connection.send(event)

        usable = True
        try:
            usable = run_probes(task.job, jobs[task.job], replace(options, names=task.probes), send_event)
        except BusyError:
            connection.send(BUSY)
            continue
        except Exception as error:
            text = f"{type(error).__name__}: {describe_error(error)}"
            for name in list(remaining):
                send_event(ProbeEvent(kind="failed", job=task.job, probe=name, text=text))
        connection.send(None if usable else UNUSABLE)

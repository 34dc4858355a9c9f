"""Training runs side by side, in processes whose threads do not compete for cores."""

import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from time import sleep
from typing import TYPE_CHECKING

from workbench.config import Experiment
from workbench.errors import UserError
from workbench.files import describe_error, write_text
from workbench.logger_interface import LoggerSpec
from workbench.malloc import keep_memory
from workbench.process_pool import IDLE_SECONDS, PoolWorker, ProcessPool, WorkerConnection, end_with_parent
from workbench.run_folder import BusyError, run_folder
from workbench.run_queue import Listener, RunEvent, RunQueue

if TYPE_CHECKING:
    from workbench.training.lanes import Lane


@dataclass(slots=True)
class Assignment:
    """The runs that a process has at a time, and what is still to come from it."""

    under_way: dict[int, int]
    """Indices of the runs that have not ended, by their places."""
    failed: bool = False


class RunPool(ProcessPool):
    """Runs experiments in `workers` processes of `threads` threads each.

    A process that dies (out of memory, killed) costs the experiment that it was running; the others go on. So does a
    run that fails on a GPU, whose process is replaced. Runs that others are at work on are skipped, and waited for at
    the end.

    Args:
        out: the folder of results.
        workers: how many experiments run at the same time.
        device: `cpu` or `cuda`.
        threads: threads of each process.
        loggers: of each run.
        at_once: how many seeds of a configuration a process trains at a time, by its identity; one where it is missing.
    """

    ends_silent_workers = True

    def __init__(
        self,
        *,
        out: Path,
        workers: int,
        device: str = "cpu",
        threads: int = 1,
        loggers: Sequence[LoggerSpec] = (),
        at_once: Mapping[str, int] | None = None,
    ) -> None:
        super().__init__(run_worker, out, device, threads, tuple(loggers), workers=workers, threads=threads)
        self.out, self.device, self.at_once = out, device, at_once or {}
        self._experiments: Sequence[Experiment] = ()
        self._listen: Listener = lambda index, event: None
        self._queue = RunQueue(out, (), self._listen)
        self._resting: list[PoolWorker] = []
        """Processes that have nothing to do as long as nothing becomes free."""

    def run(self, experiments: Sequence[Experiment], listen: Listener) -> None:
        """Runs them all, or, once stopped, as many as were finished by then.

        Args:
            experiments: what to run.
            listen: called with each event of each run.
        """
        self._experiments, self._listen = experiments, listen
        self._queue = RunQueue(self.out, experiments, listen)
        self._resting.clear()
        self.run_processes()

    def has_work(self) -> bool:
        """Returns whether an experiment waits for a process."""
        return self._queue.has_free and not self._resting

    def expects_work(self) -> bool:
        """Returns whether a run that others are at work on may come to be this pool's."""
        return bool(self._queue.held)

    def on_start(self, worker: PoolWorker) -> None:
        """Gives a process the next experiment, or lets it end if none is left, or rest if others may leave one."""
        index = None if self.stopping else self._queue.take()
        worker.task = None
        if index is not None:
            indices = [index]
            if self.at_once and (most := self.at_once.get(self._experiments[index].identity, 1)) > 1:
                indices += self._queue.take_like(index, most - 1)
            worker.task = Assignment(dict(enumerate(indices)))
            worker.send(tuple(self._experiments[index] for index in indices))
        elif self.stopping or not self._queue.held:
            self.dismiss(worker)
        else:
            self._resting.append(worker)

    def on_idle(self) -> None:
        """Looks what others have done, and gives what they have left to the processes that rest."""
        if self.stopping:
            return
        self._queue.look()
        if self._queue.has_free or not self._queue.held:
            resting, self._resting = self._resting, []
            for worker in resting:
                self.on_start(worker)

    def on_message(self, worker: PoolWorker, message: RunEvent) -> None:
        """Passes an event on, and gives a process whose run has ended the next experiment."""
        assignment: Assignment = worker.task
        index = assignment.under_way[message.place]
        if message.kind == "busy" and self.stopping:
            message = replace(message, kind="stopped")
        if message.kind == "busy":
            # Another process was a moment earlier.
            self._queue.put_back(index)
        else:
            # First, as a refusal stops the pool: the process must not lock another run before it learns of that.
            self._listen(index, message)
        if message.kind in ("step", "note"):
            return
        del assignment.under_way[message.place]
        assignment.failed |= message.kind == "failed"
        if assignment.under_way:
            return
        if assignment.failed and self.device == "cuda":
            # After some errors a GPU refuses everything else that the process asks of it.
            self.retire(worker)
        else:
            self.on_start(worker)

    def on_exit(self, worker: PoolWorker, reason: str) -> None:
        """Tells how the runs of a process ended that died."""
        if worker in self._resting:
            self._resting.remove(worker)
        if worker.task is not None:
            event = RunEvent(kind="stopped") if self.stopping else RunEvent(kind="failed", text=reason)
            for index in worker.task.under_way.values():
                self._listen(index, event)


class SameProcessPool:
    """Runs experiments one after another in this process, for what cannot be sent to another one.

    Args:
        out: the folder of results.
        device: `cpu` or `cuda`.
        threads: threads to compute with.
        loggers: of each run.
    """

    def __init__(self, *, out: Path, device: str = "cpu", threads: int = 1, loggers: Sequence[LoggerSpec] = ()) -> None:
        self.out, self.device, self.threads, self.loggers = out, device, threads, loggers
        self.stopping = False

    def run(self, experiments: Sequence[Experiment], listen: Listener) -> None:
        """Runs them all, or, once stopped, as many as were finished by then.

        Args:
            experiments: what to run.
            listen: called with each event of each run.
        """
        import torch

        before = torch.get_num_threads()
        try:
            queue = RunQueue(self.out, experiments, listen)
            while not self.stopping and (queue.has_free or queue.held):
                if (index := queue.take()) is None:
                    sleep(IDLE_SECONDS)
                    queue.look()
                    continue
                send = partial(listen, index)
                options = (self.out, self.device, self.threads, send)
                event = run_one(experiments[index], *options, stop=lambda: self.stopping, loggers=self.loggers)
                if event.kind == "busy":
                    queue.put_back(index)
                else:
                    send(event)
            for index in queue.drain():
                listen(index, RunEvent(kind="stopped"))
        finally:
            torch.set_num_threads(before)

    def stop(self) -> None:
        """Asks the run under way to save its work and end. Safe to call from a signal handler."""
        self.stopping = True

    def kill(self) -> None:
        """Does nothing: whoever calls it raises an exception in this process."""


def run_worker(
    connection: Connection, out: Path, device: str, threads: int, loggers: Sequence[LoggerSpec] = ()
) -> None:
    """Runs the experiments that come over the connection until something else comes. A process's target.

    Several that come together, which differ in their seeds alone, are trained as one stacked model.
    """
    end_with_parent()
    # Before PyTorch takes its first memory.
    keep_memory()
    pool = WorkerConnection(connection)
    while isinstance(experiments := connection.recv(), tuple):
        options = (out, device, threads, pool.send)
        if len(experiments) == 1:
            pool.send(run_one(experiments[0], *options, stop=pool.stopped, loggers=loggers))
        else:
            run_stacked(experiments, *options, stop=pool.stopped, loggers=loggers)


def run_stacked(
    experiments: Sequence[Experiment],
    out: Path,
    device: str,
    threads: int,
    send: Callable[[RunEvent], None],
    *,
    stop: Callable[[], bool],
    loggers: Sequence[LoggerSpec] = (),
) -> None:
    """Runs experiments that differ in their seeds alone as one stacked model in this process.

    Args:
        experiments: what to run.
        out: the folder of results.
        device: `cpu` or `cuda`.
        threads: threads to compute with.
        send: receives what happens to each of them, with its place, up to how it has ended.
        stop: asked after every step of each of them whether to stop there.
        loggers: of the runs.
    """
    import torch

    from workbench.training.lanes import run_lanes

    # PyTorch has this number for each thread that calls it.
    torch.set_num_threads(threads)

    under_way = set(range(len(experiments)))

    def run_in(place: int, lane: "Lane") -> None:
        def send_placed(event: RunEvent) -> None:
            send(replace(event, place=place))

        options = (out, device, threads, send_placed)
        try:
            event = run_one(experiments[place], *options, stop=stop, loggers=loggers, lane=lane)
        except SystemExit as error:
            # Alone it would end the process, which whoever waits for it sees.
            text = f"{describe_failure(error, True)}{write_traceback(experiments[place], out)}"
            event = RunEvent(kind="failed", text=text)
        under_way.discard(place)
        send_placed(event)

    works = [partial(run_in, place) for place in range(len(experiments))]
    run_lanes(works, tell=lambda line: send(RunEvent(kind="note", text=line, place=min(under_way))))


def run_one(
    experiment: Experiment,
    out: Path,
    device: str,
    threads: int,
    send: Callable[[RunEvent], None],
    *,
    stop: Callable[[], bool],
    loggers: Sequence[LoggerSpec] = (),
    lane: "Lane | None" = None,
) -> RunEvent:
    """Runs an experiment in this process, and returns how it ended.

    Args:
        experiment: what to run.
        out: the folder of results.
        device: `cpu` or `cuda`.
        threads: threads to compute with.
        send: receives what happens until then.
        stop: asked after every step whether to stop there.
        loggers: of the run.
        lane: what computes its gradients together with those of other seeds, if it is one of several.
    """
    from workbench.run import RunDevice, run

    try:
        run_or_none = run(
            experiment,
            out,
            RunDevice(device=device, threads=threads),
            stop=stop,
            on_progress=lambda step: send(RunEvent(kind="step", step=step)),
            log=lambda text: send(RunEvent(kind="note", text=text)),
            loggers=loggers,
            lane=lane,
        )
        return RunEvent(kind="stopped" if run_or_none is None else "finished")
    except BusyError as error:
        return RunEvent(kind="busy", text=str(error))
    except UserError as error:
        return RunEvent(kind="refused", text=str(error))
    except Exception as error:
        several = lane is not None
        return RunEvent(kind="failed", text=f"{describe_failure(error, several)}{write_traceback(experiment, out)}")


def describe_failure(error: BaseException, several: bool = False) -> str:
    """Returns why a run failed, in a line.

    Args:
        error: what was raised.
        several: whether it was one of several in a process.
    """
    import torch

    if isinstance(error, torch.OutOfMemoryError):
        fewer = "fewer --seeds-at-once or --workers" if several else "fewer --workers"
        return f"the GPU has too little memory left; {fewer}, or a smaller --batch-size, take less"
    return f"{type(error).__name__}: {describe_error(error)}"


def write_traceback(experiment: Experiment, out: Path) -> str:
    """Writes the traceback of the present exception beside the run.

    Returns:
        A clause that says where it is; empty if it could not be written.
    """
    path = run_folder(out, experiment) / "error.log"
    try:
        write_text(path, traceback.format_exc())
    except OSError:
        return ""
    return f" (see {path})"

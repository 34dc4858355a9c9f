"""What `train` and `compare` share: experiments in, finished runs out."""

import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Protocol

from architectures.kernels import prepare
from architectures.registry import load
from workbench.cli.options import RunOptions
from workbench.cli.output import RunProgress, run_label, warn
from workbench.config import Experiment
from workbench.devices import device_named
from workbench.errors import UserError
from workbench.process_pool import ProcessPool, RunEvent
from workbench.results import Run, read
from workbench.run_folder import check_writable, claim, run_folder

OUT_OF_TIME = 3
"""The exit status of what the time was too short for."""


class StoppablePool(Protocol):
    """What can save what is under way and end."""

    @property
    def stopping(self) -> bool: ...
    def stop(self) -> None: ...
    def kill(self) -> None: ...


def execute(
    experiments: Sequence[Experiment],
    settings: RunOptions,
    begin: Callable[[], None] = lambda: None,
    name: Callable[[Experiment], str] = run_label,
    until: float | None = None,
) -> tuple[list[Run], int]:
    """Runs what has not been run yet.

    Args:
        experiments: what to run.
        settings: where.
        begin: called once nothing has been refused, before anything is trained.
        name: what messages call an experiment.
        until: when to save what is under way and end, by `time.monotonic`; by default when all is done.

    Returns:
        All runs that are finished, in the order of the experiments; and the exit status: 0 if that is all of them,
        1 if some failed, 3 if the time was up before, 130 if it was interrupted.

    Raises:
        UserError: if one of them is refused. Nothing more is begun then; what was under way can go on another time.
    """
    device = device_named(settings.device)
    out = check_writable(settings.folder)
    runs: dict[int, Run] = {}
    for index, experiment in enumerate(experiments):
        if (run_folder(out, experiment) / "result.json").exists():
            claim(run_folder(out, experiment), experiment)
            runs[index] = read(run_folder(out, experiment))
    left = [index for index in range(len(experiments)) if index not in runs]
    begin()
    if runs:
        print(f"{len(runs)} of {len(experiments)} runs are finished already and are read", file=sys.stderr)
    if device == "cpu" and any(load(experiments[index].architecture.name).compiled for index in left):
        prepare(warn)
    pool = ProcessPool(out=out, workers=settings.side_by_side(device), device=device, threads=settings.threads)
    refused: list[str] = []
    failed: list[str] = []

    labels = [name(experiments[index]) for index in left]
    mirror = settings.mirror(warn)
    with (
        mirror,
        RunProgress([experiments[index] for index in left], labels) as progress,
        stop_on_interrupt(pool, until) as ending,
    ):

        def listen(place: int, event: RunEvent) -> None:
            index = left[place]
            match event.kind:
                case "step":
                    progress.step(place, event.step)
                case "note":
                    progress.say(f"{labels[place]}: {event.text}")
                case "finished":
                    runs[index] = read(run_folder(out, experiments[index]))
                    progress.end(place, runs[index])
                    mirror.add(runs[index])
                case "stopped":
                    pass
                case "refused":
                    refused.append(event.text)
                    pool.stop()
                case "failed":
                    failed.append(f"{labels[place]} failed: {event.text}")
                    progress.end(place, None, "failed")

        for run in list(runs.values()):
            mirror.add(run)
        pool.run([experiments[index] for index in left], listen)

    if refused:
        raise UserError(refused[0])
    finished = [runs[index] for index in sorted(runs)]
    for line in failed:
        warn(line)
    if len(runs) + len(failed) < len(experiments):
        done = f"{len(runs)} of {len(experiments)} runs are finished"
        warn(f"{'the time is up' if ending.timed_out else 'interrupted'}: {done}; the same command goes on from there")
        return finished, OUT_OF_TIME if ending.timed_out else 130
    return finished, 1 if failed else 0


@dataclass(slots=True)
class StopHandler:
    """Why it ended before all was done."""

    timed_out: bool = False


@contextmanager
def stop_on_interrupt(pool: StoppablePool, until: float | None = None) -> Iterator[StopHandler]:
    """Ctrl-C, or a polite kill, saves what is under way and ends, and so does the time that is up; a second Ctrl-C ends
    at once.

    Args:
        pool: what is to end.
        until: when, by `time.monotonic`, where there is a limit.
    """
    ending = StopHandler()
    asked = False

    def time_is_up(number: int, frame: FrameType | None) -> None:
        if not pool.stopping:
            ending.timed_out = True
            pool.stop()

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            pool.kill()
            raise KeyboardInterrupt
        asked = True
        print("\nstopping: saving what is under way (once more to stop at once)", file=sys.stderr)
        # Where the time is up, that has begun.
        if not pool.stopping:
            pool.stop()

    handlers = {signal.SIGINT: interrupt, signal.SIGTERM: interrupt, signal.SIGALRM: time_is_up}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    if until is not None:
        signal.setitimer(signal.ITIMER_REAL, max(1e-3, until - time.monotonic()))
    try:
        yield ending
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)

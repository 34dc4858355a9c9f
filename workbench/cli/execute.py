"""What `train` and `compare` share: experiments in, finished runs out."""

import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Protocol

from architectures.catalogue import load
from architectures.kernels import prepare
from workbench.cli.complain import complain
from workbench.cli.progress import Progress, label
from workbench.cli.settings import Settings
from workbench.config import Experiment
from workbench.errors import UserError
from workbench.folder import claim, folder_of, writable
from workbench.pool import Pool
from workbench.results import Run, read
from workbench.run import device_named
from workbench.worker import Event


class Stoppable(Protocol):
    """What can save what is under way and end."""

    @property
    def stopping(self) -> bool: ...
    def stop(self) -> None: ...
    def kill(self) -> None: ...


def execute(
    experiments: Sequence[Experiment],
    settings: Settings,
    begin: Callable[[], None] = lambda: None,
    name: Callable[[Experiment], str] = label,
) -> tuple[list[Run], int]:
    """Runs what has not been run yet.

    Args:
        experiments: what to run.
        settings: where.
        begin: called once nothing has been refused, before anything is trained.
        name: what messages call an experiment.

    Returns:
        All runs that are finished, in the order of the experiments; and the exit status: 0 if that is all of them,
        1 if some failed, 130 if it was interrupted.

    Raises:
        UserError: if one of them is refused. Nothing more is begun then; what was under way can go on another time.
    """
    device = device_named(settings.device)
    out = writable(settings.folder)
    runs: dict[int, Run] = {}
    for index, experiment in enumerate(experiments):
        if (folder_of(out, experiment) / "result.json").exists():
            claim(folder_of(out, experiment), experiment)
            runs[index] = read(folder_of(out, experiment))
    left = [index for index in range(len(experiments)) if index not in runs]
    begin()
    if runs:
        print(f"{len(runs)} of {len(experiments)} runs are finished already and are read", file=sys.stderr)
    if device == "cpu" and any(load(experiments[index].architecture.name).compiled for index in left):
        prepare(complain)
    pool = Pool(out=out, workers=settings.side_by_side(device), device=device, threads=settings.threads)
    refused: list[str] = []
    failed: list[str] = []

    labels = [name(experiments[index]) for index in left]
    mirror = settings.mirror(complain)
    with mirror, Progress([experiments[index] for index in left], labels) as progress, interruptible(pool):

        def listen(place: int, event: Event) -> None:
            index = left[place]
            match event.kind:
                case "step":
                    progress.step(place, event.step)
                case "note":
                    progress.say(f"{labels[place]}: {event.text}")
                case "finished":
                    runs[index] = read(folder_of(out, experiments[index]))
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
        complain(line)
    if len(runs) + len(failed) < len(experiments):
        done = f"{len(runs)} of {len(experiments)} runs are finished"
        complain(f"interrupted: {done}; the same command goes on from there")
        return finished, 130
    return finished, 1 if failed else 0


@contextmanager
def interruptible(pool: Stoppable) -> Iterator[None]:
    """Ctrl-C, or a polite kill, saves what is under way and ends; a second one ends at once."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        if pool.stopping:
            pool.kill()
            raise KeyboardInterrupt
        print("\nstopping: saving what is under way (once more to stop at once)", file=sys.stderr)
        pool.stop()

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

"""Running experiments for a command: finished runs are read, the others trained, with progress and a clean stop."""

import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Protocol

from architectures.kernels import build_native_kernels
from architectures.registry import load_encoder_class
from workbench.cli.options import RunOptions
from workbench.cli.output import RunProgress, run_label, run_summary, warn
from workbench.config import Experiment
from workbench.devices import resolve_device
from workbench.errors import UserError
from workbench.memory_needs import check_memory
from workbench.results import Run, read_run
from workbench.run_folder import check_free, check_writable, claim, run_folder
from workbench.run_pool import RunEvent, RunPool

OUT_OF_TIME = 3
"""Exit status of a command that ended at its time limit."""
INTERRUPTED = 130
"""Exit status of a command that was interrupted."""


def execute(
    experiments: Sequence[Experiment],
    options: RunOptions,
    on_start: Callable[[], None] = lambda: None,
    label: Callable[[Experiment], str] = run_label,
    deadline: float | None = None,
    plan: str | None = None,
) -> tuple[list[Run], int]:
    """Runs the experiments that have not been run yet.

    Args:
        experiments: what to run.
        options: where to run it.
        on_start: called before anything is trained, once the folder and the finished runs have been checked.
        label: returns the name of an experiment in messages.
        deadline: when to save what is under way and end, by `time.monotonic`; by default when all is done.
        plan: what the experiments are, in words; then it is printed before anything is trained, with how many are left
            and how many run at a time, and once the first has ended, how long the others will take.

    Returns:
        All runs that are finished, in the order of the experiments; and the exit status: 0 if all are finished, 1 if
        some failed, 3 if the time was up before, 130 if it was interrupted.

    Raises:
        UserError: if one of them is refused. Nothing more is started then; what was under way can be resumed.
    """
    device = resolve_device(options.device)
    out = check_writable(options.folder)
    runs: dict[int, Run] = {}
    for index, experiment in enumerate(experiments):
        folder = run_folder(out, experiment)
        if (folder / "result.json").exists():
            claim(folder, experiment)
            runs[index] = read_run(folder)
    pending = [index for index in range(len(experiments)) if index not in runs]
    for index in pending:
        # Before anything is started, so that this command takes no lock from one that is under way.
        check_free(run_folder(out, experiments[index]))
    for experiment in {experiments[index].identity: experiments[index] for index in pending}.values():
        check_memory(experiment, device)
    on_start()
    workers = options.worker_count(device)
    reading = f"{len(runs)} of {len(experiments)} runs are finished already and are read" if runs else ""
    if plan is not None:
        training = f"{min(workers, len(pending))} at a time on {device}" if pending else ""
        print("; ".join(filter(None, (plan, reading or "none is finished yet", training))), file=sys.stderr)
    elif reading:
        print(reading, file=sys.stderr)
    if device == "cpu" and any(load_encoder_class(experiments[index].architecture.name).compiled for index in pending):
        build_native_kernels(warn)
    pool = RunPool(out=out, workers=workers, device=device, threads=options.threads)
    refusals: list[str] = []
    failures: list[str] = []

    labels = [label(experiments[index]) for index in pending]
    mirror = options.mirror(warn)
    with (
        mirror,
        RunProgress([experiments[index] for index in pending], labels, tell_time=plan is not None) as progress,
        stop_on_interrupt(pool, deadline) as stop_reason,
    ):

        def on_event(position: int, event: RunEvent) -> None:
            index = pending[position]
            match event.kind:
                case "step":
                    progress.on_step(position, event.step)
                case "note":
                    progress.print_line(f"{labels[position]}: {event.text}")
                case "finished":
                    run = read_run(run_folder(out, experiments[index]))
                    runs[index] = run
                    progress.on_end(position, run_summary(run))
                    mirror.add(run)
                case "stopped" | "busy":
                    pass
                case "refused":
                    refusals.append(event.text)
                    pool.stop()
                case "failed":
                    failures.append(f"{labels[position]} failed: {event.text}")
                    progress.on_end(position, "failed")

        for run in list(runs.values()):
            mirror.add(run)
        pool.run([experiments[index] for index in pending], on_event)

    if refusals:
        raise UserError(refusals[0])
    finished = [runs[index] for index in sorted(runs)]
    for line in failures:
        warn(line)
    if len(runs) + len(failures) < len(experiments):
        reason = "the time is up" if stop_reason.timed_out else "interrupted"
        warn(f"{reason}: {len(runs)} of {len(experiments)} runs are finished; run the same command again to resume")
        return finished, OUT_OF_TIME if stop_reason.timed_out else INTERRUPTED
    return finished, 1 if failures else 0


class StoppablePool(Protocol):
    """Processes that can save what is under way and end."""

    @property
    def stopping(self) -> bool:
        """True once it has been told to stop."""

    def stop(self) -> None:
        """Tells the processes to save what is under way and end."""

    def kill(self) -> None:
        """Ends the processes at once."""


@dataclass(slots=True)
class StopReason:
    """Reason why work was stopped before its end."""

    timed_out: bool = False
    """True if the time was up; if not, it was interrupted, or not stopped at all."""


@contextmanager
def stop_on_interrupt(pool: StoppablePool, deadline: float | None = None) -> Iterator[StopReason]:
    """Stops a pool on Ctrl-C, SIGTERM, SIGHUP or SIGUSR1, or when the time is up: it saves what is under way and ends.

    A second signal ends it at once, unless it follows within a second: `timeout` and batch systems send several.

    Args:
        pool: what to stop.
        deadline: when the time is up, by `time.monotonic`, if there is a limit.
    """
    reason = StopReason()
    interrupted, interrupted_at = False, 0.0

    def on_alarm(number: int, frame: FrameType | None) -> None:
        if not pool.stopping:
            reason.timed_out = True
            pool.stop()

    def on_interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal interrupted, interrupted_at
        if interrupted and number != signal.SIGINT and time.monotonic() - interrupted_at < 1:
            return
        if interrupted:
            pool.kill()
            raise KeyboardInterrupt
        interrupted, interrupted_at = True, time.monotonic()
        print("\nstopping: saving what is under way (once more to stop at once)", file=sys.stderr)
        # It may be stopping already, because the time is up.
        if not pool.stopping:
            pool.stop()

    # A batch system warns by SIGUSR1, a closed terminal by SIGHUP, unless nohup has it ignored.
    numbers = [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1]
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    handlers = {**dict.fromkeys(numbers, on_interrupt), signal.SIGALRM: on_alarm}
    previous = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    if deadline is not None:
        signal.setitimer(signal.ITIMER_REAL, max(1e-3, deadline - time.monotonic()))
    try:
        yield reason
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in previous.items():
            signal.signal(number, handler)

"""Running experiments: finished runs are read, the others trained, with progress and a clean stop."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from architectures.kernels import build_native_kernels
from architectures.registry import load_encoder_class
from workbench.config import Experiment
from workbench.custom_parts import user_errors
from workbench.errors import UserError
from workbench.given_classes import find_unpicklable
from workbench.interrupts import stop_on_interrupt
from workbench.launchers.remote_pool import RemotePool
from workbench.leases import LEASE_FILE
from workbench.logger_failures import FailureCount
from workbench.logger_interface import LoggerSpec
from workbench.memory_needs import check_memory
from workbench.progress import RunProgress, run_label, run_summary
from workbench.results import Run, read_run
from workbench.run_folder import claim, find_holder, run_folder
from workbench.run_pool import RunPool, SameProcessPool
from workbench.run_queue import RunEvent
from workbench.seeds_at_once import choose_seeds_at_once


class RunMirror(Protocol):
    """Receives every finished run, and is open while runs are trained."""

    def add(self, run: Run) -> object:
        """Takes a run."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None, /
    ) -> bool | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """What has become of experiments."""

    runs: tuple[Run, ...]
    """The finished runs, in the order of the experiments."""
    failures: tuple[str, ...]
    """A line for each run that failed."""
    asked: int
    """The number of experiments."""
    timed_out: bool = False
    """True if the time was up before all were finished."""

    @property
    def stopped(self) -> bool:
        """True if it ended before all experiments did."""
        return len(self.runs) + len(self.failures) < self.asked

    def describe_stop(self) -> str:
        """Returns why it ended before all experiments did, and how many are finished."""
        reason = "the time is up" if self.timed_out else "interrupted"
        return f"{reason}: {len(self.runs)} of {self.asked} runs are finished"


def execute_runs(
    experiments: Sequence[Experiment],
    *,
    out: Path,
    device: str,
    workers: int,
    threads: int,
    say: Callable[[str], None],
    warn: Callable[[str], None],
    on_start: Callable[[], None] = lambda: None,
    label: Callable[[Experiment], str] = run_label,
    mirror: RunMirror | None = None,
    deadline: float | None = None,
    plan: str | None = None,
    quiet: bool = False,
    loggers: Callable[[], Sequence[LoggerSpec]] = tuple,
    remote: RemotePool | None = None,
    seeds_at_once: int = 1,
) -> Execution:
    """Runs the experiments that have not been run yet.

    Others may do the same in the same folder: runs that they are at work on are skipped, and waited for at the end.

    Args:
        experiments: what to run.
        out: the folder of results, which can be written.
        device: cpu or cuda.
        workers: how many run at the same time.
        threads: of each.
        say: receives lines about what is done.
        warn: receives lines about what went wrong.
        on_start: called before anything is trained, once the folder and the finished runs have been checked.
        label: returns the name of an experiment in messages.
        mirror: receives every finished run.
        deadline: when to save what is under way and end, by `time.monotonic`; by default when all is done.
        plan: what the experiments are, in words; then it is said before anything is trained, with how many are left
            and how many run at a time, and once the first has ended, how long the others will take.
        quiet: whether no progress is shown.
        loggers: returns what each run is logged to; called if there is one to train, as it may ask a server.
        remote: has others train the runs, with devices, processes and loggers of their own.
        seeds_at_once: how many seeds of a configuration each process trains as one stacked model, where it can be.

    Raises:
        UserError: if one of them is refused. Nothing more is started then; what was under way can be resumed.
    """
    runs: dict[int, Run] = {}
    for index, experiment in enumerate(experiments):
        folder = run_folder(out, experiment)
        if (folder / "result.json").exists():
            claim(folder, experiment)
            runs[index] = read_run(folder)
            if (folder / LEASE_FILE).exists():
                # Perhaps left over by a process that was killed just after it had written the result.
                find_holder(folder)
    pending = [index for index in range(len(experiments)) if index not in runs]
    configurations = {experiments[index].identity: experiments[index] for index in pending if not remote}
    for experiment in configurations.values():
        with user_errors(f"{experiment.architecture.name} on {experiment.task.name}"):
            check_memory(experiment, device)
    at_once = choose_seeds_at_once([experiments[index] for index in pending if not remote], seeds_at_once, warn)
    for identity, seeds in at_once.items():
        check_memory(configurations[identity], device, seeds)
    specs = loggers() if pending and remote is None else ()
    on_start()
    if (unpicklable := find_unpicklable()) is not None and pending and remote is None:
        warn(f"{unpicklable}; so the runs are trained one after another in this process")
        workers = 1
    reading = f"{len(runs)} of {len(experiments)} runs are finished already and are read" if runs else ""
    if plan is not None:
        training = f"{min(workers, len(pending))} at a time on {device}" if pending and remote is None else ""
        if training and at_once:
            processes = "1 process" if workers == 1 else f"{workers} processes"
            training = f"{processes} on {device}, up to {max(at_once.values())} seeds at once"
        say("; ".join(filter(None, (plan, reading or "none is finished yet", training))))
    elif reading:
        say(reading)
    pool: RunPool | SameProcessPool | RemotePool
    if remote is not None:
        pool = remote
    elif unpicklable is None:
        pool = RunPool(out=out, workers=workers, device=device, threads=threads, loggers=specs, at_once=at_once)
    else:
        pool = SameProcessPool(out=out, device=device, threads=threads, loggers=specs)
    names = {experiments[index].architecture.name for index in pending}
    if device == "cpu" and remote is None and any(load_encoder_class(name).compiled for name in names):
        build_native_kernels(warn)
    refusals: list[str] = []
    failures: list[str] = []
    logger_failures = FailureCount()

    labels = [label(experiments[index]) for index in pending]
    add: Callable[[Run], object] = (lambda run: None) if mirror is None else mirror.add
    with (
        nullcontext() if mirror is None else mirror,
        RunProgress(
            [experiments[index] for index in pending], labels, tell_time=plan is not None, quiet=quiet
        ) as progress,
        stop_on_interrupt(pool, deadline) as stop_reason,
    ):

        def on_event(position: int, event: RunEvent) -> None:
            index = pending[position]
            match event.kind:
                case "step":
                    progress.on_step(position, event.step)
                case "elsewhere":
                    progress.on_elsewhere(position, event.step, event.text)
                case "note":
                    if logger_failures.is_news(event.text):
                        progress.print_line(f"{labels[position]}: {event.text}")
                case "finished":
                    run = read_run(run_folder(out, experiments[index]))
                    runs[index] = run
                    progress.on_end(position, run_summary(run))
                    add(run)
                case "stopped" | "busy":
                    pass
                case "refused":
                    refusals.append(event.text)
                    pool.stop()
                case "failed":
                    failures.append(f"{labels[position]} failed: {event.text}")
                    progress.on_end(position, "failed")

        for run in list(runs.values()):
            add(run)
        pool.run([experiments[index] for index in pending], on_event)

    if refusals:
        raise UserError(refusals[0])
    for line in (*failures, *logger_failures.summaries()):
        warn(line)
    return Execution(
        runs=tuple(runs[index] for index in sorted(runs)),
        failures=tuple(failures),
        asked=len(experiments),
        timed_out=stop_reason.timed_out,
    )

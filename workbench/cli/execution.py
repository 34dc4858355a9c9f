"""Running experiments for a command: what has become of them is an exit status."""

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from workbench.cli.options import RunOptions
from workbench.cli.output import run_label, warn
from workbench.config import Experiment
from workbench.devices import resolve_device
from workbench.interrupts import StoppablePool, StopReason, stop_on_interrupt
from workbench.logger_interface import LoggerSpec
from workbench.run_folder import check_writable

if TYPE_CHECKING:
    from workbench.launchers.remote_pool import RemotePool
    from workbench.results import Run

__all__ = ["INTERRUPTED", "OUT_OF_TIME", "StopReason", "StoppablePool", "execute", "stop_on_interrupt"]

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
    loggers: Sequence[LoggerSpec] | None = None,
    remote: "RemotePool | None" = None,
    mirrored: bool = True,
) -> "tuple[list[Run], int]":
    """Runs the experiments that have not been run yet, as `execute_runs` does.

    Args:
        experiments: what to run.
        options: where to run it.
        on_start: called before anything is trained, once the folder and the finished runs have been checked.
        label: returns the name of an experiment in messages.
        deadline: when to save what is under way and end, by `time.monotonic`; by default when all is done.
        plan: what the experiments are, in words, to be printed before anything is trained.
        loggers: of the runs; by default those that the options name.
        remote: has others train the runs.
        mirrored: whether finished runs go to W&B's mirror, as the options say.

    Returns:
        All runs that are finished, in the order of the experiments; and the exit status: 0 if all are finished, 1 if
        some failed, 3 if the time was up before, 130 if it was interrupted.

    Raises:
        UserError: if one of them is refused. Nothing more is started then; what was under way can be resumed.
    """
    # Not before there is something to run: it takes seconds to import, and a mistake is answered at once.
    from workbench.execution import execute_runs

    # The jobs find out for themselves what there is where they run.
    device = "cpu" if remote is not None else resolve_device(options.device)
    done = execute_runs(
        experiments,
        out=check_writable(options.folder),
        device=device,
        workers=options.worker_count(device),
        threads=options.threads,
        say=lambda line: print(line, file=sys.stderr),
        warn=warn,
        on_start=on_start,
        label=label,
        mirror=options.mirror(warn) if mirrored else None,
        deadline=deadline,
        plan=plan,
        loggers=lambda: options.loggers(warn) if loggers is None else loggers,
        remote=remote,
        seeds_at_once=options.seeds_at_once,
    )
    if done.stopped:
        warn(f"{done.describe_stop()}; run the same command again to resume")
        return list(done.runs), OUT_OF_TIME if done.timed_out else INTERRUPTED
    return list(done.runs), 1 if done.failures else 0

"""`workbench sweep worker`: joins a sweep from any machine."""

from dataclasses import dataclass

from workbench.cli.execution import INTERRUPTED, execute, stop_on_interrupt
from workbench.cli.options import RunOptions, take_options
from workbench.cli.output import warn
from workbench.cli.parser import Parser, parse_arguments
from workbench.cli.sweep.storage_options import StorageOptions, check_storage_exists
from workbench.config import TUNING_SEED
from workbench.devices import resolve_device
from workbench.run_folder import check_writable
from workbench.validation import check_int

DESCRIPTION = """Work on the trials of a sweep, from any machine that reaches its store, until none is left.

Workers are equal: each takes the next trial that waits in the store. If they share the folder of results too, a trial
whose machine is lost is resumed from its checkpoint, otherwise it starts again. All that they have to know of the sweep
is in the store; workbench sweep run, which began it, trains the winners and writes the report."""

EXAMPLES = """examples:
  workbench sweep worker --storage postgresql+psycopg://me@host/sweeps --out /shared/tuned
  workbench sweep worker --storage sqlite:////shared/tuned/sweep.db --study addition/lstm,addition/gru \\
      --workers 4 --out /shared/tuned
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerOptions:
    """The studies to work on.

    Args:
        study: names, separated by commas; by default all studies of the store.
        seeds: when no trial is left, train the winners and the defaults with so many fresh seeds, too, beside whoever
            else does; by default sweep run does that alone.
    """

    study: str | None = None
    seeds: int | None = None

    def __post_init__(self) -> None:
        if self.seeds is not None:
            check_int("seeds", self.seeds, least=1, most=TUNING_SEED)


def main(arguments: list[str]) -> int:
    """Runs the command; returns the exit status."""
    values, _ = parse_arguments(build_parser(), arguments, ())
    run_options = take_options(RunOptions, values)
    storage_options, worker_options = take_options(StorageOptions, values), take_options(WorkerOptions, values)
    device = resolve_device(run_options.device)
    url = storage_options.url(run_options.folder)
    names = tuple(name.strip() for name in (worker_options.study or "").split(",") if name.strip())
    from sweeps.local_launcher import LocalLauncher
    from sweeps.monitor import Monitor
    from sweeps.storage import connect
    from sweeps.storage_retry import with_retries
    from sweeps.studies import load_studies
    from sweeps.trial_budget import fail_trial
    from sweeps.worker import abandoned_reason, silence_optuna
    from workbench.cli.sweep.output import SweepProgress

    silence_optuna()
    check_storage_exists(url)
    storage = connect(url, heartbeat=storage_options.heartbeat, grace=storage_options.grace, log=warn)
    studies = with_retries(lambda: load_studies(storage, names), warn)
    # Only now: a folder that was named by mistake is not made.
    check_writable(run_options.folder)
    loggers = run_options.loggers(warn)
    config = storage_options.worker_config(url, [study.spec.name for study in studies], run_options, device, loggers)
    by_name = {study.spec.name: study for study in studies}
    with SweepProgress(studies) as progress:

        def on_lost_trial(study: str, number: int, reason: str) -> None:
            progress.print_line(f"{study} trial {number}: {reason}; it is tried again")
            with_retries(lambda: fail_trial(by_name[study].optuna_study, number), warn)

        monitor = Monitor(studies=studies, on_trial_end=progress.on_trial_end)
        monitor.start()
        launcher = LocalLauncher(
            config=config,
            workers=run_options.worker_count(device),
            on_event=progress.on_event,
            on_lost_trial=on_lost_trial,
            idle=lambda: with_retries(monitor.poll, warn),
        )
        with stop_on_interrupt(launcher):
            try:
                launcher.run()
            finally:
                with_retries(monitor.finish, warn)
    if launcher.stopping:
        warn("interrupted: nothing is lost; any worker can resume from there")
        return INTERRUPTED
    status = 0
    if worker_options.seeds is not None:
        from sweeps.final_runs import final_experiments, final_run_names

        experiments = final_experiments(studies, worker_options.seeds)
        # Whoever began the sweep has the mirror.
        _, status = execute(experiments, run_options, label=final_run_names(studies), loggers=loggers, mirrored=False)
    reasons = [reason for study in studies if (reason := abandoned_reason(study))]
    for reason in reasons:
        warn(reason)
    return status or (1 if reasons else 0)


def build_parser() -> Parser:
    """Returns the parser of the command."""
    parser = Parser(prog="workbench sweep worker", description=DESCRIPTION, examples=EXAMPLES)
    parser.add_fields(WorkerOptions, "what to work on")
    parser.add_fields(StorageOptions, "where trials are kept")
    parser.add_fields(RunOptions, "where", skip=("wandb", "seeds_at_once"))
    parser.add_data_dir()
    return parser

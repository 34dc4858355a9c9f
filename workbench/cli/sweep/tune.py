"""A sweep from its first trial to its report."""

import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from sweeps.enqueued_trials import Adoption, adopt_enqueued
from sweeps.final_runs import final_experiments, final_run_names
from sweeps.in_process_launcher import InProcessLauncher, unpicklable
from sweeps.local_launcher import LocalLauncher
from sweeps.manual_launcher import ManualLauncher
from sweeps.monitor import Monitor
from sweeps.storage import connect
from sweeps.storage_retry import with_retries
from sweeps.storage_url import default_url, without_password
from sweeps.studies import LoadedStudy, create_studies
from sweeps.study_spec import StudySpec
from sweeps.sweep import Sweep
from sweeps.trial_budget import fail_trial
from sweeps.worker import WorkerConfig, abandoned_reason, enqueue_all, is_done, silence_optuna
from workbench.cli.execution import INTERRUPTED, execute, stop_on_interrupt
from workbench.cli.options import RunOptions
from workbench.cli.output import warn
from workbench.cli.sweep.output import SweepProgress, best_table
from workbench.cli.sweep.storage_options import SWEEP_FILE, StorageOptions
from workbench.cli.sweep.wandb_mirror import TrialMirror
from workbench.cli.wandb_mirror import publish
from workbench.devices import resolve_device
from workbench.errors import UserError
from workbench.files import write_yaml
from workbench.logger_interface import LoggerSpec
from workbench.run_folder import check_writable
from workbench.study_files import Trial
from workbench.tasks.file_names import with_absolute_paths

if TYPE_CHECKING:
    from sweeps.ray_launcher import RayLauncher

    Launcher = ManualLauncher | RayLauncher | InProcessLauncher | LocalLauncher


def tune(
    sweep: Sweep,
    specs: Sequence[StudySpec],
    run_options: RunOptions,
    storage_options: StorageOptions,
    launcher: str = "local",
    ray_address: str | None = None,
) -> int:
    """Tunes, trains the winners again, and writes the report; returns the exit status.

    Args:
        sweep: what to tune.
        specs: its studies.
        run_options: where to train.
        storage_options: where trials are kept.
        launcher: `local`, `ray` or `print`.
        ray_address: of a running Ray cluster.

    Raises:
        UserError: if the store or the folder cannot be used, or there are studies with other settings.
    """
    device = resolve_device(run_options.device)
    if sweep.objects and launcher == "print":
        raise UserError(
            "the launcher is print, whose workers are started elsewhere, without the objects of this call; name the "
            "sampler and the pruner by dotted paths instead"
        )
    out, url = check_writable(run_options.folder), storage_options.url(run_options.folder)
    silence_optuna()
    storage = connect(url, heartbeat=storage_options.heartbeat, grace=storage_options.grace, log=warn)
    studies = with_retries(lambda: create_studies(storage, specs, sweep.trials), warn)
    recorded_storage = {} if url == default_url(out) else {"storage": without_password(url)}
    write_yaml(out / SWEEP_FILE, {**with_absolute_paths(sweep.to_dict()), **recorded_storage})
    for line in with_retries(lambda: adopt_enqueued(studies), warn):
        warn(f"warning: {line}")
    with_retries(lambda: enqueue_all(studies, storage_options.retries), warn)
    loggers = run_options.loggers(warn)
    config = storage_options.worker_config(url, [spec.name for spec in specs], run_options, device, loggers)
    config = replace(config, objects=sweep.objects)
    if run_trials(config, studies, sweep, run_options, launcher, ray_address):
        warn("interrupted: nothing is lost; run the same command again to resume")
        return INTERRUPTED
    return finish(studies, sweep, run_options, loggers)


def check_surroundings(run_options: RunOptions, storage_options: StorageOptions) -> None:
    """Checks the device and the store, unless that is the file in the folder of results; writes nothing in the folder.

    Raises:
        UserError: if one of them cannot be used.
    """
    resolve_device(run_options.device)
    url = storage_options.url(run_options.folder)
    if url != default_url(run_options.folder):
        silence_optuna()
        connect(url, heartbeat=storage_options.heartbeat, grace=storage_options.grace, log=warn).close()


def run_trials(
    config: WorkerConfig,
    studies: Sequence[LoadedStudy],
    sweep: Sweep,
    options: RunOptions,
    launcher_name: str,
    ray_address: str | None,
) -> bool:
    """Has all trials run; returns whether that was stopped before the end.

    Raises:
        UserError: if a worker reports that something other than its trial is wrong.
    """
    by_name = {study.spec.name: study for study in studies}
    with options.mirror(warn) as mirror, SweepProgress(studies) as progress:
        trial_mirror = TrialMirror(mirror=mirror, out=config.out)

        def on_trial_end(study: LoadedStudy, trial: Trial) -> None:
            progress.on_trial_end(study, trial)
            trial_mirror.add(study, trial)

        def on_lost_trial(study: str, number: int, reason: str) -> None:
            progress.print_line(f"{study} trial {number}: {reason}; it is tried again")
            with_retries(lambda: fail_trial(by_name[study].optuna_study, number), warn)

        adoption = Adoption(studies=studies, log=lambda line: progress.print_line(f"warning: {line}"))

        def poll() -> None:
            with_retries(monitor.poll, warn)
            with_retries(adoption.poll, warn)

        monitor = Monitor(studies=studies, out=config.out, seeds=sweep.seeds, on_trial_end=on_trial_end)
        for snapshot in with_retries(monitor.start, warn):
            for trial in snapshot.trials:
                trial_mirror.add(by_name[snapshot.name], trial)
        if with_retries(lambda: all(is_done(study) for study in studies), warn):
            return False
        launcher: Launcher | None = remote_launcher(
            launcher_name, config, studies, options, ray_address, idle=poll, log=progress.print_line
        )
        if launcher is None and (reason := unpicklable(config.objects)):
            progress.print_line(f"{reason}, so it cannot reach other processes: trials run in this one, one at a time")
            launcher = InProcessLauncher(config=config, on_event=progress.on_event, idle=poll)
        elif launcher is None:
            launcher = LocalLauncher(
                config=config,
                workers=options.worker_count(config.device),
                on_event=progress.on_event,
                on_lost_trial=on_lost_trial,
                idle=poll,
            )
        with stop_on_interrupt(launcher):
            try:
                launcher.run()
            finally:
                with_retries(monitor.finish, warn)
    return launcher.stopping


def remote_launcher(
    name: str,
    config: WorkerConfig,
    studies: Sequence[LoadedStudy],
    options: RunOptions,
    ray_address: str | None,
    *,
    idle: Callable[[], None],
    log: Callable[[str], None],
) -> "ManualLauncher | RayLauncher | None":
    """Returns the launcher of workers elsewhere; `None` for those on this machine."""
    if name == "print":
        return ManualLauncher(command=worker_command(config), studies=studies, idle=idle, log=log)
    if name == "ray":
        from sweeps.ray_launcher import RayLauncher

        return RayLauncher(config=config, workers=options.workers, address=ray_address, idle=idle, log=log)
    return None


def finish(studies: Sequence[LoadedStudy], sweep: Sweep, options: RunOptions, loggers: Sequence[LoggerSpec]) -> int:
    """Trains the winners and the defaults on fresh seeds, and writes the report; returns the exit status."""
    reasons = [reason for study in studies if (reason := abandoned_reason(study))]
    experiments = final_experiments(studies, sweep.seeds)
    seeds = f"{sweep.seeds} fresh seed{'s' if sweep.seeds > 1 else ''}"
    print(f"tuned; now the winners and the default configurations are trained with {seeds}", file=sys.stderr)
    runs, status = execute(experiments, options, label=final_run_names(studies), loggers=loggers)
    snapshots = Monitor(studies=studies, out=options.folder, seeds=sweep.seeds).finish()
    for reason in reasons:
        warn(reason)
    print(best_table(snapshots))
    if runs:
        from analysis.report.build import write_report

        print(write_report(options.folder))
        if status != INTERRUPTED:
            publish(options)
    return status or (1 if reasons else 0)


def worker_command(config: WorkerConfig) -> str:
    """Returns the command that starts one worker on another machine, in any folder.

    One, so that a task of a SLURM array is a worker. The password is not in it: PGPASSWORD or ~/.pgpass has it.
    """
    words = ["workbench", "sweep", "worker", "--storage", without_password(config.url)]
    words += ["--study", ",".join(config.study_names), "--out", str(config.out), "--workers", "1"]
    for name in ("threads", "heartbeat", "grace", "retries"):
        words += [f"--{name}", str(getattr(config, name))]
    if config.loggers:
        words += ["--logger", ",".join(spec.name for spec in config.loggers)]
        words += [word for spec in config.loggers for word in spec.arguments]
    return shlex.join(words)

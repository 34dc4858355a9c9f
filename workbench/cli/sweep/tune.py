"""A sweep from its first trial to its report."""

import os
import sys
from collections.abc import Sequence
from dataclasses import replace

from sweeps.enqueued_trials import Adoption, adopt_enqueued
from sweeps.final_runs import final_experiments, final_run_names
from sweeps.in_process_launcher import InProcessLauncher, unpicklable
from sweeps.job_launcher import JobLauncher
from sweeps.local_launcher import LocalLauncher
from sweeps.manual_launcher import ManualLauncher
from sweeps.monitor import Monitor
from sweeps.storage import connect
from sweeps.storage_retry import with_retries
from sweeps.storage_url import default_url, read_url, without_password
from sweeps.studies import LoadedStudy, create_studies
from sweeps.study_spec import StudySpec
from sweeps.sweep import Sweep
from sweeps.trial_budget import fail_trial
from sweeps.worker import WorkerConfig, abandoned_reason, enqueue_all, is_done, silence_optuna
from workbench.cli.execution import INTERRUPTED, execute, stop_on_interrupt
from workbench.cli.launching import LauncherName, LaunchOptions
from workbench.cli.options import RunOptions
from workbench.cli.output import warn
from workbench.cli.sweep.output import SweepProgress, best_table
from workbench.cli.sweep.storage_options import STORAGE_VARIABLE, SWEEP_FILE, StorageOptions
from workbench.cli.sweep.wandb_mirror import TrialMirror
from workbench.cli.wandb_mirror import publish
from workbench.devices import resolve_device
from workbench.errors import UserError
from workbench.files import write_yaml
from workbench.launchers.job_array import JobArray, join_words
from workbench.launchers.remote_pool import Jobs, RemotePool
from workbench.logger_interface import LoggerSpec
from workbench.run_folder import check_writable
from workbench.study_files import Trial
from workbench.tasks.file_names import with_absolute_paths

Launcher = ManualLauncher | JobLauncher | InProcessLauncher | LocalLauncher


def tune(
    sweep: Sweep,
    specs: Sequence[StudySpec],
    run_options: RunOptions,
    storage_options: StorageOptions,
    launcher: LauncherName = "local",
    jobs: Jobs | None = None,
) -> int:
    """Tunes, trains the winners again, and writes the report; returns the exit status.

    Args:
        sweep: what to tune.
        specs: its studies.
        run_options: where to train.
        storage_options: where trials are kept.
        launcher: where the workers are.
        jobs: that they are in, if it is ray or slurm.

    Raises:
        UserError: if the store or the folder cannot be used, or there are studies with other settings.
    """
    # Jobs find out for themselves what there is where they run.
    device = resolve_device(run_options.device) if jobs is None else "cpu"
    if sweep.objects and launcher != "local":
        raise UserError(
            f"the launcher is {launcher}, whose workers are started elsewhere, without the objects of this call; name "
            "the sampler and the pruner by dotted paths instead"
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
    if run_trials(config, studies, sweep, run_options, launcher, jobs):
        warn("interrupted: nothing is lost; run the same command again to resume")
        return INTERRUPTED
    return finish(studies, sweep, run_options, loggers, jobs)


def check_surroundings(
    run_options: RunOptions, storage_options: StorageOptions, launcher: LauncherName = "local"
) -> None:
    """Checks the device and the store, unless that is the file in the folder of results; writes nothing in the folder.

    Raises:
        UserError: if one of them cannot be used.
    """
    if launcher not in ("ray", "slurm"):
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
    launcher_name: LauncherName,
    jobs: Jobs | None,
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
        launcher: Launcher
        if jobs is not None:
            launcher = JobLauncher(jobs=jobs, studies=studies, idle=poll, log=progress.print_line)
        elif launcher_name == "print":
            command = join_words(("workbench", *worker_words(config, workers=1)))
            launcher = ManualLauncher(command=command, studies=studies, idle=poll, log=progress.print_line)
        elif reason := unpicklable(config.objects):
            progress.print_line(f"{reason}, so it cannot reach other processes: trials run in this one, one at a time")
            launcher = InProcessLauncher(config=config, on_event=progress.on_event, idle=poll)
        else:
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


def finish(
    studies: Sequence[LoadedStudy],
    sweep: Sweep,
    options: RunOptions,
    loggers: Sequence[LoggerSpec],
    jobs: Jobs | None = None,
) -> int:
    """Has the winners and the defaults trained on fresh seeds, and writes the report; returns the exit status.

    Args:
        studies: whose trials are finished.
        sweep: what was tuned.
        options: where to train.
        loggers: of the runs.
        jobs: that train them; by default this process does.
    """
    reasons = [reason for study in studies if (reason := abandoned_reason(study))]
    experiments = final_experiments(studies, sweep.seeds)
    seeds = f"{sweep.seeds} fresh seed{'s' if sweep.seeds > 1 else ''}"
    print(f"tuned; now the winners and the default configurations are trained with {seeds}", file=sys.stderr)
    remote = None if jobs is None else RemotePool(options.folder, jobs, warn)
    runs, status = execute(experiments, options, label=final_run_names(studies), loggers=loggers, remote=remote)
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


def worker_words(config: WorkerConfig, workers: int) -> tuple[str, ...]:
    """Returns the words of the command that starts workers on another machine, in any folder.

    The password of the store is not among them: PGPASSWORD, ~/.pgpass or WORKBENCH_STORAGE has it.

    Args:
        config: of the workers.
        workers: how many; one, if a task of an array is to be a worker.
    """
    words = ["sweep", "worker", "--storage", without_password(config.url)]
    words += ["--study", ",".join(config.study_names), "--out", str(config.out), "--workers", str(workers)]
    for name in ("threads", "heartbeat", "grace", "retries"):
        words += [f"--{name}", str(getattr(config, name))]
    if config.loggers:
        words += ["--logger", ",".join(spec.name for spec in config.loggers)]
        words += [word for spec in config.loggers for word in spec.arguments]
    return tuple(words)


def worker_array(
    launch: LaunchOptions, options: RunOptions, storage_options: StorageOptions, names: Sequence[str], seeds: int
) -> JobArray:
    """Returns the jobs that the workers of a sweep are in, for a launcher that has any.

    Args:
        launch: which jobs.
        options: where to train; the jobs find out for themselves what there is where they run.
        storage_options: where trials are kept.
        names: of the studies.
        seeds: of the final runs.
    """
    url = storage_options.url(options.folder)
    if launch.launcher in ("ray", "slurm"):
        if without_password(url) != url:
            # What jobs have of it: nobody sees it in a list of processes.
            os.environ[STORAGE_VARIABLE] = url
        if read_url(url).get_backend_name() == "sqlite" and (launch.launcher == "slurm" or launch.ray_address):
            warn(
                "warning: the store is a file; if the jobs are on several machines, it must be on a file system that "
                "they share and that locks, or give --storage postgresql+psycopg://..."
            )
    config = storage_options.worker_config(url, names, options, options.device)
    words = [*worker_words(config, options.workers or 1), "--seeds", str(seeds), "--device", options.device]
    if options.logger:
        words += ["--logger", ",".join(options.logger)]
    if options.wandb_project:
        words += ["--wandb-project", options.wandb_project]
    return launch.array(words, options)

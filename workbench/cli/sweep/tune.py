"""A sweep from its first trial to its report."""

import shlex
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from sweeps.final_runs import final_experiments, study_names
from sweeps.local_launcher import LocalLauncher, TrialEvent
from sweeps.manual_launcher import ManualLauncher
from sweeps.monitor import Monitor
from sweeps.retry import with_retries
from sweeps.storage import connect
from sweeps.storage_url import default_url, without_password
from sweeps.studies import LoadedStudy, create_studies
from sweeps.study_spec import StudySpec
from sweeps.sweep import Sweep
from sweeps.trial_budget import fail_trial
from sweeps.worker import WorkerConfig, abandoned_reason, enqueue_all, is_complete, silence_optuna
from workbench.cli.execution import execute, stop_on_interrupt
from workbench.cli.options import RunOptions
from workbench.cli.output import warn
from workbench.cli.sweep.output import SweepProgress, best_table
from workbench.cli.sweep.storage_options import SWEEP_FILE, StorageOptions
from workbench.cli.sweep.wandb_mirror import TrialMirror
from workbench.cli.wandb_mirror import publish
from workbench.devices import device_named
from workbench.files import write_yaml
from workbench.run_folder import check_writable
from workbench.study_files import Trial

if TYPE_CHECKING:
    from sweeps.ray_launcher import RayLauncher


def tune(
    sweep: Sweep,
    specs: Sequence[StudySpec],
    settings: RunOptions,
    store: StorageOptions,
    launcher: str = "local",
    ray_address: str | None = None,
) -> int:
    """Tunes, trains the winners anew, and writes the report; returns the exit status.

    Raises:
        UserError: if the store or the folder cannot be used, or there are studies of other settings.
    """
    device = device_named(settings.device)
    out, url = check_writable(settings.folder), store.url(settings.folder)
    silence_optuna()
    storage = connect(url, heartbeat=store.heartbeat, grace=store.grace, say=warn)
    studies = with_retries(lambda: create_studies(storage, specs, sweep.trials), warn)
    kept = {} if url == default_url(out) else {"storage": without_password(url)}
    write_yaml(out / SWEEP_FILE, {**sweep.to_dict(), **kept})
    with_retries(lambda: enqueue_all(studies, store.retries), warn)
    order = store.order(url, [spec.name for spec in specs], settings, device)
    stopped = work(order, studies, sweep, settings, launcher, ray_address)
    if stopped:
        warn("interrupted: nothing is lost; the same command goes on from there")
        return 130
    return finish(studies, sweep, settings)


def work(
    order: WorkerConfig,
    studies: Sequence[LoadedStudy],
    sweep: Sweep,
    settings: RunOptions,
    launcher: str,
    ray_address: str | None,
) -> bool:
    """Has all trials done; returns whether it was stopped before.

    Raises:
        UserError: if a worker says that something other than its trial is wrong.
    """
    by_name = {opened.spec.name: opened for opened in studies}
    with settings.mirror(warn) as mirror, SweepProgress(studies) as board:
        trials = TrialMirror(mirror=mirror, out=order.out)

        def ended(opened: LoadedStudy, trial: Trial) -> None:
            board.ended(opened, trial)
            trials.add(opened, trial)

        def tell(place: int, event: TrialEvent) -> None:
            if event.kind == "note":
                board.say(event.text)
            else:
                board.tell(place, event)

        def lost(study: str, number: int, how: str) -> None:
            board.say(f"{study} trial {number}: {how}; it is tried again")
            with_retries(lambda: fail_trial(by_name[study].study, number), warn)

        def look() -> None:
            with_retries(monitor.look, warn)

        monitor = Monitor(studies=studies, out=order.out, seeds=sweep.seeds, ended=ended)
        for study in with_retries(monitor.begin, warn):
            for trial in study.trials:
                trials.add(by_name[study.name], trial)
        stopped = False
        if not with_retries(lambda: all(is_complete(opened) for opened in studies), warn):
            crew = make_launcher(order, studies, settings, launcher, ray_address, board.say, look) or LocalLauncher(
                order=order, workers=settings.side_by_side(order.device), tell=tell, lost=lost, idle=look
            )
            with stop_on_interrupt(crew):
                try:
                    crew.run()
                finally:
                    with_retries(monitor.end, warn)
            stopped = crew.stopping
    return stopped


def make_launcher(
    order: WorkerConfig,
    studies: Sequence[LoadedStudy],
    settings: RunOptions,
    launcher: str,
    ray_address: str | None,
    say: Callable[[str], None],
    look: Callable[[], None],
) -> "ManualLauncher | RayLauncher | None":
    """Who does the work, if that is not this machine's own processes."""
    if launcher == "print":
        return ManualLauncher(command=worker_command(order), studies=studies, idle=look, say=say)
    if launcher == "ray":
        from sweeps import ray_launcher

        return ray_launcher.RayLauncher(order=order, workers=settings.workers, address=ray_address, idle=look, say=say)
    return None


def finish(studies: Sequence[LoadedStudy], sweep: Sweep, settings: RunOptions) -> int:
    """Trains the winners and the defaults on fresh seeds, and writes the report; returns the exit status."""
    problems = [line for opened in studies if (line := abandoned_reason(opened))]
    experiments = final_experiments(studies, sweep.seeds)
    seeds = f"{sweep.seeds} fresh seed{'s' if sweep.seeds > 1 else ''}"
    print(f"tuned; now the winners and the default configurations are trained with {seeds}", file=sys.stderr)
    runs, status = execute(experiments, settings, name=study_names(studies))
    written = Monitor(studies=studies, out=settings.folder, seeds=sweep.seeds).end()
    for line in problems:
        warn(line)
    print(best_table(written))
    if runs:
        from analysis.report.build import write

        print(write(settings.folder))
        if status != 130:
            publish(settings)
    return status or (1 if problems else 0)


def worker_command(order: WorkerConfig) -> str:
    """What to type on another machine, in any folder. It starts one worker, so that a task of a SLURM array is one.
    A password is not in it: PGPASSWORD or ~/.pgpass has it."""
    words = ["workbench", "sweep", "worker", "--storage", without_password(order.url)]
    words += ["--study", ",".join(order.names), "--out", str(order.out), "--workers", "1"]
    for name in ("threads", "heartbeat", "grace", "retries"):
        words += [f"--{name}", str(getattr(order, name))]
    return shlex.join(words)

"""A sweep from its first trial to its report."""

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
from workbench.cli.complain import complain
from workbench.cli.execute import execute, interruptible
from workbench.cli.mirrored import publish
from workbench.cli.settings import Settings
from workbench.cli.sweeping.board import Board
from workbench.cli.sweeping.command import worker_command
from workbench.cli.sweeping.mirrored import Mirrored
from workbench.cli.sweeping.store import FILE, Store
from workbench.cli.sweeping.tables import best
from workbench.devices import device_named
from workbench.files import write_yaml
from workbench.folder import writable
from workbench.studies import Trial

if TYPE_CHECKING:
    from sweeps.ray_launcher import RayLauncher


def tune(
    sweep: Sweep,
    specs: Sequence[StudySpec],
    settings: Settings,
    store: Store,
    launcher: str = "local",
    ray_address: str | None = None,
) -> int:
    """Tunes, trains the winners anew, and writes the report; returns the exit status.

    Raises:
        UserError: if the store or the folder cannot be used, or there are studies of other settings.
    """
    device = device_named(settings.device)
    out, url = writable(settings.folder), store.url(settings.folder)
    silence_optuna()
    storage = connect(url, heartbeat=store.heartbeat, grace=store.grace, say=complain)
    studies = with_retries(lambda: create_studies(storage, specs, sweep.trials), complain)
    kept = {} if url == default_url(out) else {"storage": without_password(url)}
    write_yaml(out / FILE, {**sweep.to_dict(), **kept})
    with_retries(lambda: enqueue_all(studies, store.retries), complain)
    order = store.order(url, [spec.name for spec in specs], settings, device)
    stopped = work(order, studies, sweep, settings, launcher, ray_address)
    if stopped:
        complain("interrupted: nothing is lost; the same command goes on from there")
        return 130
    return finish(studies, sweep, settings)


def work(
    order: WorkerConfig,
    studies: Sequence[LoadedStudy],
    sweep: Sweep,
    settings: Settings,
    launcher: str,
    ray_address: str | None,
) -> bool:
    """Has all trials done; returns whether it was stopped before.

    Raises:
        UserError: if a worker says that something other than its trial is wrong.
    """
    by_name = {opened.spec.name: opened for opened in studies}
    with settings.mirror(complain) as mirror, Board(studies) as board:
        trials = Mirrored(mirror=mirror, out=order.out)

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
            with_retries(lambda: fail_trial(by_name[study].study, number), complain)

        def look() -> None:
            with_retries(monitor.look, complain)

        monitor = Monitor(studies=studies, out=order.out, seeds=sweep.seeds, ended=ended)
        for study in with_retries(monitor.begin, complain):
            for trial in study.trials:
                trials.add(by_name[study.name], trial)
        stopped = False
        if not with_retries(lambda: all(is_complete(opened) for opened in studies), complain):
            crew = launched(order, studies, settings, launcher, ray_address, board.say, look) or LocalLauncher(
                order=order, workers=settings.side_by_side(order.device), tell=tell, lost=lost, idle=look
            )
            with interruptible(crew):
                try:
                    crew.run()
                finally:
                    with_retries(monitor.end, complain)
            stopped = crew.stopping
    return stopped


def launched(
    order: WorkerConfig,
    studies: Sequence[LoadedStudy],
    settings: Settings,
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


def finish(studies: Sequence[LoadedStudy], sweep: Sweep, settings: Settings) -> int:
    """Trains the winners and the defaults on fresh seeds, and writes the report; returns the exit status."""
    problems = [line for opened in studies if (line := abandoned_reason(opened))]
    experiments = final_experiments(studies, sweep.seeds)
    seeds = f"{sweep.seeds} fresh seed{'s' if sweep.seeds > 1 else ''}"
    print(f"tuned; now the winners and the default configurations are trained with {seeds}", file=sys.stderr)
    runs, status = execute(experiments, settings, name=study_names(studies))
    written = Monitor(studies=studies, out=settings.folder, seeds=sweep.seeds).end()
    for line in problems:
        complain(line)
    print(best(written))
    if runs:
        from analysis.report import write

        print(write(settings.folder))
        if status != 130:
            publish(settings)
    return status or (1 if problems else 0)

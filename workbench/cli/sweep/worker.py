"""`workbench sweep worker`: joins a sweep from any machine."""

from dataclasses import dataclass

from sweeps.local_launcher import LocalLauncher, TrialEvent
from sweeps.monitor import Monitor
from sweeps.retry import with_retries
from sweeps.storage import connect
from sweeps.studies import load_studies
from sweeps.trial_budget import fail_trial
from sweeps.worker import abandoned_reason, silence_optuna
from workbench.cli.execution import stop_on_interrupt
from workbench.cli.options import RunOptions, split_list
from workbench.cli.output import warn
from workbench.cli.parser import Parser, chosen_values
from workbench.cli.sweep.output import SweepProgress
from workbench.cli.sweep.run import check_launcher_options
from workbench.cli.sweep.storage_options import StorageOptions, check_exists
from workbench.devices import device_named
from workbench.run_folder import check_writable

DESCRIPTION = """Work on the trials of a sweep, from any machine that reaches its store, until none is left.

Workers are equal: each takes the next trial that waits in the store. Where they share the folder of results too, a
trial whose machine is lost is gone on with from its checkpoint, otherwise from its beginning. All that they have to
know of the sweep is in the store; workbench sweep run, which began it, trains the winners and writes the report."""

EXAMPLES = """examples:
  workbench sweep worker --storage postgresql+psycopg://me@host/sweeps --out /shared/tuned
  workbench sweep worker --storage sqlite:////shared/tuned/sweep.db --study addition/lstm,addition/gru \\
      --workers 4 --out /shared/tuned
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerOptions:
    """What to work on.

    Args:
        study: names, separated by commas; by default all studies of the store.
    """

    study: str | None = None


def main(given: list[str]) -> int:
    """Runs the command; returns the exit status."""
    values, _ = chosen_values(parser(), given, ())
    settings, values = split_list({**values, "wandb": "off"})
    store, choice = (
        StorageOptions(**check_launcher_options(StorageOptions, values)),
        WorkerOptions(**check_launcher_options(WorkerOptions, values)),
    )
    device = device_named(settings.device)
    url = store.url(settings.folder)
    names = tuple(name.strip() for name in (choice.study or "").split(",") if name.strip())
    silence_optuna()
    check_exists(url)
    storage = connect(url, heartbeat=store.heartbeat, grace=store.grace, say=warn)
    studies = with_retries(lambda: load_studies(storage, names), warn)
    # Only now: whoever has mistaken the folder has no use for a new one.
    check_writable(settings.folder)
    order = store.order(url, [opened.spec.name for opened in studies], settings, device)
    by_name = {opened.spec.name: opened for opened in studies}
    with SweepProgress(studies) as board:

        def tell(place: int, event: TrialEvent) -> None:
            board.say(event.text) if event.kind == "note" else board.tell(place, event)

        def lost(study: str, number: int, how: str) -> None:
            board.say(f"{study} trial {number}: {how}; it is tried again")
            with_retries(lambda: fail_trial(by_name[study].study, number), warn)

        monitor = Monitor(studies=studies, ended=board.ended)
        monitor.begin()

        def look() -> None:
            with_retries(monitor.look, warn)

        crew = LocalLauncher(order=order, workers=settings.side_by_side(device), tell=tell, lost=lost, idle=look)
        with stop_on_interrupt(crew):
            try:
                crew.run()
            finally:
                with_retries(monitor.end, warn)
    if crew.stopping:
        warn("interrupted: nothing is lost; any worker goes on from there")
        return 130
    problems = [line for opened in studies if (line := abandoned_reason(opened))]
    for line in problems:
        warn(line)
    return 1 if problems else 0


def parser() -> Parser:
    """The command's options."""
    made = Parser(prog="workbench sweep worker", description=DESCRIPTION, examples=EXAMPLES)
    made.add_fields(WorkerOptions, "what to work on")
    made.add_fields(StorageOptions, "where trials are kept")
    made.add_fields(RunOptions, "where", skip=("wandb", "wandb_project"))
    made.add_data_dir()
    return made

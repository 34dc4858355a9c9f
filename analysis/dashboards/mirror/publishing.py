"""The W&B mirror at the end of work: brought up to date, and sent if the user wants that."""

from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from analysis.dashboards.mirror import sources, state
from analysis.dashboards.mirror.mirror import Mirror, remove_replaced_records
from workbench.config import Mode
from workbench.errors import UserError, with_advice


def publish(out: Path, mode: Mode, make_mirror: Callable[[], Mirror], log: Callable[[str], None]) -> None:
    """Mirrors the comparison as its report shows it and, if the mode is online, sends what has not been sent.

    Args:
        out: the folder of results.
        mode: off, offline or online.
        make_mirror: returns a mirror of the folder.
        log: receives a line about each thing that goes wrong.
    """
    if mode == "off" or find_spec("wandb") is None:
        return
    with make_mirror() as mirror:
        mirror.add_comparison()
    remove_replaced(out)
    if mode == "online":
        send_pending(out, log)


def send_pending(out: Path, log: Callable[[str], None]) -> None:
    """Sends the records that have not been sent; a failure is one line, as the results are complete without it."""
    from analysis.dashboards.mirror.account import fetch_account
    from analysis.dashboards.mirror.sync import upload

    pending: dict[state.Destination, list[Path]] = {}
    for path, sync_state in state.iter_states(out):
        # W&B could not find the files of a record that was written elsewhere.
        if not sync_state.sent and sync_state.at == str(out.resolve()):
            pending.setdefault(sync_state.place, []).append(path)
    if not pending:
        return
    try:
        account = fetch_account()
        for destination, paths in pending.items():
            upload(out, paths, destination, account)
    except (UserError, OSError) as error:
        log(with_advice(str(error), f"nothing is lost: workbench sync {out} sends what is left"))


def update_mirror(out: Path, log: Callable[[str], None]) -> None:
    """Brings the records of a mirrored folder up to date, offline; a folder without a mirror is left alone."""
    destination = state.mirrored_destination(out)
    if destination is None:
        return
    with Mirror(out, "offline", destination, log) as mirror:
        for run, trial_info in sources.load_runs(out):
            mirror.add(run, trial_info)
        mirror.add_comparison()
    remove_replaced(out)


def remove_replaced(out: Path) -> None:
    """Removes replaced records that are still there; if that fails, they only take up room."""
    with suppress(OSError):
        remove_replaced_records(out)

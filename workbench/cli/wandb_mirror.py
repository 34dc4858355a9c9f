"""What has been found, in the W&B mirror: what every command that finds something does at its end."""

from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from analysis.dashboards.mirror import sources, state
from analysis.dashboards.mirror.mirror import Mirror, tidy
from workbench.cli.options import RunOptions
from workbench.cli.output import warn
from workbench.errors import UserError


def publish(settings: RunOptions) -> None:
    """Mirrors the comparison as its report shows it and, where that was asked for, sends what has not been sent."""
    if settings.wandb == "off" or find_spec("wandb") is None:
        return
    with settings.mirror(warn) as mirror:
        mirror.add_whole()
    remove_replaced(settings.folder)
    if settings.wandb == "online":
        send(settings.folder)


def send(out: Path) -> None:
    """Sends what has not been sent; what is in the way is told in a line, as the results are complete without it."""
    from analysis.dashboards.mirror.account import signed_in
    from analysis.dashboards.mirror.sync import upload

    waiting: dict[state.Destination, list[Path]] = {}
    for path, mark in state.below(out):
        # W&B could not find what goes along with one that was written elsewhere.
        if not mark.sent and mark.at == str(out.resolve()):
            waiting.setdefault(mark.place, []).append(path)
    if not waiting:
        return
    try:
        account = signed_in()
        for place, paths in waiting.items():
            upload(out, paths, place, account)
    except (UserError, OSError) as error:
        warn(f"{error}; nothing is lost: workbench sync {out} sends what is left")


def renew(out: Path) -> None:
    """Brings the records of a mirrored folder up to date, offline; one that is not mirrored is left alone."""
    place = state.is_mirrored(out)
    if place is None:
        return
    with Mirror(out, "offline", place, warn) as mirror:
        for run, tried in sources.runs(out):
            mirror.add(run, tried)
        mirror.add_whole()
    remove_replaced(out)


def remove_replaced(out: Path) -> None:
    """Removes replaced records that are still there; what is in the way costs nothing but their room."""
    with suppress(OSError):
        tidy(out)

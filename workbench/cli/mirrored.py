"""What has been found, in the W&B mirror: what every command that finds something does at its end."""

from importlib.util import find_spec
from pathlib import Path

from dashboards import found, marks
from dashboards.mirror import Mirror
from workbench.cli.complain import complain
from workbench.cli.settings import Settings
from workbench.errors import UserError


def publish(settings: Settings) -> None:
    """Mirrors the comparison as its report shows it and, where that was asked for, sends what has not been sent."""
    if settings.wandb == "off" or find_spec("wandb") is None:
        return
    with settings.mirror(complain) as mirror:
        mirror.add_whole()
    if settings.wandb == "online":
        send(settings.folder)


def send(out: Path) -> None:
    """Sends what has not been sent; what is in the way is told in a line, as the results are complete without it."""
    from dashboards.account import signed_in
    from dashboards.sending import upload

    waiting = [path for path, mark in marks.below(out) if not mark.sent]
    try:
        if waiting:
            upload(out, waiting, marks.place_of(out), signed_in())
    except UserError as error:
        complain(f"{error}; nothing is lost: workbench sync {out} sends what is left")


def renew(out: Path) -> None:
    """Brings the records of a mirrored folder up to date, offline; one that is not mirrored is left alone."""
    place = marks.mirrored(out)
    if place is None:
        return
    with Mirror(out, "offline", place, complain) as mirror:
        for run, tried in found.runs(out):
            mirror.add(run, tried)
        mirror.add_whole()

"""`workbench sync`: what has been run, sent to a W&B account."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from workbench.cli.options import check_wandb_name
from workbench.cli.output import ProgressBar
from workbench.cli.parser import Parser
from workbench.errors import UserError
from workbench.files import one_line, writable

if TYPE_CHECKING:
    from analysis.dashboards.mirror.account import Account
    from analysis.dashboards.mirror.mirror import Item
    from analysis.dashboards.mirror.state import Destination

DESCRIPTION = """Send what has been run below DIR to a W&B account: every run, trial and report that has not been sent,
and those that say more than when they were sent, because probes came later.

First it asks the server whose key this machine has (wandb login, or WANDB_API_KEY); without a key or a network it ends
within ten seconds, and nothing is changed. Then it brings the offline records in DIR/wandb up to date, and sends them.
Ctrl-C, a crash or `kill -9` lose nothing: the same command goes on with what is left.

The project is the one that DIR was mirrored for. With another --project everything is written for that one and sent
there; what was sent before stays where it is, and the other one is DIR's project from then on."""

EXAMPLES = """examples:
  workbench sync results --dry-run
  workbench sync results
  workbench sync results --project memory --entity our-lab
  WANDB_BASE_URL=https://wandb.our-lab.org workbench sync results
"""
MAX_LISTED = 20
"""Names that a dry run prints."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncPlan:
    """A record, and what is to be done with it."""

    item: "Item"
    write: bool
    """Whether it has to be written first."""
    send: bool


def main(given: list[str]) -> int:
    """Runs the command; returns the exit status."""
    values = parser().parse_args(given)
    out = Path(values.dir)
    if not out.is_dir():
        raise UserError(f"there is no folder {out}; name the one that was given as --out")
    from analysis.dashboards.mirror.state import destination_of

    if next(out.glob("runs/*/*/*/seed-*/metrics.csv"), None) is None:
        raise UserError(f"there are no results in {out}; name the folder that was given as --out")
    place = destination_of(out, check_wandb_name("project", values.project), check_wandb_name("entity", values.entity))
    if values.dry_run:
        return dry_run(out, place, list(sync_plan(out, place, checkpoints=values.checkpoints)))
    from analysis.dashboards.mirror.account import signed_in

    account = signed_in()
    writable(out / "wandb")
    return send(out, account, place, checkpoints=values.checkpoints)


def sync_plan(out: Path, place: "Destination", *, checkpoints: bool) -> Iterator[SyncPlan]:
    """Everything that can be shown, and what is to be done with it.

    Args:
        out: the folder of results.
        place: where it is to be shown.
        checkpoints: whether trained weights go along.

    Raises:
        UserError: if a file cannot be read.
    """
    from analysis.dashboards.mirror.mirror import is_current, items
    from analysis.dashboards.mirror.state import read_state

    for item in items(out, checkpoints=checkpoints):
        mark, ready = read_state(item.mark), is_current(out, item, place)
        yield SyncPlan(item=item, write=not ready, send=not ready or mark is None or not mark.sent)


def dry_run(out: Path, place: "Destination", found: Sequence[SyncPlan]) -> int:
    """Says what would be written and sent."""
    write, left = sum(each.write for each in found), [each for each in found if each.send]
    print(
        f"{len(found)} records of {out}: {len(found) - len(left)} have been sent to the project {place.project}, "
        f"{len(left)} would be sent, {write} of them written first"
    )
    for each in left[:MAX_LISTED]:
        print(f"  {each.item.record.name}: {'to be written, then sent' if each.write else 'to be sent'}")
    if len(left) > MAX_LISTED:
        print(f"  and {len(left) - MAX_LISTED} more")
    return 0


def send(out: Path, account: "Account", place: "Destination", *, checkpoints: bool) -> int:
    """Writes what has to be written, and sends what has not been sent."""
    from analysis.dashboards.mirror.mirror import tidy
    from analysis.dashboards.mirror.sync import sync_lock, upload

    address = f"{account.app_url}/{quote(place.entity or account.entity or '')}/{quote(place.project)}"
    with sync_lock(out):
        with ProgressBar("written") as bar:
            left = list(count_written(out, place, bar, checkpoints=checkpoints))
        tidy(out)
        if not left:
            print(f"everything has been sent: {address}")
            return 0
        with ProgressBar("sent", len(left)) as bar:
            try:
                sent = upload(out, left, place, account, bar.show)
            except KeyboardInterrupt:
                bar.close()
                print(f"workbench: interrupted: {count_unsent(left)} of {len(left)} records are left; "
                      "the same command goes on from there", file=sys.stderr)  # fmt: skip
                return 130
    print(f"{sent} record{'s' * (sent != 1)} sent: {address}")
    return 0


def count_written(out: Path, place: "Destination", bar: "ProgressBar", *, checkpoints: bool) -> Iterator[Path]:
    """The marks of the records to be sent, each of them written.

    Raises:
        UserError: if one cannot be.
    """
    from analysis.dashboards.mirror.mirror import write

    for each in sync_plan(out, place, checkpoints=checkpoints):
        if each.write:
            try:
                write(out, each.item, place)
            except Exception as error:
                raise UserError(f"W&B could not write {each.item.record.name}: {one_line(error)}") from error
            bar.one()
        if each.send:
            yield each.item.mark


def count_unsent(marks: Sequence[Path]) -> int:
    """How many records have not been sent."""
    from analysis.dashboards.mirror.state import read_state

    return sum((mark := read_state(path)) is None or not mark.sent for path in marks)


def parser() -> Parser:
    """The command's options."""
    made = Parser(prog="workbench sync", description=DESCRIPTION, examples=EXAMPLES)
    made.add_argument("dir", type=str, help="the folder that was named as --out", metavar="DIR")
    made.add_argument("--dry-run", action="store_true", help="say what would be written and sent; needs no W&B")
    made.add_argument("--project", type=str | None, default=None, help="W&B project; by default that of DIR")
    made.add_argument("--entity", type=str | None, default=None, help="W&B user or team; by default that of the key")
    made.add_argument("--checkpoints", action="store_true", help="trained weights go along, as artifacts")
    return made

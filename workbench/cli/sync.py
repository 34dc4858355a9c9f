"""`workbench sync`: sends results to a W&B account."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from workbench.cli.options import check_wandb_name, existing_folder
from workbench.cli.output import ProgressBar, warn
from workbench.cli.parser import Parser
from workbench.errors import UserError
from workbench.files import describe_error, ensure_writable

if TYPE_CHECKING:
    from analysis.dashboards.mirror.account import Account
    from analysis.dashboards.mirror.mirror import MirrorItem
    from analysis.dashboards.mirror.state import Destination

DESCRIPTION = """Send the results below DIR to a W&B account: every run, trial and report that has not been sent, and
those that say more than when they were sent, because probes came later.

First it asks the server whose key this machine has (wandb login, or WANDB_API_KEY); without a key or a network it ends
within ten seconds, and nothing is changed. Then it brings the offline records in DIR/wandb up to date, and sends them.
Ctrl-C, a crash or `kill -9` lose nothing: the same command, run again, sends what is left.

The project is the one that DIR was mirrored for. With another --project everything is written for that one and sent
there; what was sent before stays where it is, and the other one is DIR's project from then on."""

EXAMPLES = """examples:
  workbench sync results --dry-run
  workbench sync results
  workbench sync results --project memory --entity our-lab
  WANDB_BASE_URL=https://wandb.our-lab.org workbench sync results
"""
MAX_LISTED = 20
"""Records that a dry run names."""
LINE_EVERY = 20
"""Records between two lines of progress where there is no terminal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRecord:
    """A record, and what has to be done with it."""

    item: "MirrorItem"
    write: bool
    """True if it has to be written first."""
    send: bool
    """True if it has to be sent."""


def main(arguments: list[str]) -> int:
    """Runs the command; returns the exit status."""
    values = build_parser().parse_args(arguments)
    out = existing_folder(values.dir)
    from analysis.dashboards.mirror.state import resolve_destination

    if next(out.glob("runs/*/*/*/seed-*/metrics.csv"), None) is None:
        raise UserError(f"there are no results in {out}; name the folder that was given as --out")
    project, entity = check_wandb_name("project", values.project), check_wandb_name("entity", values.entity)
    destination = resolve_destination(out, project, entity)
    if values.dry_run:
        print_plan(out, destination, list(plan_records(out, destination, checkpoints=values.checkpoints)))
        return 0
    from analysis.dashboards.mirror.account import fetch_account

    ensure_writable(out / "wandb")
    account = fetch_account()
    return write_and_send(out, account, destination, checkpoints=values.checkpoints)


def plan_records(out: Path, destination: "Destination", *, checkpoints: bool) -> Iterator[PlannedRecord]:
    """Yields every record of a folder of results, with what has to be done with it.

    Args:
        out: the folder of results.
        destination: the project and entity that it is to be sent to.
        checkpoints: whether trained weights go along.

    Raises:
        UserError: if a file cannot be read.
    """
    from analysis.dashboards.mirror.mirror import is_current, iter_items
    from analysis.dashboards.mirror.state import read_state

    for item in iter_items(out, checkpoints=checkpoints):
        state, current = read_state(item.state_path), is_current(out, item, destination)
        yield PlannedRecord(item=item, write=not current, send=not current or state is None or not state.sent)


def print_plan(out: Path, destination: "Destination", records: Sequence[PlannedRecord]) -> None:
    """Prints what would be written and sent."""
    unsent, unwritten = [record for record in records if record.send], sum(record.write for record in records)
    print(
        f"{len(records)} records of {out}: {len(records) - len(unsent)} have been sent to the project "
        f"{destination.project}, {len(unsent)} would be sent, {unwritten} of them written first"
    )
    for record in unsent[:MAX_LISTED]:
        print(f"  {record.item.record.name}: {'to be written, then sent' if record.write else 'to be sent'}")
    if len(unsent) > MAX_LISTED:
        print(f"  and {len(unsent) - MAX_LISTED} more")


def write_and_send(out: Path, account: "Account", destination: "Destination", *, checkpoints: bool) -> int:
    """Writes the records that have to be written, and sends those that have not been sent; returns the exit status."""
    from analysis.dashboards.mirror.mirror import remove_replaced_records
    from analysis.dashboards.mirror.sync import sync_lock, upload

    url = f"{account.app_url}/{quote(destination.entity or account.entity or '')}/{quote(destination.project)}"
    with sync_lock(out):
        with ProgressBar("records written", line_every=LINE_EVERY, leave=False) as bar:
            unsent = list(write_records(out, destination, progress_listener(bar), checkpoints=checkpoints))
        remove_replaced_records(out)
        if not unsent:
            print(f"everything has been sent: {url}")
            return 0
        with ProgressBar("records sent", len(unsent), line_every=LINE_EVERY, leave=False) as bar:
            try:
                sent = upload(out, unsent, destination, account, progress_listener(bar))
            except KeyboardInterrupt:
                bar.close()
                left = count_unsent(unsent)
                warn(f"interrupted: {left} of {len(unsent)} records are left; run the same command again to send them")
                return 130
    print(f"{sent} record{'s' * (sent != 1)} sent: {url}")
    return 0


def progress_listener(bar: ProgressBar) -> Callable[[int], None]:
    """Returns a function that shows how many records are done."""

    def on_progress(done: int) -> None:
        count = f"{done}" if bar.total is None else f"{done} of {bar.total}"
        bar.update(done, line=f"{count} {bar.unit}")

    return on_progress


def write_records(
    out: Path, destination: "Destination", on_progress: Callable[[int], None], *, checkpoints: bool
) -> Iterator[Path]:
    """Writes the records that have to be written, and yields the state file of each record that has to be sent.

    Args:
        out: the folder of results.
        destination: the project and entity that the records are for.
        on_progress: receives the number of records written so far.
        checkpoints: whether trained weights go along.

    Raises:
        UserError: if one cannot be written.
    """
    from analysis.dashboards.mirror.mirror import write_record

    written = 0
    for record in plan_records(out, destination, checkpoints=checkpoints):
        if record.write:
            try:
                write_record(out, record.item, destination)
            except Exception as error:
                raise UserError(f"W&B could not write {record.item.record.name}: {describe_error(error)}") from error
            written += 1
            on_progress(written)
        if record.send:
            yield record.item.state_path


def count_unsent(state_paths: Sequence[Path]) -> int:
    """Returns how many records have not been sent, by their state files."""
    from analysis.dashboards.mirror.state import read_state

    return sum((state := read_state(path)) is None or not state.sent for path in state_paths)


def build_parser() -> Parser:
    """Returns the parser of the command."""
    parser = Parser(prog="workbench sync", description=DESCRIPTION, examples=EXAMPLES)
    parser.add_argument("dir", type=str, help="the folder that was named as --out", metavar="DIR")
    parser.add_argument("--dry-run", action="store_true", help="say what would be written and sent; needs no W&B")
    parser.add_argument("--project", type=str | None, default=None, help="W&B project; by default that of DIR")
    parser.add_argument("--entity", type=str | None, default=None, help="W&B user or team; by default that of the key")
    parser.add_argument("--checkpoints", action="store_true", help="trained weights go along, as artifacts")
    return parser

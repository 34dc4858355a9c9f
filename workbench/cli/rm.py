"""`workbench rm`: removes runs from a folder of results."""

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from architectures.suggest import did_you_mean
from workbench.cli.options import existing_folder, take_options
from workbench.cli.output import align_columns, format_bytes, warn
from workbench.cli.parser import Parser
from workbench.config import TUNING_SEED
from workbench.errors import UserError

DESCRIPTION = """Remove runs from DIR: those that all of the given options select, each folder whole.

It shows what it would remove, and asks. A run that another process is training or probing is left alone, and so is
whatever lies behind a link. The run's W&B record in DIR/wandb goes too; what was sent to W&B stays there. The same
comparison, run again, trains what was removed."""

EXAMPLES = """examples:
  workbench rm results --status unfinished --dry-run
  workbench rm results --task addition --architecture rwa,rda
  workbench rm results --identity 44c4 --seed 0,1 --yes
  workbench rm results --all
"""

UNFINISHED = "unfinished"
UNFINISHED_STATES = ("interrupted", "failed", "unreadable")
"""What `unfinished` stands for."""
STATUSES = ("finished", "diverged", *UNFINISHED_STATES)
"""What a run can be that nobody is at work on."""
FAILED = 1
"""Exit status if a run that was selected is still there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The runs to remove.

    Args:
        task: names of tasks, separated by commas.
        architecture: names of architectures, separated by commas.
        identity: hashes or their beginnings, separated by commas.
        seed: seeds, separated by commas.
        status: finished, diverged, interrupted, failed or unreadable, separated by commas; unfinished is any of the
            last three.
    """

    task: str | None = None
    architecture: str | None = None
    identity: str | None = None
    seed: str | None = None
    status: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRun:
    """A run's folder, and what its path and its files say."""

    folder: Path
    status: str

    @property
    def task(self) -> str:
        """The task, as it stands in the path."""
        return self.folder.parts[-4]

    @property
    def architecture(self) -> str:
        """The architecture, as it stands in the path."""
        return self.folder.parts[-3]

    @property
    def identity(self) -> str:
        """The hash of the configuration."""
        return self.folder.parts[-2]

    @property
    def seed(self) -> int:
        """The seed."""
        return int(self.folder.name.removeprefix("seed-"))


def main(arguments: list[str]) -> int:
    """Runs the command; returns the exit status."""
    values = build_parser().parse_args(arguments).as_dict()
    selection = take_options(Selection, values)
    folder = values["dir"]
    if selection == Selection() and not values["all"]:
        raise UserError(
            "select what to remove: --task, --architecture, --identity, --seed or --status; "
            "--all removes every run, and deleting the folder everything"
        )
    if selection != Selection() and values["all"]:
        raise UserError("--all removes every run, so nothing else selects any; drop one of the two")
    out = existing_folder(folder)
    from analysis.formatting import make_printable
    from workbench.run_removal import find_run_folders, folder_bytes, remove_remnant

    found = find_run_folders(out)
    for link in found.links:
        warn(f"{make_printable(str(link))} is a link: what it leads to is left alone")
    runs = [run for run in read_runs(out, found.runs) if values["trials"] or run.seed < TUNING_SEED]
    if not runs:
        raise UserError(f"there are no runs in {out}{describe_trials(len(found.runs))}")
    selected = select_runs(runs, selection)
    sizes = [folder_bytes(run.folder) for run in selected]
    rows = [
        (make_printable(str(run.folder)), run.status, format_bytes(size))
        for run, size in zip(selected, sizes, strict=True)
    ]
    print(align_columns(rows, left=(0, 1)))
    amount = f"{len(selected)} of {len(runs)} runs, {format_bytes(sum(sizes))}"
    if values["dry_run"]:
        print(f"{amount}: nothing is removed in a dry run")
        return 0
    if not values["yes"] and not confirm(f"remove {amount}?"):
        print("nothing was removed")
        return 0
    for remnant in found.remnants:
        remove_remnant(remnant)
    removed = remove_runs(out, selected)
    print(f"{removed} of {len(runs)} runs removed{describe_report(out, left=len(found.runs) > removed)}")
    return 0 if removed == len(selected) else FAILED


def read_runs(out: Path, folders: Iterable[Path]) -> list[StoredRun]:
    """Returns the runs in folders, each with its status."""
    from analysis.dashboards.server.run_status import FileCache, read_status
    from workbench.leases import LeaseWatch
    from workbench.run_folder import see_holder

    cache, watch = FileCache(out.resolve()), LeaseWatch()
    runs = []
    for folder in folders:
        status = read_status(folder, cache, partial(see_holder, folder, watch))
        # Without a configuration it was interrupted before it began.
        runs.append(StoredRun(folder=folder, status="interrupted" if status is None else status.state))
    return runs


def select_runs(runs: Sequence[StoredRun], selection: Selection) -> list[StoredRun]:
    """Returns the runs that a selection names.

    Raises:
        UserError: if there are none, or it names something that none of the runs has.
    """
    filters: list[Callable[[StoredRun], bool]] = []
    known: dict[str, list[str]] = {
        kind: sorted({getattr(run, kind) for run in runs}) for kind in ("task", "architecture", "identity")
    }
    known["seed"] = [str(seed) for seed in sorted({run.seed for run in runs})]
    for kind in ("task", "architecture"):
        if (names := parse_list(getattr(selection, kind), kind)) is not None:
            # As the path has them.
            wanted = [name.replace(":", "-").replace("/", "-") for name in names]
            check_known(kind, wanted, known[kind])
            filters.append(lambda run, kind=kind, wanted=wanted: getattr(run, kind) in wanted)  # type: ignore[misc]
    if (starts := parse_list(selection.identity, "identity")) is not None:
        for start in starts:
            if not any(identity.startswith(start) for identity in known["identity"]):
                check_known("identity", [start], known["identity"])
        filters.append(lambda run: run.identity.startswith(tuple(starts)))
    if (seeds := parse_list(selection.seed, "seed")) is not None:
        check_known("seed", seeds, known["seed"])
        filters.append(lambda run: str(run.seed) in seeds)
    if (statuses := parse_list(selection.status, "status")) is not None:
        for status in statuses:
            if status not in (*STATUSES, UNFINISHED):
                raise UserError(f"unknown status {status!r}{did_you_mean(status, (*STATUSES, UNFINISHED))}")
        states = {*statuses, *(UNFINISHED_STATES if UNFINISHED in statuses else ())}
        filters.append(lambda run: run.status in states)
    selected = [run for run in runs if all(matches(run) for matches in filters)]
    if not selected:
        states_found = Counter(run.status for run in runs)
        raise UserError(
            f"no run is all of that; there are the tasks {', '.join(known['task'])}; the architectures "
            f"{', '.join(known['architecture'])}; the seeds {', '.join(known['seed'])}; and by status "
            + ", ".join(f"{count} {status}" for status, count in sorted(states_found.items()))
        )
    return selected


def parse_list(text: str | None, option: str) -> list[str] | None:
    """Returns the parts of a text that commas separate; `None` if the option was not given.

    Raises:
        UserError: if it was given, and is empty.
    """
    if text is None:
        return None
    names = [part.strip() for part in text.split(",") if part.strip()]
    if not names:
        raise UserError(f"--{option} names nothing")
    return names


def check_known(kind: str, names: Iterable[str], known: Sequence[str]) -> None:
    """Refuses a name that no run has.

    Raises:
        UserError: with the names that there are.
    """
    for name in names:
        if name not in known:
            raise UserError(f"there is no run of {kind} {name!r}{did_you_mean(name, known)}")


def confirm(question: str) -> bool:
    """Asks a question on the terminal; returns whether the answer is yes.

    Raises:
        UserError: if nobody is there to answer.
    """
    if not sys.stdin.isatty():
        raise UserError("there is no terminal to ask on; --yes removes without a question, --dry-run only shows")
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def remove_runs(out: Path, runs: Iterable[StoredRun]) -> int:
    """Removes runs and their W&B records; returns how many. One that cannot be removed costs a line, and stays."""
    from analysis.dashboards.mirror import state
    from analysis.dashboards.mirror.mirror import remove_record
    from workbench.run_removal import remove_run

    removed = 0
    records = out / state.RECORDS_FOLDER
    for run in runs:
        record = state.read_state(run.folder / state.STATE_FILE)
        try:
            remove_run(run.folder)
        except UserError as error:
            warn(str(error))
            continue
        removed += 1
        if record is not None and records.is_dir() and not records.is_symlink():
            with state.records_lock(out):
                remove_record(out, record)
    return removed


def describe_report(out: Path, *, left: bool) -> str:
    """Returns a clause that says what still shows removed runs; empty if nothing does."""
    if not any((out / name).exists() for name in ("report.html", "comparison.csv")):
        return ""
    if left:
        return f"; workbench report {out} makes the report again"
    return f"; the report in {out} still shows them, and may be deleted"


def describe_trials(count: int) -> str:
    """Returns a clause about the runs of a sweep's trials, which are only removed if --trials says so."""
    return f" but {count} that a sweep tuned with; --trials takes them too" if count else ""


def build_parser() -> Parser:
    """Returns the parser of the command."""
    parser = Parser(prog="workbench rm", description=DESCRIPTION, examples=EXAMPLES)
    parser.add_argument("dir", type=str, help="the folder that was named as --out", metavar="DIR")
    parser.add_fields(Selection, "what to remove")
    parser.add_argument("--all", action="store_true", help="every run")
    parser.add_argument(
        "--trials", action="store_true", help="runs that a sweep tuned with, too; its store still counts them as done"
    )
    parser.add_argument("--dry-run", action="store_true", help="only show what would be removed")
    parser.add_argument("--yes", action="store_true", help="remove without a question")
    return parser

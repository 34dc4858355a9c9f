"""Sync states: which record a run or comparison has, for which project, and whether it was sent.

Each is written beside its run, so that nothing is sent twice.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from workbench.errors import UserError
from workbench.files import read_json, write_json
from workbench.locks import file_lock
from workbench.validation import from_mapping

DEFAULT_PROJECT = "sequence-workbench"
"""The default W&B project."""
STATE_FILE = "wandb.json"
"""Sync state of a run, beside its result."""
RECORDS_FOLDER = "wandb"
"""Folder of W&B's offline records in a folder of results."""
WORK_FOLDER = ".sync"
"""Below `RECORDS_FOLDER`: where `wandb sync` runs, and its output and logs. Paths in a record are relative to it."""
COMPARISON_STATE_FILE = "comparison.json"
"""Sync state of the comparison, in `RECORDS_FOLDER`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """A project and an entity in W&B."""

    project: str
    entity: str | None = None
    """User or team; `None` stands for the account's default entity."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncState:
    """An offline record, its destination, and whether it was sent; the fields are the keys of the file."""

    id: str
    """Id of the run in its W&B project."""
    place: Destination
    """Where the record was written for."""
    folder: str
    """Folder of the record, relative to the folder of results."""
    content: str
    """Hash of the record's content."""
    at: str
    """Absolute path of the folder of results: W&B keeps absolute paths of attached files, so a record that was moved
    must be written again."""
    sent: bool = False
    checkpoint: bool = False
    """True if the trained weights are included."""
    stamp: str = ""
    """What the files that it was written from looked like (`stamp.run_stamp`); empty if that was not noted."""


def read_state(path: Path) -> SyncState | None:
    """Reads a sync state; `None` if there is none or it is unreadable, and the run must be mirrored again."""
    try:
        plain = read_json(path)
        destination = from_mapping(Destination, plain.get("place"), "the destination")
        state = from_mapping(SyncState, {**plain, "place": destination}, "the sync state")
    except UserError:
        return None
    entity = "" if destination.entity is None else destination.entity
    texts = (state.id, state.folder, state.content, state.at, state.stamp, destination.project, entity)
    if not all(isinstance(text, str) and "\0" not in text for text in texts):
        return None
    return state if isinstance(state.sent, bool) and isinstance(state.checkpoint, bool) else None


def write_state(path: Path, state: SyncState) -> None:
    """Writes a sync state, atomically."""
    path.parent.mkdir(exist_ok=True)
    write_json(path, asdict(state))


@contextmanager
def records_lock(out: Path) -> Iterator[None]:
    """Limits records and sync states to one writer at a time."""
    (out / RECORDS_FOLDER).mkdir(exist_ok=True)
    with file_lock(out / RECORDS_FOLDER / ".lock"):
        yield


def record_file(out: Path, state: SyncState) -> Path | None:
    """Returns W&B's file of a record; `None` if it is gone, or is not in the folder of records."""
    folder = out / state.folder
    if folder.is_symlink() or folder.resolve().parent != (out / RECORDS_FOLDER).resolve():
        return None
    return next((path.resolve() for path in sorted(folder.glob("run-*.wandb")) if path.is_file()), None)


def iter_states(out: Path) -> Iterator[tuple[Path, SyncState]]:
    """Yields the path and content of each sync state in a folder of results, in a stable order, the comparison last."""
    for path in (
        *sorted((out / "runs").glob(f"*/*/*/seed-*/{STATE_FILE}")),
        out / RECORDS_FOLDER / COMPARISON_STATE_FILE,
    ):
        if (state := read_state(path)) is not None:
            yield path, state


def mirrored_destination(out: Path) -> Destination | None:
    """Returns the destination of a mirrored folder of results, which is its report's; `None` if it is not mirrored."""
    comparison = read_state(out / RECORDS_FOLDER / COMPARISON_STATE_FILE)
    return next((state.place for _, state in iter_states(out)), None) if comparison is None else comparison.place


def resolve_destination(out: Path, project: str | None = None, entity: str | None = None) -> Destination:
    """Returns the given destination, completed from that of the mirrored folder, else from the defaults."""
    current = mirrored_destination(out) or Destination(project=DEFAULT_PROJECT)
    return Destination(project=project or current.project, entity=entity or current.entity)

"""What is known of each record in W&B's own files: written beside what it is of, so that nothing is sent twice."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock

from workbench.errors import UserError
from workbench.files import read_json, write_json
from workbench.validation import from_mapping

PROJECT = "sequence-workbench"
"""The W&B project where none is named."""
FILE = "wandb.json"
"""Beside a run's result."""
FOLDER = "wandb"
"""Below a folder of results: W&B's offline records."""
WHOLE_FILE = "comparison.json"
"""In `FOLDER`: the mark of the comparison as a whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Where in W&B records are shown."""

    project: str
    entity: str | None = None
    """The user or team; `None`: the account's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncState:
    """An offline record, and whether it has been sent."""

    id: str
    """Of the run in its W&B project."""
    place: Destination
    folder: str
    """The record, relative to the folder of results."""
    content: str
    """The hash of what it shows."""
    at: str
    """The folder of results as it was: W&B keeps absolute paths to what goes along, so a record that has been moved
    has to be written anew."""
    sent: bool = False
    checkpoint: bool = False
    """Whether the trained weights go along."""


def read_state(path: Path) -> SyncState | None:
    """The mark in a file; `None` where there is none that can be read: what it was of is then mirrored anew."""
    try:
        plain = read_json(path)
        mark = from_mapping(
            SyncState, {**plain, "place": from_mapping(Destination, plain.get("place"), "the place")}, "the mark"
        )
    except UserError:
        return None
    place = mark.place
    texts = (mark.id, mark.folder, mark.content, mark.at, place.project, "" if place.entity is None else place.entity)
    if not all(isinstance(text, str) and "\0" not in text for text in texts):
        return None
    return mark if isinstance(mark.sent, bool) and isinstance(mark.checkpoint, bool) else None


def write_state(path: Path, mark: SyncState) -> None:
    """Writes a mark, atomically."""
    path.parent.mkdir(exist_ok=True)
    write_json(path, asdict(mark))


@contextmanager
def writing_records(out: Path) -> Iterator[None]:
    """Keeps records and marks to one writer at a time."""
    (out / FOLDER).mkdir(exist_ok=True)
    with FileLock(out / FOLDER / ".lock"):
        yield


def record_file(out: Path, mark: SyncState) -> Path | None:
    """W&B's file of a record; `None` where it is gone, or is not in the folder that records are in."""
    folder = out / mark.folder
    if folder.is_symlink() or folder.resolve().parent != (out / FOLDER).resolve():
        return None
    return next((path.resolve() for path in sorted(folder.glob("run-*.wandb")) if path.is_file()), None)


def below(out: Path) -> Iterator[tuple[Path, SyncState]]:
    """Every mark below a folder of results, in a stable order, that of the comparison last."""
    for path in (*sorted((out / "runs").glob(f"*/*/*/seed-*/{FILE}")), out / FOLDER / WHOLE_FILE):
        if (mark := read_state(path)) is not None:
            yield path, mark


def is_mirrored(out: Path) -> Destination | None:
    """The place that a folder of results is mirrored for, which is that of its report; `None` where it is not."""
    whole = read_state(out / FOLDER / WHOLE_FILE)
    return next((mark.place for _, mark in below(out)), None) if whole is None else whole.place


def destination_of(out: Path, project: str | None = None, entity: str | None = None) -> Destination:
    """The place that is named; what is not named is as the folder of results is mirrored for, or would be."""
    now = is_mirrored(out) or Destination(project=PROJECT)
    return Destination(project=project or now.project, entity=entity or now.entity)

"""Checkpoints of a run: the last one, and the one before in case the last was cut short."""

import hashlib
import pickle
import zipfile
import zlib
from pathlib import Path
from typing import Any

import torch

from workbench.errors import UserError
from workbench.files import atomic_path, read_json, write_json

LAST, PREVIOUS = "last.ckpt", "previous.ckpt"
RECORDER = "Recorder"
"""Key of the recorder's state among a checkpoint's callbacks: part of the file format, whatever the class is called."""


def save(trainer: Any, folder: Path) -> None:
    """Writes the trainer's checkpoint aside, then moves it and its predecessor one place on."""
    last = folder / LAST
    with atomic_path(last) as aside:
        trainer.save_checkpoint(aside)
        if last.exists():
            last.replace(folder / PREVIOUS)


MAX_PART_BYTES = 16 * 2**20
"""Bytes of a part."""


def split_checkpoints(folder: Path, largest: int = MAX_PART_BYTES) -> None:
    """Puts checkpoints that are larger than that into parts; `newest` puts them together again."""
    for name in (LAST, PREVIOUS):
        split_file(folder / name, largest)


def newest(folder: Path, identity: str) -> tuple[Path | None, list[str]]:
    """The newest checkpoint that can be read, or `None`; and a line for each that could not.

    Raises:
        UserError: if it is one of another configuration.
    """
    notes: list[str] = []
    for name in (LAST, PREVIOUS):
        path = folder / name
        if not join_file(path):
            notes.append(f"{path} is in parts, of which one is missing or damaged, and is left aside")
        if not path.exists():
            continue
        owner = owner_of(path)
        if owner == identity:
            return path, notes
        if owner is not None:
            raise UserError(
                f"{path} belongs to another configuration ({owner}, not {identity}); move the folder away and run again"
            )
        notes.append(f"{path} is damaged and is left aside")
    if notes:
        notes.append(f"no checkpoint in {folder} can be read: the run starts again")
    return None, notes


def owner_of(path: Path) -> str | None:
    """The identity of the experiment whose checkpoint this is; `None` if it is not whole, or none of this bench.

    Weights only: loading never executes what a file says.
    """
    try:
        # The archive's checksums first: a flipped byte inside a tensor loads without complaint.
        with zipfile.ZipFile(path) as archive:
            if archive.testzip() is not None:
                return None
        found = torch.load(path, map_location="cpu", weights_only=True)
        return str(found["callbacks"][RECORDER]["identity"])
    except (OSError, EOFError, LookupError, RuntimeError, TypeError, ValueError):
        return None
    except (pickle.UnpicklingError, zipfile.BadZipFile, zlib.error):
        return None


def split_file(path: Path, largest: int = MAX_PART_BYTES) -> None:
    """Puts a file that is larger than that into parts beside it, and takes it away once all of them are there."""
    if not path.exists() or path.stat().st_size <= largest:
        return
    _clear(path)
    hashed, count = hashlib.sha256(), 0
    with path.open("rb") as file:
        while block := file.read(largest):
            with atomic_path(_part(path, count)) as aside:
                aside.write_bytes(block)
            hashed.update(block)
            count += 1
    # Last of all: there are parts if, and only if, it is there.
    write_json(_index(path), {"parts": count, "sha256": hashed.hexdigest()})
    path.unlink()


def join_file(path: Path) -> bool:
    """Puts a file together again, if it is in parts.

    Returns:
        Whether it is as it was; false where a part is missing or is another.
    """
    if path.exists():
        # It was put together before, or is newer.
        _clear(path)
        return True
    if not _index(path).exists():
        return True
    hashed = hashlib.sha256()
    try:
        known = read_json(_index(path))
        with atomic_path(path) as aside:
            with aside.open("wb") as file:
                for number in range(int(known["parts"])):
                    block = _part(path, number).read_bytes()
                    hashed.update(block)
                    file.write(block)
            if hashed.hexdigest() != known["sha256"]:
                # Out of the context, which would keep what it was given.
                raise ValueError(path)
    except (UserError, OSError, KeyError, TypeError, ValueError):
        return False
    _clear(path)
    return True


def _part(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.part-{number:03}")


def _index(path: Path) -> Path:
    return path.with_name(f"{path.name}.parts.json")


def _clear(path: Path) -> None:
    _index(path).unlink(missing_ok=True)
    for part in path.parent.glob(f"{path.name}.part-*"):
        part.unlink()

"""Checkpoints of a run: the last one, the one before it in case the last was cut short, and large ones in parts."""

import hashlib
import pickle
import re
import zipfile
import zlib
from pathlib import Path
from typing import Any

import torch

from workbench.errors import UserError
from workbench.files import atomic_path, describe_error, read_json, write_json

LAST, PREVIOUS = "last.ckpt", "previous.ckpt"
RECORDER_KEY = "Recorder"
"""Key of the recorder's state among a checkpoint's callbacks: part of the file format, whatever the class is called."""
MAX_PART_BYTES = 16 * 2**20
"""Largest size of a part, in bytes."""


def save(trainer: Any, folder: Path) -> None:
    """Saves the trainer's checkpoint as the last one of a run; the last one so far becomes the previous one.

    Args:
        trainer: the Lightning trainer.
        folder: the run's.
    """
    last = folder / LAST
    with atomic_path(last) as temporary:
        trainer.save_checkpoint(temporary)
        if last.exists():
            last.replace(folder / PREVIOUS)


def find_newest(folder: Path, identity: str) -> tuple[Path | None, list[str]]:
    """Finds the newest readable checkpoint of a run, and puts it together if it is in parts.

    Args:
        folder: the run's.
        identity: of the run's experiment.

    Returns:
        Its path, or `None` if there is no readable one; and a line for each checkpoint that was skipped.

    Raises:
        UserError: if the checkpoint belongs to another configuration.
    """
    notes: list[str] = []
    for name in (LAST, PREVIOUS):
        path = folder / name
        if not join_file(path):
            notes.append(f"{path} is in parts, of which one is missing or damaged: it is skipped")
        if not path.exists():
            continue
        owner = read_identity(path)
        if owner == identity:
            return path, notes
        if owner is not None:
            raise UserError(
                f"{path} belongs to another configuration ({owner}, not {identity}); move the folder away and run again"
            )
        notes.append(f"{path} is damaged: it is skipped")
    if notes:
        notes.append(f"no checkpoint in {folder} can be read: the run starts again")
    return None, notes


def read_identity(path: Path) -> str | None:
    """Returns the identity of the experiment that a checkpoint belongs to; `None` if it is damaged or not ours.

    Weights only: loading never executes code from the file.
    """
    try:
        # The archive's checksums first: a flipped byte inside a tensor loads without complaint.
        with zipfile.ZipFile(path) as archive:
            if archive.testzip() is not None:
                return None
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        return str(checkpoint["callbacks"][RECORDER_KEY]["identity"])
    except (OSError, EOFError, LookupError, RuntimeError, TypeError, ValueError):
        return None
    except (pickle.UnpicklingError, zipfile.BadZipFile, zlib.error):
        return None


def find_unreadable(path: Path) -> str | None:
    """Returns why a checkpoint that was just saved cannot be read back; `None` if it can.

    An architecture may keep what it likes in its state (`get_extra_state`), but only tensors, numbers, text, lists and
    mappings are read without executing code.
    """
    try:
        torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        named = re.search(r"Unsupported (?:global|class|operand)[^:]*: ?(?:GLOBAL )?([\w.]+)", str(error))
        what = named[1] if named else describe_error(error)
        return f"it holds {what}; keep tensors, Python numbers, text, lists and mappings in it"
    return None


def split_checkpoints(folder: Path, max_bytes: int = MAX_PART_BYTES) -> None:
    """Splits the checkpoints that are larger than `max_bytes` into parts; `find_newest` joins them again."""
    for name in (LAST, PREVIOUS):
        split_file(folder / name, max_bytes)


def split_file(path: Path, max_bytes: int = MAX_PART_BYTES) -> None:
    """Splits a file larger than `max_bytes` into parts beside it, and removes it once all of them are written."""
    if not path.exists() or path.stat().st_size <= max_bytes:
        return
    _remove_parts(path)
    digest, count = hashlib.sha256(), 0
    with path.open("rb") as file:
        while block := file.read(max_bytes):
            with atomic_path(_part_path(path, count)) as temporary:
                temporary.write_bytes(block)
            digest.update(block)
            count += 1
    # The index comes last: if it exists, all parts do.
    write_json(_index_path(path), {"parts": count, "sha256": digest.hexdigest()})
    path.unlink()


def join_file(path: Path) -> bool:
    """Joins the parts of a file again, if it is in parts.

    Returns:
        False if a part is missing or damaged; True otherwise, also if there is neither a file nor parts.
    """
    if path.exists():
        # It was joined before, or is newer than the parts.
        _remove_parts(path)
        return True
    if not _index_path(path).exists():
        return True
    digest = hashlib.sha256()
    try:
        index = read_json(_index_path(path))
        with atomic_path(path) as temporary:
            with temporary.open("wb") as file:
                for number in range(int(index["parts"])):
                    block = _part_path(path, number).read_bytes()
                    digest.update(block)
                    file.write(block)
            if digest.hexdigest() != index["sha256"]:
                # Leave the context by an exception, so that it discards the file.
                raise ValueError(path)
    except (UserError, OSError, KeyError, TypeError, ValueError):
        return False
    _remove_parts(path)
    return True


def _part_path(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.part-{number:03}")


def _index_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.parts.json")


def _remove_parts(path: Path) -> None:
    _index_path(path).unlink(missing_ok=True)
    for part in path.parent.glob(f"{path.name}.part-*"):
        part.unlink()

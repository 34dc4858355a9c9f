"""Checkpoints of a run: the last one, and the one before in case the last was cut short."""

import pickle
import zipfile
import zlib
from pathlib import Path
from typing import Any

import torch

from workbench import parts
from workbench.errors import UserError
from workbench.files import written_aside

LAST, PREVIOUS = "last.ckpt", "previous.ckpt"


def save(trainer: Any, folder: Path) -> None:
    """Writes the trainer's checkpoint aside, then moves it and its predecessor one place on."""
    last = folder / LAST
    with written_aside(last) as aside:
        trainer.save_checkpoint(aside)
        if last.exists():
            last.replace(folder / PREVIOUS)


def split(folder: Path, largest: int = parts.LARGEST) -> None:
    """Puts checkpoints that are larger than that into parts; `newest` puts them together again."""
    for name in (LAST, PREVIOUS):
        parts.split(folder / name, largest)


def newest(folder: Path, identity: str) -> tuple[Path | None, list[str]]:
    """The newest checkpoint that can be read, or `None`; and a line for each that could not.

    Raises:
        UserError: if it is one of another configuration.
    """
    notes: list[str] = []
    for name in (LAST, PREVIOUS):
        path = folder / name
        if not parts.join(path):
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
        return str(found["callbacks"]["Recorder"]["identity"])
    except (OSError, EOFError, LookupError, RuntimeError, TypeError, ValueError):
        return None
    except (pickle.UnpicklingError, zipfile.BadZipFile, zlib.error):
        return None

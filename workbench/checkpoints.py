"""Checkpoints of a run: the last one, and the one before in case the last was cut short."""

import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch

from workbench.files import written_aside

LAST, PREVIOUS = "last.ckpt", "previous.ckpt"


def save(trainer: Any, folder: Path) -> None:
    """Writes the trainer's checkpoint aside, then moves it and its predecessor one place on."""
    last = folder / LAST
    with written_aside(last) as aside:
        trainer.save_checkpoint(aside)
        if last.exists():
            last.replace(folder / PREVIOUS)


def newest(folder: Path) -> tuple[Path | None, list[str]]:
    """The newest checkpoint that can be read, or `None`; and a line for each that could not."""
    notes: list[str] = []
    for name in (LAST, PREVIOUS):
        path = folder / name
        if not path.exists():
            continue
        if readable(path):
            return path, notes
        notes.append(f"{path} is damaged and is left aside")
    if notes:
        notes.append(f"no checkpoint in {folder} can be read: the run starts again")
    return None, notes


def readable(path: Path) -> bool:
    """Whether a checkpoint is whole. Weights only: loading never executes what a file says."""
    try:
        # The archive's checksums first: a flipped byte inside a tensor loads without complaint.
        with zipfile.ZipFile(path) as archive:
            if archive.testzip() is not None:
                return False
        return isinstance(torch.load(path, map_location="cpu", weights_only=True), dict)
    except (OSError, EOFError, RuntimeError, ValueError, KeyError, zipfile.BadZipFile, pickle.UnpicklingError):
        return False

"""The device that something runs on."""

import gc
from contextlib import suppress

import torch

from workbench.errors import UserError


def device_named(name: str) -> str:
    """The device behind auto, cpu or cuda.

    Raises:
        UserError: if there is no such device here.
    """
    there = torch.cuda.is_available()
    if name == "auto":
        return "cuda" if there else "cpu"
    if name == "cuda" and not there:
        raise UserError("--device cuda: PyTorch finds no CUDA device here; use --device cpu")
    return name


def release(device: str) -> None:
    """Gives back what PyTorch keeps of a GPU's memory for later: the processes beside this one cannot have it."""
    if device == "cuda":
        gc.collect()
        # A GPU that has failed says so once more, over what it has failed in.
        with suppress(RuntimeError):
            torch.cuda.empty_cache()

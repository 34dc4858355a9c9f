"""What every command that trains is told about where, and not what, to train."""

import os
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from dashboards.mirror.mirror import Mirror, Mode
from dashboards.mirror.state import destination_of
from workbench.checks import one_of, whole
from workbench.cli.wandb_names import named
from workbench.config import MOST_THREADS
from workbench.errors import UserError

Device = Literal["auto", "cpu", "cuda"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Where to train.

    Args:
        out: folder of the results; what is finished there is read, what is interrupted goes on.
        device: auto takes a GPU where there is one.
        workers: experiments side by side, each in a process of its own; by default one for each core, or one on a GPU.
        threads: threads of each; results are the same for any number of workers, not for any number of threads.
        wandb: a Weights & Biases mirror of every finished run in OUT/wandb: off, offline, or sent (online).
        wandb_project: the W&B project; by default that which OUT is mirrored for, or sequence-workbench.
        wandb_checkpoints: whether the trained weights go along.
    """

    out: str
    device: Device = "auto"
    workers: int | None = None
    threads: int = 1
    wandb: Mode = "offline"
    wandb_project: str | None = None
    wandb_checkpoints: bool = False

    def __post_init__(self) -> None:
        if not self.out:
            raise UserError("name a folder for the results: --out DIR")
        one_of("device", self.device, Device)
        one_of("wandb", self.wandb, Mode)
        named("wandb-project", self.wandb_project)
        whole("threads", self.threads, least=1, most=MOST_THREADS)
        if self.workers is not None:
            whole("workers", self.workers, least=1)

    def mirror(self, say: Callable[[str], None]) -> Mirror:
        """The mirror that was asked for, which says in a line what goes wrong."""
        place, checkpoints = destination_of(self.folder, self.wandb_project), self.wandb_checkpoints
        return Mirror(self.folder, self.wandb, place, say, checkpoints=checkpoints)

    @property
    def folder(self) -> Path:
        """`out` as a path."""
        return Path(self.out)

    def side_by_side(self, device: str) -> int:
        """How many experiments run at once."""
        return self.workers or by_default(device, self.threads)


def by_default(device: str, threads: int) -> int:
    """How many processes of so many threads work side by side unless told otherwise."""
    return 1 if device == "cuda" else max(1, len(os.sched_getaffinity(0)) // threads)


def split(values: dict[str, Any]) -> tuple[Settings, dict[str, Any]]:
    """Takes the settings out of a command's values.

    Raises:
        UserError: if `out` is missing or a value cannot be.
    """
    rest = dict(values)
    mine = {item.name: rest.pop(item.name) for item in fields(Settings) if item.name in rest}
    return Settings(**{**mine, "out": mine.get("out") or ""}), rest

"""What every command that trains is told about where, and not what, to train."""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from analysis.dashboards.mirror.mirror import Mirror, Mode
from analysis.dashboards.mirror.state import destination_of
from workbench.config import MAX_THREADS
from workbench.errors import UserError
from workbench.validation import check_choice, check_int

Device = Literal["auto", "cpu", "cuda"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
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
        check_choice("device", self.device, Device)
        check_choice("wandb", self.wandb, Mode)
        check_wandb_name("wandb-project", self.wandb_project)
        check_int("threads", self.threads, least=1, most=MAX_THREADS)
        if self.workers is not None:
            check_int("workers", self.workers, least=1)

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
        return self.workers or default_workers(device, self.threads)


def default_workers(device: str, threads: int) -> int:
    """How many processes of so many threads work side by side unless told otherwise."""
    return 1 if device == "cuda" else max(1, len(os.sched_getaffinity(0)) // threads)


def split_list(values: dict[str, Any]) -> tuple[RunOptions, dict[str, Any]]:
    """Takes the settings out of a command's values.

    Raises:
        UserError: if `out` is missing or a value cannot be.
    """
    rest = dict(values)
    mine = {item.name: rest.pop(item.name) for item in fields(RunOptions) if item.name in rest}
    return RunOptions(**{**mine, "out": mine.get("out") or ""}), rest


DURATION = re.compile(r"(?:(?P<h>\d+(?:\.\d+)?)h)?(?:(?P<m>\d+(?:\.\d+)?)m)?(?:(?P<s>\d+(?:\.\d+)?)s)?$")
UNIT_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0}


def parse_duration(text: str, option: str) -> float:
    """The seconds of a length of time.

    Example:
        >>> seconds("1h30m", "--time-limit")
        5400.0

    Raises:
        UserError: if it has no unit, or is none.
    """
    given = text.strip()
    if re.fullmatch(r"\d+(\.\d+)?", given):
        raise UserError(f"{option} {given}: say the unit, as in {given}s, {given}m or {given}h")
    found = DURATION.match(given)
    total = 0.0 if found is None else sum(float(found[unit] or 0) * each for unit, each in UNIT_SECONDS.items())
    if total <= 0:
        raise UserError(f"{option} must be a time such as 90s, 9m or 1h30m, not {text!r}")
    return total


MAX_NAME_LENGTH = 128
FORBIDDEN_CHARACTERS = re.compile(r"[/\\#?%:\x00-\x1f]")


def check_wandb_name(option: str, name: str | None) -> str | None:
    """A name that was given, or `None` where none was.

    Raises:
        UserError: if W&B does not take it.
    """
    if name is not None and (
        not name.strip() or len(name) > MAX_NAME_LENGTH or name.startswith("-") or FORBIDDEN_CHARACTERS.search(name)
    ):
        raise UserError(
            f"--{option} {name!r} is no name for W&B: 1 to {MAX_NAME_LENGTH} characters, without / \\ # ? % :"
        )
    return name

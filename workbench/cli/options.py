"""Options that several commands share: where to train, durations, names for W&B."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from architectures.limits import quote
from workbench.config import MAX_SECONDS, MAX_THREADS, MAX_WORKERS, Mode
from workbench.cores import default_workers
from workbench.errors import UserError
from workbench.logger_interface import LoggerSpec
from workbench.results_folder import existing_folder, refuse_inside
from workbench.run_loggers import build_loggers, check_loggers, parse_loggers
from workbench.validation import check_choice, check_int

if TYPE_CHECKING:
    from analysis.dashboards.mirror.mirror import Mirror

__all__ = [
    "Device",
    "RunOptions",
    "check_required",
    "check_wandb_name",
    "default_workers",
    "existing_folder",
    "parse_duration",
    "refuse_inside",
    "take_options",
]

T = TypeVar("T")
Device = Literal["auto", "cpu", "cuda", "mps"]
"""Devices that can be trained on."""
ProbeDevice = Literal["auto", "cpu", "cuda"]
"""Devices that can be probed on, which takes float64."""

DURATION = re.compile(r"(?:(?P<h>\d+(?:\.\d+)?)h)?(?:(?P<m>\d+(?:\.\d+)?)m)?(?:(?P<s>\d+(?:\.\d+)?)s)?$")
UNIT_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0}

MAX_SEEDS_AT_ONCE = 256
"""Most seeds of a stacked model: each has an optimiser, files and a thread of its own."""

MAX_NAME_LENGTH = 128
FORBIDDEN_CHARACTERS = re.compile(r"[/\\#?%:\x00-\x1f]")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """Options of every command that trains: where the results are kept, and on which device.

    Args:
        out: folder of the results; finished runs in it are read, interrupted ones are resumed.
        device: auto takes an NVIDIA GPU if there is one, or else the CPU; mps is the GPU of a Mac.
        workers: experiments at the same time, each in its own process; by default one per core, or one on a GPU.
        threads: threads of each; results are the same for any number of workers, not for any number of threads.
        seeds_at_once: seeds of a configuration that a process trains as one stacked model, each with the numbers it has
            alone, where the architecture allows it. It is meant for a GPU, on which its speed was not measured; on a
            CPU four seeds took 0.6 to 5 times as long as one after another.
        wandb: a Weights & Biases mirror of every finished run in OUT/wandb: off, offline, or sent (online).
        wandb_project: the W&B project; by default that which OUT is mirrored for, or sequence-workbench.
        wandb_checkpoints: whether the trained weights go along.
        logger: what a run is logged to while it trains, separated by commas: csv, tensorboard, mlflow, wandb (live).
    """

    out: str
    device: Device = "auto"
    workers: int | None = None
    threads: int = 1
    seeds_at_once: int = 1
    wandb: Mode = "offline"
    wandb_project: str | None = None
    wandb_checkpoints: bool = False
    logger: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.out, str):
            raise UserError(f"out must be the path of a folder, not {quote(self.out)}")
        if not self.out:
            raise UserError("name a folder for the results: --out DIR")
        refuse_inside(self.folder)
        check_choice("device", self.device, Device)
        check_choice("wandb", self.wandb, Mode)
        check_wandb_name("wandb-project", self.wandb_project)
        check_int("threads", self.threads, least=1, most=MAX_THREADS)
        check_int("seeds_at_once", self.seeds_at_once, least=1, most=MAX_SEEDS_AT_ONCE)
        if self.workers is not None:
            check_int("workers", self.workers, least=1, most=MAX_WORKERS)
        loggers = parse_loggers(self.logger or ())
        check_loggers(loggers, self.wandb)
        object.__setattr__(self, "logger", loggers)

    def mirror(self, log: Callable[[str], None]) -> "Mirror":
        """Returns the W&B mirror of the results.

        Args:
            log: receives a line about each thing that goes wrong.
        """
        from analysis.dashboards.mirror.mirror import Mirror
        from analysis.dashboards.mirror.state import resolve_destination

        destination, checkpoints = resolve_destination(self.folder, self.wandb_project), self.wandb_checkpoints
        return Mirror(self.folder, self.wandb, destination, log, checkpoints=checkpoints)

    def loggers(self, log: Callable[[str], None]) -> tuple[LoggerSpec, ...]:
        """Returns the loggers of the runs.

        Args:
            log: receives a line if W&B's is offline.

        Raises:
            UserError: if the environment turns W&B off.
        """

        def build_wandb() -> LoggerSpec:
            from analysis.dashboards.mirror.live import choose_live_runs
            from analysis.dashboards.mirror.state import resolve_destination

            destination = resolve_destination(self.folder, self.wandb_project)
            return choose_live_runs(self.folder, destination, log, checkpoints=self.wandb_checkpoints)

        return build_loggers(parse_loggers(self.logger), build_wandb)

    @property
    def folder(self) -> Path:
        """`out` as a path."""
        return Path(self.out)

    def worker_count(self, device: str) -> int:
        """Returns how many experiments run at the same time."""
        return self.workers or default_workers(device, self.threads)


REQUIRED: Mapping[str, tuple[str, str]] = {
    "task": ("the task", "--task NAME"),
    "architecture": ("the architecture", "--architecture NAME"),
    "tasks": ("at least one task", "--tasks NAME,NAME"),
    "architectures": ("at least one architecture", "--architectures NAME,NAME"),
    "untrained": ("at least one architecture", "--untrained NAME,NAME"),
    "untrained_task": ("the task that untrained models would be trained on", "--task NAME"),
    "dir": ("the folder of results", "DIR"),
    "file": ("the archive", "FILE"),
    "to": ("the archive", "--to FILE.tar.gz"),
    "out": ("a folder for the results", "--out DIR"),
}
"""Options that some commands cannot do without: what each names, and how it is given."""


def check_required(values: Mapping[str, Any], *names: str) -> None:
    """Refuses a command that lacks options, and says which: all of them at once.

    Args:
        values: of the command, by option.
        names: the options that it cannot do without, of those in `REQUIRED`.

    Raises:
        UserError: if one is missing or empty.
    """
    missing = [REQUIRED[name] for name in names if values.get(name) in (None, "", [], ())]
    if not missing:
        return
    things, flags = [thing for thing, _ in missing], " ".join(flag for _, flag in missing)
    listed = " (workbench list shows the names)" if "NAME" in flags else ""
    raise UserError(f"name {' and '.join(filter(None, (', '.join(things[:-1]), things[-1])))}: {flags}{listed}")


def take_options(cls: type[T], values: dict[str, Any]) -> T:
    """Removes the fields of a dataclass from the values of a command, and returns them as that dataclass.

    Raises:
        UserError: if a value is missing or invalid.
    """
    names = [item.name for item in fields(cls)]  # type: ignore[arg-type]
    return cls(**{name: values.pop(name) for name in names if name in values})


def parse_duration(text: str, option: str) -> float:
    """Returns the seconds of a length of time.

    Args:
        text: hours, minutes and seconds, as in 1h30m.
        option: the option that it was given as, for the message.

    Example:
        >>> parse_duration("1h30m", "--time-limit")
        5400.0

    Raises:
        UserError: if it has no unit, or is not a positive length of time.
    """
    # Not pandas.Timedelta: it takes 9 for nanoseconds, 1,5h for 15 hours and "" for NaT, all without an error.
    stripped = text.strip()
    if re.fullmatch(r"\d+(\.\d+)?", stripped):
        raise UserError(f"{option} {stripped}: say the unit, as in {stripped}s, {stripped}m or {stripped}h")
    match = DURATION.match(stripped)
    seconds = 0.0 if match is None else sum(float(match[unit] or 0) * size for unit, size in UNIT_SECONDS.items())
    if not 0 < seconds <= MAX_SECONDS:
        raise UserError(f"{option} must be a time such as 90s, 9m or 1h30m, not {quote(text)}")
    return seconds


def check_wandb_name(option: str, name: str | None) -> str | None:
    """Returns a name that was given for something in W&B; `None` if none was given.

    Raises:
        UserError: if W&B would not accept it.
    """
    if name is not None and (
        not isinstance(name, str)
        or not name.strip()
        or len(name) > MAX_NAME_LENGTH
        or name.startswith("-")
        or FORBIDDEN_CHARACTERS.search(name)
    ):
        raise UserError(
            f"--{option} {quote(name)} is not a name for W&B: 1 to {MAX_NAME_LENGTH} characters, without / \\ # ? % :"
        )
    return name

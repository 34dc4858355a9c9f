"""Where work is done and kept: the folder of results, the device, processes and threads."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from workbench.api.calls import say, warn
from workbench.config import MAX_THREADS, Mode
from workbench.cores import default_workers
from workbench.devices import resolve_device
from workbench.logger_interface import LoggerName, LoggerSpec
from workbench.results_folder import refuse_inside
from workbench.run_folder import check_writable
from workbench.run_loggers import build_loggers, check_loggers, parse_loggers
from workbench.validation import check_choice, check_int

if TYPE_CHECKING:
    from analysis.dashboards.mirror.mirror import Mirror

Device = Literal["auto", "cpu", "cuda", "mps"]
ProbeDevice = Literal["auto", "cpu", "cuda"]
"""Devices that have float64, which probes need."""
DEFAULT_FOLDER = "workbench-results"
"""Folder of results, below the current one, where none is named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where runs are trained and kept."""

    folder: Path
    device: str
    """cpu or cuda."""
    workers: int
    threads: int
    wandb: Mode
    loggers: tuple[LoggerName, ...] = ()

    def mirror(self) -> "Mirror":
        """Returns the W&B mirror of the results."""
        from analysis.dashboards.mirror.mirror import Mirror
        from analysis.dashboards.mirror.state import resolve_destination

        return Mirror(self.folder, self.wandb, resolve_destination(self.folder, None), warn)

    def run_loggers(self) -> tuple[LoggerSpec, ...]:
        """Returns the loggers of the runs.

        Raises:
            UserError: if the environment turns W&B off, which is among them.
        """

        def build_wandb() -> LoggerSpec:
            from analysis.dashboards.mirror.live import choose_live_runs
            from analysis.dashboards.mirror.state import resolve_destination

            return choose_live_runs(self.folder, resolve_destination(self.folder, None), warn)

        return build_loggers(self.loggers, build_wandb)

    def publish(self) -> None:
        """Brings the mirror up to date, and sends it if the user wants that."""
        from analysis.dashboards.mirror import publishing

        publishing.publish(self.folder, self.wandb, self.mirror, warn)


def choose_place(
    out: str | Path | None,
    *,
    device: str,
    workers: int | None,
    threads: int,
    wandb: Mode = "off",
    loggers: str | Sequence[str] = (),
    progress: bool = True,
) -> Place:
    """Returns where runs are trained and kept.

    Args:
        out: folder of results; `None` for `workbench-results` in the current folder, which is said then.
        device: auto, cpu, cuda or mps.
        workers: processes; `None` for one a core, or one on a GPU.
        threads: of each.
        wandb: off, offline or online.
        loggers: names of loggers; with wandb among them, off is offline.
        progress: whether the default folder is said.

    Raises:
        UserError: if a value is invalid, or nothing can be written in the folder.
    """
    check_choice("device", device, Device)
    check_choice("wandb", wandb, Mode)
    check_int("threads", threads, least=1, most=MAX_THREADS)
    if workers is not None:
        check_int("workers", workers, least=1)
    names = parse_loggers(loggers or ())
    wandb = "offline" if wandb == "off" and "wandb" in names else wandb
    check_loggers(names, wandb)
    folder = Path(DEFAULT_FOLDER if out is None else out)
    refuse_inside(folder)
    check_writable(folder)
    if out is None and progress:
        say(f"results are kept in {folder.resolve()}; out= names another folder")
    chosen = resolve_device(device)
    count = workers or default_workers(chosen, threads)
    return Place(folder=folder, device=chosen, workers=count, threads=threads, wandb=wandb, loggers=names)

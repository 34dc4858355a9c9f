"""The logger `wandb`: whether runs are logged online or offline while they are trained."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from analysis.dashboards.mirror.account import fetch_account
from analysis.dashboards.mirror.state import RECORDS_FOLDER, Destination
from workbench.errors import UserError
from workbench.logger_interface import LoggedRun

if TYPE_CHECKING:
    from analysis.dashboards.mirror.live_run import LiveRun


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveRuns:
    """The logger `wandb`, as it is sent to the processes that train."""

    mode: Literal["offline", "online"]
    destination: Destination
    checkpoints: bool = False

    @property
    def name(self) -> Literal["wandb"]:
        """Its name."""
        return "wandb"

    @property
    def arguments(self) -> tuple[str, ...]:
        """Options of a command that logs to the same project."""
        checkpoints = ("--wandb-checkpoints", "true") if self.checkpoints else ()
        return ("--wandb-project", self.destination.project, *checkpoints)

    def build(self, run: LoggedRun) -> "LiveRun | None":
        """Returns the logger of a run; `None` offline for a sweep's trial, whose record is made from its files."""
        if self.mode == "offline" and run.trial is not None:
            return None
        from analysis.dashboards.mirror.live_run import LiveRun

        return LiveRun(run, self.mode, self.destination, checkpoint=self.checkpoints)


def choose_live_runs(
    out: Path, destination: Destination, log: Callable[[str], None], *, checkpoints: bool = False
) -> LiveRuns:
    """Returns the logger `wandb`: online if this machine has an account that can be reached, or else offline.

    Args:
        out: the folder of results.
        destination: project and entity.
        log: receives a line if it is offline.
        checkpoints: whether the trained weights are included.

    Raises:
        UserError: if the environment turns W&B off.
    """
    wanted = os.environ.get("WANDB_MODE", "").lower()
    if wanted == "disabled":
        raise UserError("the logger wandb is asked for, but WANDB_MODE is disabled; leave one of the two out")
    reason = f"WANDB_MODE is {wanted}" if wanted in ("offline", "dryrun") else ""
    if not reason:
        try:
            fetch_account()
        except UserError as error:
            reason = str(error)
    if reason:
        log(f"{reason}; W&B's runs are written to {out / RECORDS_FOLDER}, and workbench sync {out} sends them")
    mode: Literal["offline", "online"] = "offline" if reason else "online"
    return LiveRuns(mode=mode, destination=destination, checkpoints=checkpoints)

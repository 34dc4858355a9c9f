"""What a run asks of a logger, what a logger knows of the run, and how one is sent to the processes that train."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from workbench.config import Experiment

if TYPE_CHECKING:
    from workbench.results import Run

LoggerName = Literal["csv", "tensorboard", "mlflow", "wandb"]
"""Loggers that a run can have beside its files."""
Row = Mapping[str, float]
"""Row of `metrics.csv`: step, train/loss, val/loss and so on."""
STEP = "step"
"""Column of a row with the number of optimiser steps made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedRun:
    """What a logger knows of the run that it logs."""

    experiment: Experiment
    out: Path
    """The folder of results."""
    folder: Path
    """The run's own."""
    criterion: str | None
    """When the task counts as solved, such as `accuracy > 0.99`."""
    trial: tuple[str, int] | None
    """The study and the number of the trial that the run belongs to."""

    @property
    def id(self) -> str:
        """Id of the run wherever it is logged: the same experiment with the same seed always has the same."""
        return f"{self.experiment.identity}-{self.experiment.seed}"

    @property
    def name(self) -> str:
        """Name of the run, as people read it."""
        if self.trial is not None:
            return f"{self.trial[0]}/trial-{self.trial[1]}"
        experiment = self.experiment
        return f"{experiment.task.name}/{experiment.architecture.name}/seed-{experiment.seed}"


class RunLogger(ABC):
    """The log of one run. Any of its methods may fail, which costs the rest of the log, and nothing else.

    Args:
        run: what is logged.
    """

    def __init__(self, run: LoggedRun) -> None:
        self.run = run

    @abstractmethod
    def open(self, state: Mapping[str, Any]) -> int:
        """Begins the log, or continues it, and drops what it holds beyond the checkpoint if that is possible.

        Args:
            state: what `state` returned when the checkpoint was saved that the run resumes at; empty without one.

        Returns:
            The last step that is in the log, 0 if it is empty. Rows after it are logged next, whether they were in the
            checkpoint or are new.
        """

    @abstractmethod
    def log(self, row: Row) -> None:
        """Logs a row of metrics."""

    def state(self) -> dict[str, Any]:
        """Returns what a checkpoint has to hold, as plain values."""
        return {}

    @abstractmethod
    def finish(self, run: "Run") -> None:
        """Logs the result of the finished run, and ends the log."""

    @abstractmethod
    def stop(self) -> None:
        """Ends the log of a run that was interrupted, and may be resumed."""


class LoggerSpec(Protocol):
    """A logger that was asked for, as it is sent to the processes that train."""

    @property
    def name(self) -> LoggerName:
        """Its name."""

    @property
    def arguments(self) -> tuple[str, ...]:
        """Options with which a command that has `--logger` makes the same one."""

    def build(self, run: LoggedRun) -> RunLogger | None:
        """Returns the logger of a run; `None` if it logs none of this kind."""

"""Loggers of runs: which there are, and whether they can be used here, before any of them is imported."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any, get_args

from architectures.limits import quote
from architectures.suggest import did_you_mean
from workbench.config import Mode
from workbench.errors import UserError
from workbench.logger_interface import LoggedRun, LoggerName, LoggerSpec, RunLogger

TRACKING_VARIABLE = "MLFLOW_TRACKING_URI"
"""Environment variable with the URI of an MLflow server, or of another store of MLflow."""
MODULES: dict[LoggerName, tuple[str, str]] = {
    "csv": ("workbench.training.loggers.csv_file", "CsvRunLogger"),
    "tensorboard": ("workbench.training.loggers.tensorboard", "TensorBoardRunLogger"),
    "mlflow": ("workbench.training.loggers.mlflow", "MlflowRunLogger"),
}
"""Module and class of each logger that needs nothing but the run. They import Lightning, which takes seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LightningLogger:
    """One of Lightning's loggers that needs nothing but the run: csv, tensorboard or mlflow."""

    name: LoggerName

    @property
    def arguments(self) -> tuple[str, ...]:
        """None: it needs nothing but its name."""
        return ()

    def build(self, run: LoggedRun) -> RunLogger:
        """Returns the logger of a run."""
        module, cls = MODULES[self.name]
        logger: RunLogger = getattr(import_module(module), cls)(run)
        return logger


def parse_loggers(names: Any) -> tuple[LoggerName, ...]:
    """Returns the loggers that were named: a name, several with commas between them, or a list; each once.

    Raises:
        UserError: if one is unknown.
    """
    parts = names.split(",") if isinstance(names, str) else names
    if not isinstance(parts, Sequence) or not all(isinstance(part, str) for part in parts):
        raise UserError(f"loggers must be names, not {quote(names)}; known: {', '.join(get_args(LoggerName))}")
    found: dict[LoggerName, None] = {}
    for part in (part.strip() for part in parts):
        if part not in get_args(LoggerName):
            hint = did_you_mean(part, get_args(LoggerName))
            raise UserError(f"logger {quote(part)} is unknown{hint or '; known: ' + ', '.join(get_args(LoggerName))}")
        found[part] = None  # type: ignore[index]
    return tuple(found)


def check_loggers(names: Sequence[LoggerName], wandb: Mode) -> None:
    """Checks that what loggers need is installed, and that none of them is also ruled out.

    Args:
        names: the loggers.
        wandb: what was said of W&B elsewhere.

    Raises:
        UserError: that says what to install, or which option to leave out.
    """
    for name in names:
        if name == "wandb" and wandb == "off":
            raise UserError("the logger wandb is W&B, which --wandb off leaves out; leave one of the two out")
        if missing := find_missing(name):
            raise UserError(
                f"the logger {name} needs {missing}, which is not installed: pip install 'sequence-workbench[{name}]'"
            )


def find_missing(name: LoggerName) -> str | None:
    """Returns a package that a logger needs and that is not installed; `None` if there is none."""
    if name == "tensorboard":
        # Either writes the files; the first shows them, too.
        return None if find_spec("tensorboard") or find_spec("tensorboardX") else "tensorboard"
    needed: dict[LoggerName, tuple[str, ...]] = {"csv": (), "wandb": ("wandb",), "mlflow": ("mlflow",)}
    packages = needed[name]
    if name == "mlflow" and not os.environ.get(TRACKING_VARIABLE):
        # Its own store is a database.
        packages += ("sqlalchemy", "alembic")
    return next((package for package in packages if find_spec(package) is None), None)


def build_loggers(names: Sequence[LoggerName], build_wandb: Callable[[], LoggerSpec]) -> tuple[LoggerSpec, ...]:
    """Returns the loggers that were asked for.

    Args:
        names: of the loggers.
        build_wandb: returns the one for W&B, which is made elsewhere; it is called if that is among them.
    """
    return tuple(build_wandb() if name == "wandb" else LightningLogger(name=name) for name in names)

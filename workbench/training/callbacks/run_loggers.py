"""Loggers of a run, fed with its rows; none of their failures costs the run anything."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import lightning.pytorch as pl

from workbench.logger_failures import describe_failure
from workbench.logger_interface import STEP, LoggedRun, LoggerSpec, Row, RunLogger
from workbench.results import Run


class RunLoggers(pl.Callback):
    """Passes the rows of a run to its loggers. One that fails is left out from then on, after a line.

    It looks at no step: the rows come from the callback that writes them.

    Args:
        loggers: by name.
        tell: called with lines that a user should know.
    """

    def __init__(self, loggers: Mapping[str, RunLogger], tell: Callable[[str], None] = lambda line: None) -> None:
        self.loggers = dict(loggers)
        self._tell = tell
        self._saved: dict[str, Any] = {}
        self._logged: dict[str, int] = {}

    @property
    def state_key(self) -> str:
        """Key of the loggers in a checkpoint, independent of the name of the class."""
        return "Loggers"

    def state_dict(self) -> dict[str, Any]:
        """Returns the state of each logger; a run without loggers has the checkpoints that it always had."""
        return {name: logger.state() for name, logger in self.loggers.items() if name in self._logged}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Keeps the states of the checkpoint until the loggers are opened."""
        self._saved = state_dict

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begins the logs, or continues them."""

        def open_log(name: str, logger: RunLogger) -> None:
            state = self._saved.get(name)
            self._logged[name] = logger.open(state if isinstance(state, Mapping) else {})

        self._for_each(open_log)

    # Not `log`: Lightning replaces that of a callback by its own.
    def log_row(self, row: Row) -> None:
        """Logs a row wherever it is not logged yet; those of the checkpoint come first."""

        def log(name: str, logger: RunLogger) -> None:
            if row[STEP] > self._logged[name]:
                logger.log(row)

        self._for_each(log)

    def finish(self, run: Run) -> None:
        """Logs the result of the finished run, and ends the logs."""
        self._for_each(lambda name, logger: logger.finish(run), last=True)
        self.loggers.clear()

    def stop(self) -> None:
        """Ends the logs that were begun and have not ended."""
        self._for_each(lambda name, logger: logger.stop() if name in self._logged else None, last=True)
        self.loggers.clear()

    def _for_each(self, action: Callable[[str, RunLogger], None], *, last: bool = False) -> None:
        for name, logger in list(self.loggers.items()):
            try:
                action(name, logger)
            except Exception as error:
                del self.loggers[name]
                self._tell(describe_failure(name, error))
                if not last:
                    # What it holds open is let go, if that is still possible.
                    with suppress(Exception):
                        logger.stop()


def build_run_loggers(specs: Sequence[LoggerSpec], run: LoggedRun, tell: Callable[[str], None]) -> RunLoggers:
    """Returns the loggers of a run; one that cannot be made is left out, after a line.

    Args:
        specs: those that were asked for.
        run: what is logged.
        tell: called with lines that a user should know.
    """
    loggers: dict[str, RunLogger] = {}
    for spec in specs:
        try:
            logger = spec.build(run)
        except Exception as error:
            tell(describe_failure(spec.name, error))
        else:
            loggers |= {} if logger is None else {spec.name: logger}
    return RunLoggers(loggers, tell)

"""Live runs in W&B: rows arrive while the run is trained, online, or offline in W&B's own file.

A live run has the id, the name, the configuration and the names of the record that is otherwise made of the run's files
when it is finished. It takes the place of that record: the sync state says that the run has one.
"""

import io
import math
import shutil
import time
from collections.abc import Mapping
from contextlib import redirect_stderr
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from lightning.pytorch.loggers import WandbLogger

from analysis.dashboards.mirror.naming import STEP, best_direction, history_name, result_summary
from analysis.dashboards.mirror.offline_run import (
    STAGING_FOLDER,
    begin_run,
    check_place,
    define_metrics,
    hide_machine,
    log_result,
    redirect_staging,
)
from analysis.dashboards.mirror.record import Record, record_heading, run_record
from analysis.dashboards.mirror.state import (
    RECORDS_FOLDER,
    STATE_FILE,
    Destination,
    SyncState,
    read_state,
    records_lock,
    write_state,
)
from analysis.dashboards.mirror.sync_process import UPLOADING_PARTS, logged_errors, redact_line
from workbench.errors import UserError
from workbench.logger_interface import LoggedRun, Row, RunLogger
from workbench.results import Run

INIT_SECONDS = 30.0
"""Seconds after which a server that does not answer at the beginning of a run is given up."""
FINISH_SECONDS = 60.0
"""Seconds for which the end of a run waits for W&B to send what is left."""
STARTED = "started"
"""Key of a checkpoint's state: when the run began, in seconds since the epoch."""


class LiveRun(RunLogger):
    """A run in W&B while it is trained.

    Args:
        run: what is logged.
        mode: online: sent to the account of this machine; offline: written to a folder, which `sync` sends.
        destination: project and entity.
        checkpoint: whether the trained weights are included at the end.
    """

    def __init__(
        self, run: LoggedRun, mode: Literal["offline", "online"], destination: Destination, *, checkpoint: bool
    ) -> None:
        super().__init__(run)
        self.mode, self.destination, self.checkpoint = mode, destination, checkpoint
        self._started = 0.0
        self._run: Any = None
        self._logger: WandbLogger | None = None
        self._names: set[str] = set()

    def open(self, state: Mapping[str, Any]) -> int:
        """Begins the run in W&B, or continues the one on the server, which keeps what it has.

        Offline, W&B cannot continue a run: it begins a new one, with all rows, and with the start of the first.
        """
        started = state.get(STARTED)
        self._started = started if isinstance(started, float) else time.time()
        online = self.mode == "online"
        self.remove_folders()
        # W&B prints on stderr where it has found the key.
        with redirect_stderr(io.StringIO()):
            self._run = begin_run(
                self.heading("running"),
                self.run.out,
                self.destination,
                mode=self.mode,
                # Whatever else this process may be logging.
                reinit="create_new",
                # Otherwise the path of the program on this machine.
                program="workbench",
                finish_timeout=FINISH_SECONDS,
                finish_timeout_raises=True,
                **({"resume": "allow", "init_timeout": INIT_SECONDS} if online else {"x_start_time": self._started}),
            )
        check_place(self._run, self.heading("running"), self.run.out)
        define_metrics(self._run, self.heading("running"))
        self._logger = WandbLogger(experiment=self._run)
        return int(self._run.summary.get(STEP) or 0) if online else 0

    def log(self, row: Row) -> None:
        """Logs a row of metrics, and at the first one which value of each is the best."""
        assert self._logger is not None
        for name in (name for name in row if name.startswith("val/") and name not in self._names):
            self._names.add(name)
            if (best := best_direction(name.removeprefix("val/"), self.run.criterion)) is not None:
                self._run.define_metric(name, step_metric=STEP, summary=best)
        self._logger.log_metrics({history_name(name): value for name, value in row.items() if not math.isnan(value)})

    def state(self) -> dict[str, Any]:
        """Returns when the run began."""
        return {STARTED: self._started}

    def finish(self, run: Run) -> None:
        """Logs the result, waits until everything has arrived, and notes that the run has its record.

        A sweep's trial has more to it than its run knows; its record is made from the files, with the same id.

        Raises:
            TimeoutError: if the server has not taken everything within a minute.
            UserError: if it has refused something.
        """
        record = self.final_record(run)
        self.end(record, exit_code=0)
        if self.run.trial is not None:
            shutil.rmtree(self.folder, ignore_errors=True)
            return
        with records_lock(self.run.out):
            state = SyncState(
                id=record.id,
                place=self.destination,
                folder=self.folder.relative_to(self.run.out.resolve()).as_posix(),
                content=record.content,
                at=str(self.run.out.resolve()),
                sent=self.mode == "online",
                checkpoint=bool(record.files),
            )
            write_state(self.run.folder / STATE_FILE, state)
        self.remove_folders(keep=self.folder)

    def stop(self) -> None:
        """Ends the run in W&B, as one that was interrupted."""
        if self._run is not None:
            self.end(self.heading("interrupted"), exit_code=1)

    def end(self, record: Record, *, exit_code: int) -> None:
        """Logs what a record has beside its rows, and ends the run in W&B.

        Raises:
            TimeoutError: if the server has not taken everything within a minute.
            UserError: if it has refused something.
        """
        self._run.tags = record.tags
        try:
            with redirect_staging(self.run.out / RECORDS_FOLDER / STAGING_FOLDER / self.folder.name):
                try:
                    log_result(self._run, record)
                finally:
                    self._run.finish(exit_code=exit_code)
            if (refusal := find_refusal(self.folder)) is not None:
                raise UserError(f"W&B did not take everything: {refusal}")
        except Exception:
            # The record from the run's files takes its place.
            shutil.rmtree(self.folder, ignore_errors=True)
            raise
        hide_machine(self.folder)

    @property
    def folder(self) -> Path:
        """W&B's folder of the run."""
        return Path(self._run.dir).parent.resolve()

    def heading(self, state: str) -> Record:
        """Returns the record of the run in a state, without anything that is logged."""
        return record_heading(self.run.experiment, state, self.run.trial)

    def final_record(self, run: Run) -> Record:
        """Returns the record of the finished run; of a trial, without what only its study knows."""
        if self.run.trial is None:
            before = read_state(run.folder / STATE_FILE)
            return run_record(run, checkpoint=self.checkpoint or (before is not None and before.checkpoint))
        return replace(self.heading(run.result["status"]), summary=result_summary(run.result, run.timing, "trial"))

    def remove_folders(self, keep: Path | None = None) -> None:
        """Removes what W&B wrote of the run before it was interrupted, on this machine."""
        records = self.run.out / RECORDS_FOLDER
        for folder in (*records.glob(f"run-*-{self.run.id}"), *records.glob(f"offline-run-*-{self.run.id}")):
            if not folder.is_symlink() and folder.resolve() != keep:
                shutil.rmtree(folder, ignore_errors=True)


def find_refusal(folder: Path) -> str | None:
    """Returns what W&B logged about something of a run that it could not send; `None` if it sent everything."""
    for entry in logged_errors(folder / "logs", "debug-internal.log"):
        if UPLOADING_PARTS.search(str(entry.get("msg"))):
            return redact_line(str(entry.get("error") or entry.get("msg")))
    return None

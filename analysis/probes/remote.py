"""Probes that jobs elsewhere apply: whoever started them watches the folder of results until all records are there."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from time import sleep
from typing import Literal

from analysis.probes.records import FILE_NAME, ProbeRecord, read_records
from analysis.probes.registry import probe_revision
from analysis.probes.runner import EventHandler, ProbeEvent, ProbeJob, ProbeOptions, is_current, same_inputs
from workbench.launchers.remote_pool import Jobs

POLL_SECONDS = 1.0


class RecordWatch:
    """The records of models as they are written by others.

    Args:
        jobs: the models.
        options: the probes and their settings.
        on_event: receives `read` for each record that was there at the first look, and `done` for all others.
    """

    def __init__(self, jobs: Sequence[ProbeJob], options: ProbeOptions, on_event: EventHandler) -> None:
        self._jobs, self._options, self._on_event = jobs, options, on_event
        self.records: list[dict[str, ProbeRecord]] = [{} for _ in jobs]
        self.missing = [list(options.names) for _ in jobs]
        """Names of the probes of each model without a record."""
        self._stamps: dict[int, tuple[int, int]] = {}
        self._looked = False

    def look(self, *, last: bool = False) -> bool:
        """Looks for new records, and returns whether all are there.

        Args:
            last: whether nobody is at work any more, so that a record that might still be improved is final, too.
        """
        for index, job in enumerate(self._jobs):
            if self.missing[index] and (self._is_new(index, job.folder) or last):
                self._read(index, job.folder, last=last)
        self._looked = True
        return not any(self.missing)

    def _is_new(self, index: int, folder: Path) -> bool:
        try:
            status = (folder / FILE_NAME).stat()
        except OSError:
            return False
        stamp = (status.st_mtime_ns, status.st_ino)
        before, self._stamps[index] = self._stamps.get(index), stamp
        return stamp != before

    def _read(self, index: int, folder: Path, *, last: bool) -> None:
        found = read_records(folder)
        for name in list(self.missing[index]):
            record = found.get(name)
            if record is None or record.revision != probe_revision(name):
                continue
            # Which weights a finished run has, and which device a job, is the job's to know.
            settings = self._options.settings
            if is_current(record, record.weights, settings, record.device) or (
                last and same_inputs(record, record.weights, asdict(settings))
            ):
                self.missing[index].remove(name)
                self.records[index][name] = record
                kind: Literal["read", "done"] = "done" if self._looked else "read"
                self._on_event(ProbeEvent(kind=kind, job=index, probe=name, record=record, seconds=None))


def watch_jobs(
    jobs: Sequence[ProbeJob],
    options: ProbeOptions,
    remote: Jobs,
    *,
    on_event: EventHandler,
    log: Callable[[str], None],
) -> list[dict[str, ProbeRecord]]:
    """Has jobs elsewhere probe models, which are started if a record is missing, and waits for them.

    Args:
        jobs: the models.
        options: the probes and their settings.
        remote: processes that run the same command.
        on_event: receives what becomes of every probe of every model.
        log: receives lines that a user should know.

    Returns:
        For each model, the records of its probes by name.

    Raises:
        UserError: if the jobs cannot be started, or are refused.
        KeyboardInterrupt: once the jobs know that nobody waits for them any more.
    """
    watch = RecordWatch(jobs, options, on_event)
    if watch.look():
        return watch.records
    log(remote.start())
    try:
        while True:
            # Asked first: the last job to end may have written the last record a moment before.
            ended = remote.ended()
            if watch.look(last=ended):
                return watch.records
            if ended:
                break
            sleep(POLL_SECONDS)
    except KeyboardInterrupt:
        log(remote.leave())
        raise
    text = f"all jobs ({remote.names}) have ended without a result of it; see their output"
    for index, names in enumerate(watch.missing):
        for name in names:
            on_event(ProbeEvent(kind="failed", job=index, probe=name, text=text))
    return watch.records

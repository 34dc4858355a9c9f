"""Sending of offline records to a W&B account: by `wandb sync`, in batches, each record marked as soon as it is sent.

`wandb sync` exits with status 0 and calls a record synced even if the server has refused its metrics or its files. Only
its debug log tells, so here a record counts as sent if W&B says so and the log has no error about it.
"""

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from filelock import Timeout

from analysis.dashboards.mirror.account import Account
from analysis.dashboards.mirror.state import (
    RECORDS_FOLDER,
    WORK_FOLDER,
    Destination,
    SyncState,
    read_state,
    record_file,
    records_lock,
    write_state,
)
from analysis.dashboards.mirror.sync_process import OUTPUT_FILE, failure_reason, kill_sync, lost_records, start_sync
from workbench.errors import UserError
from workbench.locks import file_lock

BATCH_SIZE = 20
"""Records per process: starting one takes a second, and after a crash its unmarked records are sent again."""
STALL_SECONDS = 180.0
"""Seconds without progress after which a batch is given up."""
POLL_SECONDS = 0.1
"""Seconds between two checks for progress."""
LOCK_FILE = ".sync.lock"


class SyncFailedError(Exception):
    """A batch was not sent completely; the message says why, in one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingRecord:
    """A record that is to be sent."""

    state_path: Path
    state: SyncState
    file: Path
    """W&B's file of the record."""

    @property
    def synced_marker(self) -> Path:
        """File that W&B leaves beside the record once it has processed it."""
        return self.file.with_suffix(".wandb.synced")


@contextmanager
def sync_lock(out: Path) -> Iterator[None]:
    """Limits a folder of results to one sync at a time; within a process the lock may be held more than once.

    Raises:
        UserError: if another process is syncing the folder.
    """
    (out / RECORDS_FOLDER).mkdir(exist_ok=True)
    path = (out / RECORDS_FOLDER).resolve() / LOCK_FILE
    with ExitStack() as stack:
        try:
            stack.enter_context(file_lock(path, timeout=0, shared=True))
        except Timeout:
            raise UserError(f"another sync of {out} is under way; wait until it has ended, or stop it") from None
        yield


def upload(
    out: Path,
    state_paths: Sequence[Path],
    destination: Destination,
    account: Account,
    on_sent: Callable[[int], None] = lambda sent: None,
    *,
    stall_seconds: float = STALL_SECONDS,
    batch_size: int = BATCH_SIZE,
) -> int:
    """Sends the records that have not been sent, and marks each as soon as it has arrived.

    Stopping or killing it loses nothing: called again, it resumes with the remaining records.

    Args:
        out: the folder of results.
        state_paths: the sync states of the records.
        destination: project and entity, for which the records were written.
        account: the signed-in account.
        on_sent: called with the number of records sent so far, after each.
        stall_seconds: time without progress after which a batch is given up.
        batch_size: records per process.

    Returns:
        Number of records sent, including those that an earlier, killed sync had sent but could not mark.

    Raises:
        UserError: in one line, why not all were sent. Those that were are marked.
    """
    entity = destination.entity or account.entity
    if entity is None:
        raise UserError(f"the account at {account.base_url} has no default entity; name one: --entity")
    with sync_lock(out):
        pending = pending_records(out, state_paths)
        already_sent = mark_sent(out, pending)
        total = len(already_sent)
        if already_sent:
            on_sent(total)
        pending = [record for record in pending if record not in already_sent]
        for first in range(0, len(pending), batch_size):
            try:
                batch = pending[first : first + batch_size]
                for _ in _send_batch(out, batch, destination.project, entity, stall_seconds):
                    total += 1
                    on_sent(total)
            except SyncFailedError as error:
                unsent = len(pending) + len(already_sent) - total
                raise UserError(
                    f"W&B: {unsent} of {unsent + total} records were not sent: {error}; "
                    "run the same command again to send them"
                ) from None
        return total


def pending_records(out: Path, state_paths: Sequence[Path]) -> list[PendingRecord]:
    """Returns the records that have not been sent.

    Raises:
        UserError: if one is missing.
    """
    pending = []
    for path in state_paths:
        state = read_state(path)
        if state is None or state.sent:
            continue
        file = record_file(out, state)
        if file is None:
            raise UserError(f"the record {state.folder} is not in {out}; workbench sync {out} writes it again")
        pending.append(PendingRecord(state_path=path, state=state, file=file))
    return pending


def mark_sent(out: Path, pending: Sequence[PendingRecord]) -> list[PendingRecord]:
    """Marks the records that W&B has processed completely; those that lost something remain to be sent again.

    Returns:
        The marked records.
    """
    processed = [record for record in pending if record.synced_marker.exists()]
    lost = lost_records(out / RECORDS_FOLDER / WORK_FOLDER) if processed else {}
    complete = [record for record in processed if record.file not in lost]
    for record in processed:
        if record not in complete:
            record.synced_marker.unlink(missing_ok=True)
    for record in complete:
        # If the record was replaced meanwhile, the new one remains to be sent.
        with records_lock(out):
            state = read_state(record.state_path)
            # A stamp may have been noted meanwhile, which says nothing of the record.
            if state is not None and replace(state, stamp="") == replace(record.state, stamp=""):
                write_state(record.state_path, replace(state, sent=True))
    return complete


def make_work_folder(out: Path) -> Path:
    """Returns the empty folder, as an absolute path, in which `wandb sync` runs.

    What was there before is removed; a link that a folder of results brought along is, and not what it leads to.
    """
    work = (out / RECORDS_FOLDER).resolve() / WORK_FOLDER
    if work.is_symlink():
        work.unlink()
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    return work


def _send_batch(
    out: Path, batch: Sequence[PendingRecord], project: str, entity: str, stall_seconds: float
) -> Iterator[PendingRecord]:
    work = make_work_folder(out)
    pending = list(batch)
    why: str | None = None
    process = start_sync(work, [record.file for record in batch], project, entity)
    try:
        last_change, last_seen = time.monotonic(), (0, 0)
        while True:
            ended = process.poll() is not None
            for record in mark_sent(out, pending):
                pending.remove(record)
                yield record
            seen = ((work / OUTPUT_FILE).stat().st_size, len(pending))
            if seen != last_seen:
                last_change, last_seen = time.monotonic(), seen
            if ended or not pending:
                break
            if time.monotonic() - last_change > stall_seconds:
                why = f"nothing has moved for {stall_seconds:.0f} seconds"
                break
            time.sleep(POLL_SECONDS)
        if not pending:
            # Everything has arrived; W&B may need a moment to clean up.
            with suppress(subprocess.TimeoutExpired):
                process.wait(5)
    finally:
        kill_sync(process)
        mark_sent(out, pending)
    if pending:
        raise SyncFailedError(
            why
            or failure_reason(work, [record.file for record in pending])
            or f"wandb sync ended with status {process.returncode}"
        )

"""Offline records sent to a W&B account: by W&B's own `wandb sync`, in batches, each record marked once it is there.

`wandb sync` ends with status 0 and calls a record synced even where the server has refused its metrics or its files.
That is only in the log that it keeps, so here a record counts as sent if W&B says so and its log tells of no loss.
"""

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from filelock import FileLock, Timeout

from analysis.dashboards.mirror.account import Account
from analysis.dashboards.mirror.state import (
    FOLDER,
    Destination,
    SyncState,
    read_state,
    record_file,
    write_state,
    writing_records,
)
from analysis.dashboards.mirror.sync_process import LOG_FILE, end, losses, reason, start
from workbench.errors import UserError

BATCH = 20
"""Records a process: starting one takes a second, and what a broken one had not marked is sent again."""
PATIENCE = 180.0
"""Seconds without any sign of life after which a batch is given up."""
LOOK = 0.1
"""Seconds between two looks."""
WORK = ".sync"
"""Below `FOLDER`: what `wandb sync` says and logs."""
LOCK = ".sync.lock"


class SyncFailedError(Exception):
    """A batch has not been sent whole. The message says why, in a line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """A record that is to be sent."""

    path: Path
    """Of its mark."""
    mark: SyncState
    file: Path
    """W&B's."""

    @property
    def synced(self) -> Path:
        """What W&B leaves beside the record once it is through with it."""
        return self.file.with_suffix(".wandb.synced")


@contextmanager
def sync_lock(out: Path) -> Iterator[None]:
    """Keeps a folder of results to one sync at a time; within a process it may be held more than once.

    Raises:
        UserError: if another process is at it.
    """
    (out / FOLDER).mkdir(exist_ok=True)
    lock = FileLock((out / FOLDER).resolve() / LOCK, blocking=False, is_singleton=True)
    try:
        lock.acquire()
    except Timeout:
        raise UserError(f"another sync of {out} is under way; wait until it has ended, or stop it") from None
    try:
        yield
    finally:
        lock.release()


def upload(
    out: Path,
    marks: Sequence[Path],
    place: Destination,
    account: Account,
    tell: Callable[[int], None] = lambda sent: None,
    *,
    patience: float = PATIENCE,
    batch: int = BATCH,
) -> int:
    """Sends those records that have not been sent, and marks each as soon as it is there.

    Nothing is lost by stopping it, or by killing it: called again, it goes on with what is left.

    Args:
        out: the folder of results.
        marks: the paths of the records' marks.
        place: where they go, and were written for.
        account: whose it is.
        tell: called with the number of records sent so far, after each.
        patience: seconds without a sign of life after which it is given up.
        batch: records a process.

    Returns:
        How many were sent, now or before a sync was killed that could not mark them any more.

    Raises:
        UserError: in one line, why they were not all sent. Those that were are marked.
    """
    entity = place.entity or account.entity
    if entity is None:
        raise UserError(f"the account at {account.base_url} has no entity of its own; name one: --entity")
    with sync_lock(out):
        left = pending(out, marks)
        sent = mark_sent(out, left)
        total = len(sent)
        if sent:
            tell(total)
        left = [item for item in left if item not in sent]
        for first in range(0, len(left), batch):
            try:
                for _ in _send(out, left[first : first + batch], place.project, entity, patience):
                    total += 1
                    tell(total)
            except SyncFailedError as error:
                rest = len(left) + len(sent) - total
                raise UserError(
                    f"W&B: {rest} of {rest + total} records were not sent: {error}; the same command goes on with them"
                ) from None
        return total


def pending(out: Path, marks: Sequence[Path]) -> list[Pending]:
    """The records that have not been sent.

    Raises:
        UserError: if one is not there.
    """
    found = []
    for path in marks:
        mark = read_state(path)
        if mark is None or mark.sent:
            continue
        file = record_file(out, mark)
        if file is None:
            raise UserError(f"the record {mark.folder} is not in {out}; workbench sync {out} writes it anew")
        found.append(Pending(path=path, mark=mark, file=file))
    return found


def mark_sent(out: Path, left: Sequence[Pending]) -> list[Pending]:
    """Marks what W&B is through with and has lost nothing of; what it did lose is to be sent again.

    Returns:
        Those that are marked.
    """
    through = [item for item in left if item.synced.exists()]
    lost = losses(out / FOLDER / WORK) if through else {}
    good = [item for item in through if item.file not in lost]
    for item in through:
        if item not in good:
            item.synced.unlink(missing_ok=True)
    for item in good:
        # The record may have been replaced meanwhile: then it is the new one that has to be sent.
        with writing_records(out):
            if read_state(item.path) == item.mark:
                write_state(item.path, replace(item.mark, sent=True))
    return good


def _send(out: Path, batch: Sequence[Pending], project: str, entity: str, patience: float) -> Iterator[Pending]:
    work = (out / FOLDER / WORK).resolve()
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    left = list(batch)
    why: str | None = None
    child = start(work, [item.file for item in batch], project, entity)
    try:
        life, signs = time.monotonic(), (0, 0)
        while True:
            ended = child.poll() is not None
            for item in mark_sent(out, left):
                left.remove(item)
                yield item
            now = ((work / LOG_FILE).stat().st_size, len(left))
            if now != signs:
                life, signs = time.monotonic(), now
            if ended or not left:
                break
            if time.monotonic() - life > patience:
                why = f"nothing has moved for {patience:.0f} seconds"
                break
            time.sleep(LOOK)
        if not left:
            # Everything is there; what W&B still has to tidy up may take a moment.
            with suppress(subprocess.TimeoutExpired):
                child.wait(5)
    finally:
        end(child)
        mark_sent(out, left)
    if left:
        why = why or reason(work, [item.file for item in left]) or f"wandb sync ended with status {child.returncode}"
        raise SyncFailedError(why)

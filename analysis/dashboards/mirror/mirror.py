"""Mirror of a folder of results in Weights & Biases. The folder remains the source of truth.

Every run, trial and comparison has a record in `out/wandb`, in W&B's offline format, written from its files once it is
finished, so training never waits for a network and no result can be lost or delayed here. A record is replaced by a new
one of the same id when the files say more than it shows, because probes came later or a pruned trial was resumed.
Sending records to an account is a separate step.
"""

import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self

from analysis.code_hash import code_hash
from analysis.dashboards.mirror import sources
from analysis.dashboards.mirror.offline_run import STAGING_FOLDER
from analysis.dashboards.mirror.record import Record, TrialInfo, comparison_record, run_record
from analysis.dashboards.mirror.stamp import run_stamp
from analysis.dashboards.mirror.state import (
    COMPARISON_STATE_FILE,
    RECORDS_FOLDER,
    STATE_FILE,
    Destination,
    SyncState,
    iter_states,
    read_state,
    record_file,
    records_lock,
    write_state,
)
from workbench.config import Mode
from workbench.errors import UserError
from workbench.files import describe_error
from workbench.results import Run, read_pruned_run, read_run

RECORD_FOLDER = re.compile(r"offline-run-\d{8}_\d{6}-(?P<id>[0-9a-f]{16}|[0-9a-f]{12}-\d+)(-\d+)?")
"""Name that W&B gives a record's folder; a number is appended if that second already has one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorItem:
    """A record of a run, a trial or the comparison, and the path of its sync state."""

    record: Record
    state_path: Path
    stamp: str = ""
    """What its files looked like before they were read, so that a later change is seen; empty if that is not known."""


def run_item(run: Run, trial_info: TrialInfo | None = None, *, checkpoint: bool = False) -> MirrorItem:
    """Returns the item of a run or a trial; weights that were included before are included again."""
    state_path = run.folder / STATE_FILE
    before = read_state(state_path)
    included = checkpoint or (before is not None and before.checkpoint)
    stamp = run_stamp(run.folder, trial_info, checkpoint=included)
    if not is_as_read(run):
        stamp = ""
    return MirrorItem(record=run_record(run, trial_info, checkpoint=included), state_path=state_path, stamp=stamp)


def is_as_read(run: Run) -> bool:
    """Returns whether a run's files say what was read, which may be long ago."""
    try:
        return run == (read_pruned_run if run.result["status"] == "pruned" else read_run)(run.folder)
    except (UserError, OSError, ValueError, LookupError, TypeError):
        return False


def comparison_item(out: Path) -> MirrorItem | None:
    """Returns the item of the comparison as its report shows it; `None` if there is no report."""
    state_path = out / RECORDS_FOLDER / COMPARISON_STATE_FILE
    before = read_state(state_path)
    record = comparison_record(out, secrets.token_hex(8) if before is None else before.id)
    return None if record is None else MirrorItem(record=record, state_path=state_path)


def iter_items(out: Path, *, checkpoints: bool = False) -> Iterator[MirrorItem]:
    """Yields an item for every run and trial in a folder of results, and for the comparison.

    Raises:
        UserError: if a file cannot be read.
    """
    for run, trial_info in sources.load_runs(out):
        yield run_item(run, trial_info, checkpoint=checkpoints)
    if (comparison := comparison_item(out)) is not None:
        yield comparison


def is_current(out: Path, item: MirrorItem, destination: Destination) -> bool:
    """Returns whether a record shows what the files say now, and has been sent or can be sent."""
    state = read_state(item.state_path)
    if state is None or state.content != item.record.content:
        return False
    return is_available(out, state, destination)


def is_available(out: Path, state: SyncState, destination: Destination) -> bool:
    """Returns whether a record is one for the destination, and has been sent or can be sent."""
    if state.place != destination:
        return False
    return state.sent or (state.at == str(out.resolve()) and record_file(out, state) is not None)


def is_unchanged(out: Path, run: Run, trial_info: TrialInfo | None, destination: Destination, checkpoint: bool) -> bool:
    """Returns whether a run's record is current by the looks of its files alone, which are not read."""
    state = read_state(run.folder / STATE_FILE)
    if state is None or not state.stamp or not is_available(out, state, destination):
        return False
    return state.stamp == run_stamp(run.folder, trial_info, checkpoint=checkpoint or state.checkpoint)


def note_stamp(out: Path, item: MirrorItem) -> None:
    """Notes what the files of a current record look like now, so that they need not be read the next time."""
    with records_lock(out):
        state = read_state(item.state_path)
        if state is not None and state.content == item.record.content and state.stamp != item.stamp:
            write_state(item.state_path, replace(state, stamp=item.stamp))


def write_record(out: Path, item: MirrorItem, destination: Destination) -> SyncState:
    """Writes a record that is not current and its sync state, and removes the record that it replaces."""
    from analysis.dashboards.mirror.offline_run import write_offline_run

    # Computed first: a file that changes during the writing then differs from this hash, and is written again.
    content = item.record.content
    with records_lock(out):
        before = read_state(item.state_path)
        if before is not None and is_current(out, item, destination):
            # Another process that has seen the same run finish was a moment earlier.
            return before
        folder = write_offline_run(item.record, out, destination)
        state = SyncState(
            id=item.record.id,
            place=destination,
            folder=folder.as_posix(),
            content=content,
            at=str(out.resolve()),
            checkpoint=bool(item.record.files),
            stamp=item.stamp,
        )
        write_state(item.state_path, state)
        if before is not None and before.folder != state.folder:
            remove_record(out, before)
    return state


def remove_record(out: Path, state: SyncState) -> None:
    """Removes a record that has been replaced."""
    folder = out / state.folder
    if folder.resolve().parent == (out / RECORDS_FOLDER).resolve() and folder.name not in (
        "",
        ".",
        "..",
        STAGING_FOLDER,
    ):
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(out / RECORDS_FOLDER / STAGING_FOLDER / folder.name, ignore_errors=True)


def remove_replaced_records(out: Path) -> None:
    """Removes replaced records that were left behind by a killed process or by an older version."""
    if not (out / RECORDS_FOLDER).is_dir():
        return
    with records_lock(out):
        states = [state for _, state in iter_states(out)]
        ids, current = {state.id for state in states}, {Path(state.folder).name for state in states}
        for parent in (out / RECORDS_FOLDER, out / RECORDS_FOLDER / STAGING_FOLDER):
            for folder in parent.glob("offline-run-*"):
                match = RECORD_FOLDER.fullmatch(folder.name)
                if match is not None and match["id"] in ids and folder.name not in current and not folder.is_symlink():
                    shutil.rmtree(folder, ignore_errors=True)


class Mirror:
    """Background writer of records.

    It works in a thread, so that whoever hands out the next experiment does not wait for W&B.

    Args:
        out: the folder of results.
        mode: `off` mirrors nothing; sending is up to the caller.
        destination: W&B project and entity.
        log: called with one line if something goes wrong; nothing is ever raised.
        checkpoints: whether the trained weights are included.
    """

    def __init__(
        self, out: Path, mode: Mode, destination: Destination, log: Callable[[str], None], *, checkpoints: bool = False
    ) -> None:
        self.out, self.mode, self.destination, self.log, self.checkpoints = out, mode, destination, log, checkpoints
        if mode != "off" and find_spec("wandb") is None:
            log("W&B is not installed, so nothing is mirrored; pip install 'sequence-workbench[wandb]' changes that")
            self.mode = "off"
        if self.mode != "off":
            # Before the first run, which may take hours: what makes the records is the code as it is now.
            code_hash()
        self._failed = 0
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="mirror")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        """Waits until everything is mirrored; after Ctrl-C, only for the record that is being written."""
        self._thread.shutdown(cancel_futures=kind is not None and issubclass(kind, KeyboardInterrupt))
        if self._failed > 1:
            self.log(f"W&B could not mirror {self._failed - 1} more; workbench sync {self.out} tries again")

    def add(self, run: Run, trial_info: TrialInfo | None = None) -> None:
        """Schedules a run to be mirrored, unless its record is current.

        Args:
            run: finished, or pruned.
            trial_info: the trial of a sweep that the run belongs to.
        """

        def make_item() -> MirrorItem | None:
            if is_unchanged(self.out, run, trial_info, self.destination, self.checkpoints):
                return None
            return run_item(run, trial_info, checkpoint=self.checkpoints)

        self._submit(make_item, run.folder)

    def add_comparison(self) -> None:
        """Schedules the comparison to be mirrored as its report shows it."""
        self._submit(lambda: comparison_item(self.out), self.out)

    def _submit(self, make_item: Callable[[], MirrorItem | None], path: Path) -> None:
        if self.mode != "off":
            self._thread.submit(self._write, make_item, path)

    def _write(self, make_item: Callable[[], MirrorItem | None], path: Path) -> None:
        try:
            if (item := make_item()) is None:
                return
            if not is_current(self.out, item, self.destination):
                write_record(self.out, item, self.destination)
            elif item.stamp:
                note_stamp(self.out, item)
        except Exception as error:
            self._failed += 1
            # An error such as a full disk hits every record: only the first is reported, the others are counted.
            if self._failed == 1:
                self.log(f"W&B could not mirror {path}: {describe_error(error)}; the results are complete without it")

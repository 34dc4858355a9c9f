"""Results mirrored to Weights & Biases. The folders stay the truth; nothing here can lose or delay a result.

Every run, trial and comparison has a record in `out/wandb`, in W&B's offline format, written from its files once it is
finished, so training never waits for a network. A record whose files say more than it shows, because probes came later
or a pruned trial went on, is replaced by a new one of the same id. Sending records to an account is a step of its own.
"""

import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from analysis.dashboards.mirror import sources
from analysis.dashboards.mirror.offline_run import STAGED
from analysis.dashboards.mirror.record import Record, TrialInfo, run_record, whole_record
from analysis.dashboards.mirror.state import (
    FILE,
    FOLDER,
    WHOLE_FILE,
    Destination,
    SyncState,
    below,
    read_state,
    record_file,
    write_state,
    writing_records,
)
from workbench.files import one_line
from workbench.results import Run

Mode = Literal["off", "offline", "online"]
RECORD = re.compile(r"offline-run-\d{8}_\d{6}-(?P<id>[0-9a-f]{16}|[0-9a-f]{12}-\d+)(-\d+)?")
"""A record's folder as W&B calls it: a number comes last where that second had one already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """Something that W&B can show, and where its mark is."""

    record: Record
    mark: Path


def run_item(run: Run, tried: TrialInfo | None = None, *, checkpoint: bool = False) -> Item:
    """A run, or a trial. Weights that went along once go along again."""
    mark = run.folder / FILE
    before = read_state(mark)
    return Item(
        record=run_record(run, tried, checkpoint=checkpoint or (before is not None and before.checkpoint)), mark=mark
    )


def whole_item(out: Path) -> Item | None:
    """The comparison as its report shows it; `None` where there is no report."""
    mark = out / FOLDER / WHOLE_FILE
    before = read_state(mark)
    record = whole_record(out, secrets.token_hex(8) if before is None else before.id)
    return None if record is None else Item(record=record, mark=mark)


def items(out: Path, *, checkpoints: bool = False) -> Iterator[Item]:
    """Everything below a folder of results that W&B can show.

    Raises:
        UserError: if a file cannot be read.
    """
    for run, tried in sources.runs(out):
        yield run_item(run, tried, checkpoint=checkpoints)
    if (whole := whole_item(out)) is not None:
        yield whole


def is_current(out: Path, item: Item, place: Destination) -> bool:
    """Whether a record shows what the files now say, and has been sent or can be."""
    mark = read_state(item.mark)
    if mark is None or (mark.place, mark.content) != (place, item.record.content):
        return False
    return mark.sent or (mark.at == str(out.resolve()) and record_file(out, mark) is not None)


def write(out: Path, item: Item, place: Destination) -> SyncState:
    """Writes a record and its mark; the record that it replaces is removed."""
    from analysis.dashboards.mirror.offline_run import write_offline

    # Before: what is changed while it is written differs from it then, and is written again.
    content = item.record.content
    with writing_records(out):
        before = read_state(item.mark)
        folder = write_offline(item.record, out, place)
        mark = SyncState(
            id=item.record.id,
            place=place,
            folder=folder.as_posix(),
            content=content,
            at=str(out.resolve()),
            checkpoint=bool(item.record.files),
        )
        write_state(item.mark, mark)
        if before is not None and before.folder != mark.folder:
            forget(out, before)
    return mark


def forget(out: Path, mark: SyncState) -> None:
    """Removes a record that another one has replaced."""
    folder = out / mark.folder
    if folder.resolve().parent == (out / FOLDER).resolve() and folder.name not in ("", ".", "..", STAGED):
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(out / FOLDER / STAGED / folder.name, ignore_errors=True)


def tidy(out: Path) -> None:
    """Removes records that others have replaced, but that are still there: of whoever was killed in between, or of
    versions that did not remove them."""
    if not (out / FOLDER).is_dir():
        return
    with writing_records(out):
        known = [mark for _, mark in below(out)]
        ids, kept = {mark.id for mark in known}, {Path(mark.folder).name for mark in known}
        for parent in (out / FOLDER, out / FOLDER / STAGED):
            for folder in parent.glob("offline-run-*"):
                named = RECORD.fullmatch(folder.name)
                if named is not None and named["id"] in ids and folder.name not in kept and not folder.is_symlink():
                    shutil.rmtree(folder, ignore_errors=True)


class Mirror:
    """Mirrors runs while others are still being trained: in a thread, so that whoever hands out the next experiment
    does not wait for W&B either.

    Args:
        out: the folder of results.
        mode: whether to mirror, and whether to send.
        place: where in W&B.
        say: told in one line what went wrong; nothing is ever raised.
        checkpoints: whether the trained weights go along.
    """

    def __init__(
        self, out: Path, mode: Mode, place: Destination, say: Callable[[str], None], *, checkpoints: bool = False
    ) -> None:
        self.out, self.mode, self.place, self.say, self.checkpoints = out, mode, place, say, checkpoints
        if mode != "off" and find_spec("wandb") is None:
            say("W&B is not installed, so nothing is mirrored; pip install 'sequence-workbench[wandb]' changes that")
            self.mode = "off"
        self._failed = 0
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="mirror")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        """Waits until everything has been mirrored; who has been stopped at once waits for what is under way alone."""
        self._thread.shutdown(cancel_futures=kind is not None and issubclass(kind, KeyboardInterrupt))
        if self._failed > 1:
            self.say(f"W&B could not mirror {self._failed - 1} more; workbench sync {self.out} tries again")

    def add(self, run: Run, tried: TrialInfo | None = None) -> None:
        """Mirrors a run before long, unless its record stands.

        Args:
            run: finished, or pruned.
            tried: what it is to a sweep.
        """
        self._soon(lambda: run_item(run, tried, checkpoint=self.checkpoints), run.folder)

    def add_whole(self) -> None:
        """Mirrors the comparison as its report shows it."""
        self._soon(lambda: whole_item(self.out), self.out)

    def _soon(self, item: Callable[[], Item | None], what: Path) -> None:
        if self.mode != "off":
            self._thread.submit(self._write, item, what)

    def _write(self, made: Callable[[], Item | None], what: Path) -> None:
        try:
            item = made()
            if item is not None and not is_current(self.out, item, self.place):
                write(self.out, item, self.place)
        except Exception as error:
            self._failed += 1
            # What is wrong with one, such as a full disk, is wrong with all: the others are counted.
            if self._failed == 1:
                self.say(f"W&B could not mirror {what}: {one_line(error)}; the results are complete without it")

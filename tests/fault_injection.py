"""Commands that are killed just before one of their writes: each moment at which a kill may leave something behind.

Python tells an audit hook of every file that it opens, renames or removes, so the moments can be counted, and each of
them can be tried, where kills at random times hit a write now and then.
"""

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.forked_command import run_command

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
CHANGES = {"os.rename": 2, "os.remove": 1, "os.rmdir": 1, "os.mkdir": 1, "os.link": 2, "os.truncate": 1}
"""Events that change what is in a folder, and how many of their arguments are paths."""


class WriteCounter:
    """Counts the changes that this process is about to make below a folder, and ends it by a kill before one of them.

    Args:
        folder: below which changes count.
        fatal: the number of the change, from 1, before which the process is killed; 0 to count alone.
        fuse: a file that exists once a process was killed: then no other one is. By default, there is no such file.
        group: whether all processes of the group are killed.
        spare: whether this process is spared, and only those that are forked from it may be killed.
    """

    def __init__(
        self, folder: Path, fatal: int, *, fuse: Path | None = None, group: bool = False, spare: bool = False
    ) -> None:
        self.folder = os.path.realpath(folder)
        self.fatal, self.fuse, self.group = fatal, fuse, group
        self.spared = os.getpid() if spare else 0
        self.count = 0

    def __call__(self, event: str, arguments: Any) -> None:
        """Receives an audit event."""
        if os.getpid() == self.spared:
            return
        if event == "open":
            path, _, flags = arguments
            paths = [path] if flags & WRITING else []
        else:
            paths = list(arguments[: CHANGES.get(event, 0)])
        # Files that are opened by their descriptors were opened by name before.
        names = [os.path.abspath(os.fsdecode(path)) for path in paths if isinstance(path, str | bytes | os.PathLike)]
        if not any(name.startswith(self.folder + os.sep) for name in names):
            return
        self.count += 1
        if self.count == self.fatal and not (self.fuse and self.fuse.exists()):
            if self.fuse:
                self.fuse.touch()
            if event == "os.rename" and os.path.isfile(names[0]):
                # As if it had been killed a moment before, when half of the file was written.
                os.truncate(names[0], os.path.getsize(names[0]) // 2)
            (os.killpg if self.group else os.kill)(os.getpgid(0) if self.group else os.getpid(), signal.SIGKILL)


def run_and_die(arguments: Sequence[str], folder: str, fatal: int) -> int:
    """Does what `workbench` does, up to a change below a folder; prints the number of changes if it gets to the end."""
    counter = WriteCounter(Path(folder), fatal)
    sys.addaudithook(counter)
    status = run_command(arguments)
    print(f"changes {counter.count}", flush=True)
    return status


def run_and_kill_a_worker(arguments: Sequence[str], folder: str, fatal: int, fuse: str, group: bool) -> int:
    """Does what `workbench` does; kills the first worker that comes to a change below a folder, or its whole group."""
    sys.addaudithook(WriteCounter(Path(folder), fatal, fuse=Path(fuse), group=group, spare=True))
    return run_command(arguments)


def temporary_files(folder: Path) -> list[Path]:
    """Returns what looks like a file that was begun and not finished."""
    return [path for path in folder.rglob("*") if path.name.endswith(".tmp") or path.name.startswith(".writable")]

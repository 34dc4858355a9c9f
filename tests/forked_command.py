"""Commands in processes of their own that are forked from a server, which saves them the imports.

A signal to a group, or a kill, needs a process that is not the test's; that it imported PyTorch itself is another
matter, and takes seconds of a core.
"""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from tests import fork_server
from workbench import process_pool

STREAMS = ("stdout", "stderr")
"""Files of the output, in the order of their descriptors from 1."""


class ForkedCommand:
    """A function of a module that runs in a process of its own.

    The process leads a session, so that a signal to its group reaches every process that it starts.

    Args:
        process: the process; its id is that of its group.
        folder: the folder in which its output and its errors are written.
    """

    def __init__(self, process: BaseProcess, folder: Path) -> None:
        self.process = process
        self.folder = folder

    @property
    def output(self) -> str:
        """What it has written to its standard output."""
        return (self.folder / "stdout").read_text(encoding="utf-8")

    @property
    def errors(self) -> str:
        """What it has written to its standard error."""
        return (self.folder / "stderr").read_text(encoding="utf-8")

    @property
    def pid(self) -> int:
        """The id of the process, and of its group."""
        assert self.process.pid is not None
        return self.process.pid

    def signal(self, number: int) -> None:
        """Sends a signal to the process alone."""
        os.kill(self.pid, number)

    def signal_group(self, number: int) -> None:
        """Sends a signal to the process and to every process that it has started."""
        os.killpg(self.pid, number)

    def wait(self, seconds: float = 120.0) -> int:
        """Waits for its end and returns its exit status, minus the signal's number if a signal ended it."""
        self.process.join(seconds)
        assert self.process.exitcode is not None, f"it still runs after {seconds} seconds: {self.errors}"
        return self.process.exitcode

    def wait_until(self, condition: Callable[[], object], seconds: float = 120.0) -> None:
        """Waits until a condition holds, while the process runs."""
        end = time.monotonic() + seconds
        while not condition():
            assert self.process.is_alive(), f"it has ended: {self.errors}"
            assert time.monotonic() < end, f"it did not come to that in {seconds} seconds: {self.errors}"
            time.sleep(0.005)


@contextmanager
def forked_command(
    function: Callable[..., int | None],
    *arguments: Any,
    folder: Path,
    environment: Mapping[str, str] | None = None,
) -> Iterator[ForkedCommand]:
    """Starts a function, whose result is the exit status; kills what is left of it, and of its processes, at the end.

    Args:
        function: a function of a module.
        arguments: its arguments, which must be picklable.
        folder: an existing folder for its output.
        environment: its environment; by default this process's.
    """
    for name in STREAMS:
        (folder / name).write_text("")
    where = (str(folder), dict(os.environ if environment is None else environment), str(Path.cwd()))
    process = fork_server.CONTEXT.Process(target=_run, args=(*where, function, arguments))
    process.start()
    command = ForkedCommand(process, folder)
    try:
        yield command
    finally:
        with suppress(ProcessLookupError):
            command.signal_group(signal.SIGKILL)
        # It may not have come to lead a group yet.
        process.kill()
        process.join()


def run_command(arguments: Sequence[str]) -> int:
    """Does what `workbench` does, in this process."""
    from workbench.cli.main import main

    return main(list(arguments))


def _run(folder: str, environment: Mapping[str, str], cwd: str, function: Callable[..., Any], arguments: Any) -> None:
    """Calls a function as the leader of a session, with its output in files."""
    os.setsid()
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    for stream, name in enumerate(STREAMS, 1):
        file = os.open(os.path.join(folder, name), os.O_WRONLY)
        os.dup2(file, stream)
        os.close(file)
    # Its pools fork their processes, which keeps them in the group, and start them as they always do otherwise.
    process_pool.SPAWN = get_context("fork")  # type: ignore[assignment]
    sys.exit(function(*arguments))

"""A process of its own for each case, forked from one that has imported everything, and watched.

Python tells an audit hook of everything that leaves the process before it happens. What a case must not do is refused
there, and noted: writing outside of its folder, reaching for the network, starting another program.
"""

import os
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from workbench.errors import MAX_LINE

SECONDS = 60.0
"""Time of a case, after which it counts as hanging; a hundred times what it takes."""
CPU_SECONDS = 30
MEMORY = 6 * 10**9
"""Bytes that a case may take beyond what the process has that it is forked from."""
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_TRUNC
CHANGES = {
    *("os.mkdir", "os.remove", "os.rmdir", "os.truncate", "os.chmod", "os.chown", "os.utime", "os.setxattr"),
    *("os.rename", "os.link", "os.symlink", "shutil.rmtree", "shutil.move", "shutil.copyfile", "shutil.make_archive"),
}
NETWORK = {"socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "urllib.Request", "socket.sendto"}
PROGRAMS = {"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "pty.spawn"}
ALLOWED_PLACES = ("/dev/null", "/dev/tty", "/dev/shm/", "/proc/self/")
EXITS = (0, 1, 2, 3, 130)
"""Exit statuses that the command line has."""


class ForbiddenError(PermissionError):
    """Something that a case must not do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a case did."""

    status: int | None
    """Exit status; minus the signal's number if one ended it; `None` if it was still running."""
    output: str
    errors: str
    violations: str
    seconds: float

    def faults(self) -> list[str]:
        """Returns what is wrong with it, a line for each thing."""
        faults = [f"did what it must not: {line}" for line in self.violations.splitlines()]
        if self.status is None:
            faults.append(f"still running after {self.seconds:.0f} seconds")
        elif self.status not in EXITS:
            faults.append(f"ended with status {self.status}")
        for name, content in (("stdout", self.output), ("stderr", self.errors)):
            if "Traceback (most recent call last)" in content:
                faults.append(f"a traceback on {name}")
            for line in content.split("\n"):
                if any(not char.isprintable() for char in line):
                    faults.append(f"a control character on {name}: {line[:100]!r}")
                    break
            if any(len(line) > MAX_LINE for line in content.split("\n")):
                faults.append(f"a line of more than {MAX_LINE} characters on {name}")
        # Without a word, a group of commands shows its help.
        if self.status == 2 and "workbench: " not in self.errors and "usage: " not in self.output:
            faults.append("status 2 without a line that says why")
        if "Warning: " in self.errors:
            faults.append("a warning of Python's on stderr")
        return faults


def run_guarded(
    function: Callable[[], Any],
    folder: Path,
    environment: Mapping[str, str],
    *,
    interrupt_at: str | None = None,
) -> Outcome:
    """Calls a function in a forked process, in a folder that is all it may change.

    Args:
        function: its result is the exit status.
        folder: an existing folder; the process works in it.
        environment: variables of the process.
        interrupt_at: a text in the output upon which it is interrupted as by Ctrl-C.
    """
    streams = folder.parent / f"{folder.name}-streams"
    streams.mkdir()
    for name in ("stdout", "stderr", "violations"):
        (streams / name).touch()
    start = time.monotonic()
    child = os.fork()
    if child == 0:
        _become(function, folder, streams, environment)
    status: int | None = None
    interrupted = False
    pause = 0.002
    while status is None and time.monotonic() - start < SECONDS:
        pid, code = os.waitpid(child, os.WNOHANG)
        if pid:
            status = os.waitstatus_to_exitcode(code)
            break
        if interrupt_at is not None and not interrupted and interrupt_at in _read(streams / "stdout", "stderr"):
            interrupted = True
            os.kill(child, signal.SIGINT)
        time.sleep(pause)
        pause = min(0.05, pause * 1.5)
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    if status is None:
        os.waitpid(child, 0)
    return Outcome(
        status=status,
        output=_read(streams / "stdout"),
        errors=_read(streams / "stderr"),
        violations=_read(streams / "violations"),
        seconds=time.monotonic() - start,
    )


def _read(path: Path, *also: str) -> str:
    parts = [path, *(path.with_name(name) for name in also)]
    return "".join(part.read_bytes().decode(errors="surrogateescape") for part in parts)


def _become(function: Callable[[], Any], folder: Path, streams: Path, environment: Mapping[str, str]) -> None:
    """Turns this process into one that calls the function, and ends it."""
    code = 70
    try:
        os.setsid()
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        tempfile.tempdir = None
        for number, name in enumerate(("stdout", "stderr"), 1):
            file = os.open(streams / name, os.O_WRONLY | os.O_APPEND)
            os.dup2(file, number)
            os.close(file)
        os.close(0)
        os.open(os.devnull, os.O_RDONLY)
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
        sys.stdout = open(1, "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
        _limit_resources()
        _watch(folder, os.open(streams / "violations", os.O_WRONLY | os.O_APPEND))
        from workbench import process_pool

        # Its pools fork their processes, which keeps them under watch.
        process_pool.SPAWN = get_context("fork")  # type: ignore[assignment]
        result = function()
        code = result if isinstance(result, int) else 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except BaseException:
        traceback.print_exc()
    finally:
        with suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code & 255)


def _limit_resources() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _watch(folder: Path, report: int) -> None:
    """Refuses what a case must not do, and writes a line about it to the descriptor `report`."""
    allowed = (os.path.realpath(folder) + os.sep, *ALLOWED_PLACES)
    busy = False

    def refuse(what: str) -> None:
        os.write(report, f"{what[:300]!r}\n".encode(errors="backslashreplace"))
        raise ForbiddenError(what[:300])

    def is_inside(path: Any) -> bool:
        if isinstance(path, int):
            return True
        with suppress(ValueError, TypeError, OSError):
            text = os.fsdecode(path)
            # The link itself is changed, not what it leads to.
            whole = os.path.join(os.path.realpath(os.path.dirname(text) or "."), os.path.basename(text))
            return (whole + os.sep).startswith(allowed) or whole.startswith(allowed)
        # Such a path fails by itself.
        return True

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal busy
        if busy:
            return
        busy = True
        try:
            if event == "open":
                path, _, flags = arguments
                if isinstance(flags, int) and flags & WRITES and not is_inside(path):
                    refuse(f"open for writing {path!r}")
            elif event in CHANGES:
                paths = [each for each in arguments[:2] if isinstance(each, str | bytes | os.PathLike)]
                # What a symbolic link names is not changed.
                paths = paths[1:] if event in ("os.symlink", "shutil.copyfile") else paths
                if not all(map(is_inside, paths)):
                    refuse(f"{event} {arguments!r}")
            elif event == "socket.connect":
                address = arguments[1]
                if not isinstance(address, str | bytes):
                    refuse(f"{event} {address!r}")
            elif event == "subprocess.Popen" and arguments[0] == "git":
                # W&B asks it where it is.
                return
            elif event in NETWORK or event in PROGRAMS:
                refuse(f"{event} {arguments[:2]!r}")
        finally:
            busy = False

    sys.addaudithook(hook)

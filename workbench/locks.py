"""Locks of files between processes; on a file system that has none, work goes on without them, after one line."""

import errno
import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import parent_process
from pathlib import Path

from filelock import FileLock

NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS})
"""What a file system says that has no locks: a network file system without its lock service, some of FUSE's."""
WITHOUT_LOCKS = (
    "has no locks (%s): let no two commands work there at the same time, or name a folder on another file system"
)


# What filelock does then is as good.
warnings.filterwarnings("ignore", message="flock not supported on this filesystem")


@contextmanager
def file_lock(path: Path, *, timeout: float = -1, poll_seconds: float = 0.05, shared: bool = False) -> Iterator[None]:
    """Locks a file for this process while the context lasts. The lock ends with the process, however that ends.

    Args:
        path: the file, which is created; its folder has to exist.
        timeout: seconds to wait for another process that has locked it; 0 does not wait, -1 waits without end.
        poll_seconds: seconds between two tries.
        shared: whether this process may hold the lock more than once.

    Raises:
        filelock.Timeout: if another process has locked it for longer than that.
        OSError: if the file cannot be opened.
    """
    lock = FileLock(path, timeout=timeout, poll_interval=poll_seconds, is_singleton=shared)
    try:
        lock.acquire()
    except NotImplementedError:
        # Earlier versions of filelock say it so where there is no flock at all; this one then creates files to lock.
        warn_without_locks(path.parent, os.strerror(errno.ENOSYS))
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        warn_without_locks(path.parent, os.strerror(error.errno))
    try:
        yield
    finally:
        # Does nothing if it is not held.
        lock.release()


def check_locks(folder: Path) -> None:
    """Logs a line if files in a folder cannot be locked."""
    probe = folder / f".locks.{os.getpid()}"
    with file_lock(probe, timeout=0):
        pass
    probe.unlink(missing_ok=True)


def warn_without_locks(folder: Path, reason: str) -> None:
    """Logs, once a command, that nothing keeps two of them from working on the same files.

    The processes of a pool leave it to the one that has started them.
    """
    if parent_process() is None:
        _log_once(WITHOUT_LOCKS % reason, folder)


_logged: set[str] = set()


def _log_once(message: str, folder: Path) -> None:
    """Logs a message about a folder, but not about another one too: those of a command are on one file system."""
    if message not in _logged:
        _logged.add(message)
        logging.getLogger("workbench").warning("workbench: the file system of %s %s", folder, message)

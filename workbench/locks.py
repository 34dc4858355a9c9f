"""Locks of files between processes; on a file system that has none, work goes on without them, after one line."""

import errno
import logging
import os
import platform
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import parent_process
from pathlib import Path

from filelock import FileLock, Timeout

try:
    import fcntl
except ImportError:
    # Windows has locks of its own.
    fcntl = None  # type: ignore[assignment]

NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS})
"""What a file system says that has no locks: a network file system without its lock service, some of FUSE's."""
WITHOUT_LOCKS = (
    "has no locks (%s): who is at work on a run is told by signs of life, so that one whose process was killed is free "
    "minutes later; let no two commands tune, import or mirror there at a time, or name a folder on another file system"
)


# What filelock does then is as good.
warnings.filterwarnings("ignore", message="flock not supported on this filesystem")


@contextmanager
def file_lock(path: Path, *, timeout: float = -1, poll_seconds: float = 0.05, shared: bool = False) -> Iterator[bool]:
    """Locks a file for this process while the context lasts. The lock ends with the process, however that ends.

    Yields whether it is locked: False on a file system that has no locks.

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
    locked = False
    try:
        lock.acquire()
        locked = True
    except NotImplementedError:
        # Earlier versions of filelock say it so where there is no flock at all; this one then creates files to lock.
        warn_without_locks(path.parent, os.strerror(errno.ENOSYS))
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        warn_without_locks(path.parent, os.strerror(error.errno))
    try:
        yield locked
    finally:
        # Does nothing if it is not held.
        lock.release()


def is_locked(path: Path) -> bool | None:
    """Returns whether a process holds the lock of a file. Nothing is written, and nobody is kept from the lock.

    Holding an exclusive lock conflicts with a shared one, which needs read access alone. The shared lock that is taken
    if nobody holds the other is released at once, and `workbench.run_folder.run_lock` waits long enough for that. On a
    network file system this includes other machines if locks are shared between them, the default of NFS.

    Args:
        path: the lock file. It is not created.

    Returns:
        `None` if the file cannot be opened, or its file system has no locks.
    """
    if fcntl is None:
        return _is_exclusively_locked(path)
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    except OSError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return None
    finally:
        # This releases the lock, too.
        os.close(file)
    return False


def _is_exclusively_locked(path: Path) -> bool | None:
    """Does what `is_locked` does where no lock is shared; the file must be writable for it."""
    if not path.exists():
        return False
    try:
        with FileLock(path, timeout=0):
            return False
    except Timeout:
        return True
    except OSError:
        return None


def check_locks(folder: Path) -> None:
    """Logs a line if files in a folder cannot be locked."""
    probe = folder / f".locks.{platform.node()}.{os.getpid()}"
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

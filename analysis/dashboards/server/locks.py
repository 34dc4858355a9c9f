"""Check whether a process holds the lock of a run, without writing to its folder.

Holding an exclusive lock conflicts with a shared one, which needs read access alone. The shared lock that is taken if
nobody holds the other is released at once, and `workbench.run_folder.run_lock` waits long enough for that.
"""

import os
from pathlib import Path

from filelock import FileLock, Timeout

try:
    import fcntl
except ImportError:
    # Windows has locks of its own.
    fcntl = None  # type: ignore[assignment]


def is_locked(path: Path) -> bool | None:
    """Returns whether a process holds the exclusive lock of a file.

    On a network file system this includes other machines if locks are shared between them, the default of NFS.

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

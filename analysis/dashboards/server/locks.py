"""Whether a process is at work on a run, found out without getting in its way.

To try a run's lock would hold it for a moment, and a process that began just then would be refused. Linux lists the
locks that are held in `/proc/locks` (proc_locks(5)); elsewhere, and where that list does not know the file system, what
there is to go by is how recently the run wrote something.
"""

import fcntl
import os
from collections.abc import Iterable
from pathlib import Path

LOCKS = Path("/proc/locks")
MOUNTS = Path("/proc/self/mountinfo")
REMOTE = ("nfs", "cifs", "smb", "lustre", "ceph", "beegfs", "gpfs", "afs", "9p", "gluster", "fuse", "virtiofs")
"""How the types of file systems begin on which another machine may hold a lock that this one does not list."""

LockedFiles = frozenset[tuple[int, int]]
"""Device and inode of every file that is locked."""


def locked_files() -> LockedFiles | None:
    """The files that processes of this machine have locked; `None` where the system does not tell."""
    try:
        return read(LOCKS.read_text(encoding="ascii", errors="replace"))
    except OSError:
        return None


def read(text: str) -> LockedFiles:
    """The files in a list such as `1: FLOCK  ADVISORY  WRITE 8215 fe:00:2416699 0 EOF`.

    A line with an arrow is of a process that waits for a lock, and so does not have it.
    """
    found = set()
    for line in text.splitlines():
        fields = line.split()
        if len(fields) < 6 or fields[1] == "->":
            continue
        try:
            major, minor, inode = fields[5].split(":")
            found.add((os.makedev(int(major, 16), int(minor, 16)), int(inode)))
        except ValueError:
            continue
    return frozenset(found)


def place(path: Path) -> tuple[int, int] | None:
    """Device and inode of a file; `None` where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def is_local(path: Path) -> bool:
    """Whether the system's list would tell of a lock on the file system that a file is on.

    Args:
        path: a file that nobody ever locks. It is locked here for a moment, together with whoever else likes, to see
            whether that is listed.
    """
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        listed = place(path) in (locked_files() or ())
        return listed and not remote(os.fstat(file).st_dev)
    except OSError:
        return False
    finally:
        os.close(file)


def remote(device: int) -> bool:
    """Whether a file system is, or may be, shared with other machines."""
    try:
        lines = MOUNTS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return True
    return kind(lines, device).startswith(REMOTE)


def kind(lines: Iterable[str], device: int) -> str:
    """The type of a file system, from the lines of `/proc/self/mountinfo` (proc_pid_mountinfo(5))."""
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for line in lines:
        before, _, after = line.partition(" - ")
        if before.split()[2:3] == [wanted]:
            return after.split()[0]
    return ""

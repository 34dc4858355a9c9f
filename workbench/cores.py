"""Cores that a process may use: those that it may run on, and no more than its control groups have time for."""

import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

CPU_MAX = "cpu.max"
"""File of a group's quota and period in microseconds, in version 2 of Linux's control groups."""
CFS_QUOTA, CFS_PERIOD = "cpu.cfs_quota_us", "cpu.cfs_period_us"
"""The same in version 1."""


def available_cores(root: Path = Path("/")) -> int:
    """Returns how many cores this process may use, at least 1.

    A container's limit is a share of time, of all the machine's cores, and not a set of them; of 2.5 cores two are
    counted, as a third process would be held back together with the others.

    Args:
        root: the folder that `proc` and `sys` are in.
    """
    quota = cpu_quota(root)
    return usable_cores() if quota is None else max(1, min(usable_cores(), math.floor(quota)))


def default_workers(device: str, threads: int) -> int:
    """Returns how many processes of `threads` threads run at the same time unless an option says otherwise."""
    return max(1, available_cores() // threads) if device == "cpu" else 1


def usable_cores() -> int:
    """Returns the number of cores that this process may run on; those of the machine, where a system does not tell."""
    if count := getattr(os, "process_cpu_count", None):
        # From Python 3.13 on; -X cpu_count and PYTHON_CPU_COUNT set it.
        return count() or 1
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cpu_quota(root: Path = Path("/")) -> float | None:
    """Returns the seconds of processor time a second that this process's groups allow; `None` if there is no limit.

    Args:
        root: the folder that `proc` and `sys` are in.
    """
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return None
    quotas = [quota for line in lines for folder in _group_folders(root, line) if (quota := _read_quota(folder))]
    return min(quotas, default=None)


def _group_folders(root: Path, line: str) -> Iterator[Path]:
    """Yields the folders of a group and of those that it is in; each may have a limit of its own.

    Args:
        root: the folder that `sys` is in.
        line: of /proc/self/cgroup: number, controllers and path, with colons between them.
    """
    number, controllers, path = [*line.split(":", 2), "", ""][:3]
    mounts = root / "sys/fs/cgroup"
    if number == "0":
        mount = mounts
    elif "cpu" in controllers.split(","):
        mount = next((place for place in (mounts / controllers, mounts / "cpu") if place.is_dir()), mounts)
    else:
        return
    # In a container the path may be that on the host, which is not there: then the mount itself is the group's.
    inside = PurePosixPath("/", *(part for part in PurePosixPath(path).parts[1:] if part != ".."))
    for group in (inside, *inside.parents):
        yield mount.joinpath(*group.parts[1:])


def _read_quota(folder: Path) -> float | None:
    """Returns the limit of one group in cores; `None` if it has none."""
    try:
        if (folder / CPU_MAX).exists():
            quota, period = (folder / CPU_MAX).read_text(encoding="utf-8").split()[:2]
        else:
            quota, period = ((folder / name).read_text(encoding="utf-8").strip() for name in (CFS_QUOTA, CFS_PERIOD))
        # "max" and -1 stand for none.
        return int(quota) / int(period) if int(quota) > 0 else None
    except (OSError, ValueError, ZeroDivisionError):
        return None

"""Leases: a file that names who is at work on a run, with signs of life, for machines that share no locks.

A lock of the system ends with its process, but it is seen only where locks are shared: a network file system may keep
them to each machine, and say nothing of it. A lease is a file beside the lock that its holder changes every few
seconds. Whoever wants the run looks whether it changes: one that has not for a while, by the clock of the one who
looks, is of a process that has ended, or whose machine has. No two clocks are ever compared.

What it needs of a file system is that of two processes that link or create the same name one fails, and that what one
machine writes is read on the others within the grace. NFS from version 3 on, CephFS, Lustre, GPFS and SMB have both.

filelock has leases, too, but takes over that of a dead holder by an exchange of two names, which NFS refuses.
"""

import hashlib
import json
import os
import platform
import re
import secrets
import stat
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from workbench.files import create_whole

HEARTBEAT_SECONDS = 15.0
"""Seconds between two signs of life."""
GRACE_SECONDS = 120.0
"""Seconds without one after which a holder counts as dead.

Twice as long as a client of NFS may go on with what it read before (acregmax, 60 s), so that a live one never does.
"""
LEASE_FILE = ".lease"
RECORD_BYTES = 1024
"""Length of the file: it is always the same, so that it can be written over."""
MAX_HOST_LENGTH = 64
TOKEN = re.compile(r"[0-9a-f]{32}")
TAKE_TRIES = 5


class HeldError(Exception):
    """Another process holds a lease.

    Args:
        holder: that process.
    """

    def __init__(self, holder: "Holder") -> None:
        super().__init__(str(holder))
        self.holder = holder


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who holds a lease, as its file says."""

    raw: bytes = b""
    """The file: as long as it changes, its holder lives."""
    host: str = "?"
    """The machine's name, for people."""
    machine: str = ""
    """What tells machines apart: see `machine_id`."""
    pid: int = 0
    token: str = ""
    """What no other lease has; empty if the file cannot be read."""
    step: int = 0
    """Steps of the run by the last sign of life."""

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}" if self.token else "a process"


class LeaseWatch:
    """An observer of leases, which finds out how long each has been silent.

    Args:
        clock: returns seconds since some moment; it must not be set while it is used.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: dict[Path, tuple[bytes, float]] = {}

    def silence(self, path: Path, content: bytes) -> float:
        """Returns the seconds since this content of a file was seen first; 0 if it is new."""
        now = self._clock()
        seen = self._seen.get(path)
        if seen is None or seen[0] != content:
            self._seen[path] = (content, now)
            return 0.0
        return now - seen[1]

    def forget(self, path: Path) -> None:
        """Forgets a file that is gone."""
        self._seen.pop(path, None)

    def is_dead(self, path: Path, holder: Holder, *, alone: bool) -> bool:
        """Returns whether a holder can be at work no more.

        Args:
            path: the lease's.
            holder: what it says.
            alone: whether no other process of this machine has the lock of the system beside it, for certain: then
                the lease of one is left over.
        """
        if alone and holder.machine == machine_id(path.parent):
            return True
        return self.silence(path, holder.raw) >= GRACE_SECONDS


@dataclass(slots=True, eq=False)
class Lease:
    """A lease that this process holds, and renews by a thread of its own."""

    path: Path
    holder: Holder
    step: int = 0
    """Steps of the run so far, for whoever looks."""
    _lost: bool = field(default=False, init=False)
    _confirmed_at: float = field(default=0.0, init=False)
    _beats: int = field(default=0, init=False)
    _mutex: Any = field(default_factory=threading.Lock, init=False)
    _over: threading.Event = field(default_factory=threading.Event, init=False)

    @property
    def lost(self) -> bool:
        """True once it is known that another process has taken the lease, because this one was silent for too long."""
        return self._lost

    def confirm(self) -> bool:
        """Returns whether the lease is still held, for certain.

        It is if it was half a grace ago, as others wait for a whole one; otherwise the file is read.
        """
        if not self._lost and seconds_awake_or_not() - self._confirmed_at > GRACE_SECONDS / 2:
            self.renew()
            # One that could not be read or written for so long may have been taken by now.
            self._lost = self._lost or seconds_awake_or_not() - self._confirmed_at > GRACE_SECONDS / 2
        return not self._lost

    def renew(self) -> None:
        """Gives a sign of life, if the lease is still this process's."""
        with self._mutex:
            if self._lost or self._over.is_set():
                return
            try:
                descriptor = os.open(self.path, os.O_RDWR | _flags("O_CLOEXEC", "O_NOFOLLOW", "O_BINARY"))
            except FileNotFoundError:
                self._lost = True
                return
            except OSError:
                # A server that does not answer now may do so the next time.
                return
            try:
                if parse_holder(os.read(descriptor, RECORD_BYTES)).token != self.holder.token:
                    self._lost = True
                    return
                self._beats += 1
                os.lseek(descriptor, 0, os.SEEK_SET)
                os.write(descriptor, write_record(self.holder, self._beats, self.step))
                self._confirmed_at = seconds_awake_or_not()
            except OSError:
                return
            finally:
                with suppress(OSError):
                    os.close(descriptor)

    def _keep_alive(self) -> None:
        while not self._over.wait(HEARTBEAT_SECONDS) and not self._lost:
            self.renew()


@contextmanager
def hold_lease(folder: Path, watch: LeaseWatch, *, alone: bool) -> Iterator[Lease]:
    """Holds the lease of a folder while the context lasts.

    Args:
        folder: an existing folder.
        watch: has seen the leases of others so far.
        alone: whether this process has the lock of the system for the folder.

    Raises:
        HeldError: if another process holds it that may be alive.
    """
    lease = take_lease(folder, watch, alone=alone)
    thread = threading.Thread(target=lease._keep_alive, name="lease", daemon=True)
    thread.start()
    try:
        yield lease
    finally:
        lease._over.set()
        # The folder may be gone, and the lease with it.
        with lease._mutex, suppress(OSError):
            if seconds_awake_or_not() - lease._confirmed_at > GRACE_SECONDS / 2:
                end_lease(lease.path, lease.holder, watch, unchanged=False)
            elif not lease._lost:
                lease.path.unlink()


def take_lease(folder: Path, watch: LeaseWatch, *, alone: bool) -> Lease:
    """Makes the lease of a folder this process's; that of a dead holder is ended first.

    Raises:
        HeldError: if another process holds it that may be alive.
    """
    path = folder / LEASE_FILE
    host = platform.node()[:MAX_HOST_LENGTH]
    new = Holder(host=host, machine=machine_id(folder), pid=os.getpid(), token=secrets.token_hex(16))
    other: Holder | None = None
    for _ in range(TAKE_TRIES):
        if create_whole(path, write_record(new, beats=0, step=0)):
            watch.forget(path)
            lease = Lease(path=path, holder=new)
            lease._confirmed_at = seconds_awake_or_not()
            return lease
        other = read_holder(path)
        if other is None:
            # It was released in between.
            continue
        if not watch.is_dead(path, other, alone=alone) or not end_lease(path, other, watch):
            break
    raise HeldError(other or Holder())


def end_lease(path: Path, holder: Holder, watch: LeaseWatch, *, unchanged: bool = True) -> bool:
    """Removes a lease, if it is the one that was looked at, and nobody else is removing it.

    The right to remove a lease belongs to whoever creates the file that is named by its token, which no other lease
    ever has: so the lease of whoever comes next cannot be removed by one who is late.

    Args:
        path: the lease's.
        holder: what was read there.
        watch: has seen how long somebody else has been removing it.
        unchanged: whether it must not have changed since; a holder that ends its own lease may have renewed it.

    Returns:
        False if it was left as it is.
    """
    right = _right_to_end(path, holder)
    try:
        os.close(os.open(right, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    except FileExistsError:
        if watch.silence(right, b"") >= GRACE_SECONDS:
            # Whoever had it was killed within these few lines.
            right.unlink(missing_ok=True)
            watch.forget(right)
        return False
    try:
        now = read_holder(path)
        same = now is not None and (now.raw == holder.raw if unchanged else now.token == holder.token)
        if same:
            path.unlink(missing_ok=True)
            watch.forget(path)
    finally:
        right.unlink(missing_ok=True)
    return same


def remove_leftovers(lease: Lease) -> None:
    """Removes what killed processes have left of leases that are over; the folder's present one is this process's."""
    for path in lease.path.parent.glob(f"{LEASE_FILE}.*.end"):
        if path != _right_to_end(lease.path, lease.holder):
            path.unlink(missing_ok=True)


def read_holder(path: Path) -> Holder | None:
    """Returns who holds a lease; `None` if nobody does.

    Whatever is in its place, nothing is waited for, and no link is followed.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | _flags("O_CLOEXEC", "O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"))
    except FileNotFoundError:
        return None
    except OSError:
        return Holder()
    try:
        return parse_holder(os.read(descriptor, RECORD_BYTES) if stat.S_ISREG(os.fstat(descriptor).st_mode) else b"")
    except OSError:
        # A network file system tells of a file that is gone on the server.
        return Holder(raw=b"?")
    finally:
        os.close(descriptor)


def parse_holder(raw: bytes) -> Holder:
    """Returns what the file of a lease says; of one that was only begun, nothing but its content."""
    try:
        values = json.loads(raw)
        host, machine, token = (values[key] for key in ("host", "machine", "token"))
        pid, step = int(values["pid"]), int(values["step"])
        if not all(isinstance(text, str) for text in (host, machine)) or not TOKEN.fullmatch(token):
            return Holder(raw=raw)
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return Holder(raw=raw)
    # A terminal would obey control characters.
    plain = "".join(char if char.isprintable() else "?" for char in host[:MAX_HOST_LENGTH])
    return Holder(raw=raw, host=plain or "?", machine=machine, pid=pid, token=token, step=max(0, step))


def write_record(holder: Holder, beats: int, step: int) -> bytes:
    """Returns the content of a lease's file. Its time is for people; nothing is decided by it."""
    values = {
        "host": holder.host,
        "pid": holder.pid,
        "machine": holder.machine,
        "token": holder.token,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "beat": beats,
        "step": step,
    }
    return json.dumps(values).encode().ljust(RECORD_BYTES - 1) + b"\n"


def machine_id(folder: Path) -> str:
    """Returns what two processes have in common if the locks of a folder's files hold between them for certain.

    That is one kernel and one mount: names of machines repeat, and a network file system that is mounted twice may
    keep the locks of each mount to itself.
    """
    try:
        device: int | str = folder.stat().st_dev
    except OSError:
        device = "gone"
    return hashlib.sha256(f"{_kernel_id()} {device}".encode()).hexdigest()[:16]


@cache
def _kernel_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return f"{platform.node()} {uuid.getnode()}"


def seconds_awake_or_not() -> float:
    """Returns seconds since some moment; those in which the machine was suspended count, where the system tells."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


def _right_to_end(path: Path, holder: Holder) -> Path:
    # Without a token the file was not written by this module, or not to its end.
    name = holder.token or hashlib.sha256(holder.raw).hexdigest()[:32]
    return path.with_name(f"{path.name}.{name}.end")


def _flags(*names: str) -> int:
    """Returns flags of `os.open`, without those that this system does not have."""
    return sum(getattr(os, name, 0) for name in names)

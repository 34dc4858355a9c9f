"""Check of a run's lock: it tells whether a run is under way, writes nothing, and never keeps a run from starting."""

import errno
import fcntl
import os
import platform
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from analysis.dashboards.server.progress import FolderWatcher
from tests.analysis.dashboards.server_runs import write_comparison, write_unfinished_run
from workbench.leases import GRACE_SECONDS, LeaseWatch, take_lease
from workbench.locks import is_locked
from workbench.run_folder import run_lock

HOLD = """import sys
from filelock import FileLock
lock = FileLock(sys.argv[1])
lock.acquire()
print("held", flush=True)
input()
"""


@pytest.fixture
def holder(tmp_path):
    """A process that holds the lock of the run in `tmp_path`."""
    experiments = write_comparison(tmp_path)
    folder = write_unfinished_run(tmp_path, experiments[0], [0.3, 0.2])
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, folder / ".lock"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


@pytest.fixture
def no_locks(monkeypatch):
    """A file system without locks."""

    def flock(file, operation):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)


def states(out: Path) -> list[str]:
    return [status.state for status in FolderWatcher(out).current().runs if status.folder is not None]


def test_a_run_is_running_as_long_as_its_lock_is_held_and_not_a_moment_longer(holder, tmp_path):
    assert states(tmp_path) == ["running"]
    holder.kill()
    holder.wait()
    assert states(tmp_path) == ["interrupted"]


def test_without_locks_signs_of_life_tell(tmp_path, no_locks, monkeypatch):
    folder = write_unfinished_run(tmp_path, write_comparison(tmp_path)[0], [0.3, 0.2])
    watcher, seconds = FolderWatcher(tmp_path), [0.0]
    monkeypatch.setattr(watcher, "_leases", LeaseWatch(lambda: seconds[0]))
    monkeypatch.setattr("analysis.dashboards.server.progress.FRESH_SECONDS", -1.0)

    def holders():
        return [(status.state, status.holder) for status in watcher.current().runs if status.folder == folder]

    assert is_locked(folder / ".lock") is None
    assert holders() == [("interrupted", "")]
    lease = take_lease(folder, LeaseWatch(), alone=False)
    for _ in range(3):
        assert holders() == [("running", f"process {os.getpid()} on {platform.node()}")]
        lease.renew()
        seconds[0] += GRACE_SECONDS
    assert holders() == [("running", f"process {os.getpid()} on {platform.node()}")]
    seconds[0] += GRACE_SECONDS
    assert holders() == [("interrupted", "")]


def test_a_lock_file_that_is_missing_is_not_created(tmp_path):
    assert is_locked(tmp_path / ".lock") is False
    assert list(tmp_path.iterdir()) == []


def test_a_lock_can_be_checked_without_write_access_and_the_check_changes_nothing(tmp_path, monkeypatch):
    file = tmp_path / ".lock"
    file.touch(mode=0o400)
    flags: list[int] = []
    os_open = os.open

    def record_flags(path, flag, *rest):
        flags.append(flag)
        return os_open(path, flag, *rest)

    monkeypatch.setattr(os, "open", record_flags)
    before = file.stat()
    tmp_path.chmod(0o500)
    try:
        assert is_locked(file) is False
        held = os_open(file, os.O_RDONLY)
        fcntl.flock(held, fcntl.LOCK_EX)
        assert is_locked(file) is True
        os.close(held)
        assert is_locked(file) is False
    finally:
        tmp_path.chmod(0o700)
    assert file.stat() == before
    assert {flag & os.O_ACCMODE for flag in flags} == {os.O_RDONLY}, "root could write in a read-only folder"
    assert not any(flag & os.O_CREAT for flag in flags)


def test_two_checks_at_once_do_not_take_each_other_for_a_run(tmp_path):
    file = tmp_path / ".lock"
    file.touch()
    other = os.open(file, os.O_RDONLY)
    fcntl.flock(other, fcntl.LOCK_SH)
    assert is_locked(file) is False
    os.close(other)


@pytest.mark.parametrize("kind", ["link", "folder", "pipe"])
def test_a_lock_that_is_not_a_regular_file_is_not_waited_for(tmp_path, kind):
    path = tmp_path / ".lock"
    if kind == "link":
        path.symlink_to("/dev/tty")
    elif kind == "folder":
        path.mkdir()
    else:
        os.mkfifo(path)
    assert not is_locked(path)


@pytest.mark.slow
def test_looking_never_keeps_a_run_from_starting(tmp_path):
    folder = write_unfinished_run(tmp_path, write_comparison(tmp_path)[0], [0.3])
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            FolderWatcher(tmp_path).current()

    def check() -> None:
        while not over.is_set():
            is_locked(folder / ".lock")

    threads = [threading.Thread(target=target) for target in (look, check)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(300):
            with run_lock(folder):  # Raises BusyError if the lock is not free for half a second.
                pass
    finally:
        over.set()
        for thread in threads:
            thread.join()

"""Whether a run is under way, told from locks that are never touched."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from analysis.dashboards.server import locks
from analysis.dashboards.server.progress import FolderWatcher
from tests.analysis.dashboards.server_runs import begun, compared
from workbench.run_folder import run_lock

HOLD = """import sys
from filelock import FileLock
lock = FileLock(sys.argv[1])
lock.acquire()
print("held", flush=True)
input()
"""
linux = pytest.mark.skipif(not locks.LOCKS.exists(), reason="there is no /proc/locks")

LISTED = """1: FLOCK  ADVISORY  WRITE 8215 fe:00:2416699 0 EOF
1: -> FLOCK  ADVISORY  WRITE 8216 fe:00:77 0 EOF
2: POSIX  ADVISORY  READ  12 00:2f:5 128 128
3: nonsense
"""


def test_the_list_is_read_as_the_kernel_writes_it():
    assert locks.read(LISTED) == {(os.makedev(0xFE, 0), 2416699), (os.makedev(0, 0x2F), 5)}


def test_the_type_of_a_file_system_is_found_by_its_device():
    lines = [
        "22 27 0:21 / /proc rw,relatime - proc proc rw",
        "30 27 0:44 / /home rw shared:7 master:1 - nfs4 host:/home rw",
    ]
    assert locks.kind(lines, os.makedev(0, 44)) == "nfs4"
    assert locks.kind(lines, os.makedev(0, 21)) == "proc"
    assert locks.kind(lines, os.makedev(9, 9)) == ""


@pytest.fixture
def holder(tmp_path):
    """A process that holds the lock of the run in `tmp_path`."""
    experiments = compared(tmp_path)
    folder = begun(tmp_path, experiments[0], [0.3, 0.2])
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, folder / ".lock"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def states(out: Path) -> list[str]:
    return [seen.state for seen in FolderWatcher(out).now().runs if seen.folder is not None]


@linux
def test_a_run_is_running_as_long_as_its_lock_is_held_and_not_a_moment_longer(holder, tmp_path):
    assert states(tmp_path) == ["running"]
    holder.kill()
    holder.wait()
    assert states(tmp_path) == ["interrupted"]


def test_where_locks_do_not_tell_the_last_row_does(holder, tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "LOCKS", tmp_path / "none")
    assert states(tmp_path) == ["running"]
    folder = next((tmp_path / "runs").glob("*/*/*/seed-*"))
    for name in ("config.yaml", "metrics.csv"):
        os.utime(folder / name, (1e9, 1e9))
    assert states(tmp_path) == ["interrupted"]


def test_a_file_system_of_several_machines_is_not_trusted(tmp_path, monkeypatch):
    file = tmp_path / "file"
    file.touch()
    assert locks.is_local(file) is locks.LOCKS.exists()
    monkeypatch.setattr(locks, "kind", lambda lines, device: "nfs4")
    assert not locks.is_local(file)


def test_looking_never_keeps_a_run_from_starting(tmp_path):
    folder = begun(tmp_path, compared(tmp_path)[0], [0.3])
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            FolderWatcher(tmp_path).now()

    looking = threading.Thread(target=look)
    looking.start()
    try:
        for _ in range(300):
            with run_lock(folder):  # Raises BusyError if the lock is held, however briefly.
                pass
    finally:
        over.set()
        looking.join()

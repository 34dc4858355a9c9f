"""Locks of files, and work on file systems that have none."""

import errno
import fcntl
import logging
import os
from pathlib import Path

import pytest
from filelock import Timeout

from architectures.kernels import native_build
from workbench import locks
from workbench.cli.main import main
from workbench.locks import file_lock

TRAIN = ["train", "--task", "addition", "--architecture", "rnn", "--steps", "2", "--batch-size", "2", "--wandb", "off"]


@pytest.fixture(params=[errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS], ids=["ENOLCK", "ENOTSUP", "ENOSYS"])
def without_locks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Every file system is one that has no locks."""
    number: int = request.param

    def flock(file: int, operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    monkeypatch.setattr(locks, "_logged", set())
    return number


def test_a_lock_keeps_others_out_until_it_is_released(tmp_path: Path) -> None:
    with file_lock(tmp_path / "lock"), pytest.raises(Timeout), file_lock(tmp_path / "lock", timeout=0):
        pass
    with file_lock(tmp_path / "lock", timeout=0):
        pass


def test_a_shared_lock_may_be_held_twice(tmp_path: Path) -> None:
    with file_lock(tmp_path / "lock", timeout=0, shared=True), file_lock(tmp_path / "lock", timeout=0, shared=True):
        pass


@pytest.mark.filterwarnings("ignore:flock not supported")
def test_without_locks_work_goes_on_after_one_line(
    without_locks: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        for name in ("first", "second"):
            with file_lock(tmp_path / name):
                pass
    said = [] if without_locks == errno.ENOSYS else [os.strerror(without_locks)]
    assert [os.strerror(without_locks) for line in caplog.messages if "has no locks" in line] == said
    assert all("name a folder on another file system" in line for line in caplog.messages)


def test_any_other_error_of_a_lock_is_raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(file: int, operation: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(OSError, match="Input/output"), file_lock(tmp_path / "lock"):
        pass


@pytest.mark.parametrize("name", ["ENOLCK", "EOPNOTSUPP"])
def test_a_command_trains_where_files_cannot_be_locked(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It says so once, though it locks several files, and so do its processes."""
    number = getattr(errno, name)

    def flock(file: int, operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    monkeypatch.setattr(locks, "_logged", set())
    with caplog.at_level(logging.WARNING, logger="workbench"):
        assert main([*TRAIN, "--wandb", "offline", "--out", str(tmp_path)]) == 0
    assert len(list(tmp_path.glob("runs/*/*/*/*/result.json"))) == 1
    lines = [line for line in caplog.messages if "has no locks" in line]
    assert len(lines) == 1
    assert os.strerror(number) in lines[0]
    assert str(tmp_path) in lines[0]
    assert not list(tmp_path.glob("runs/.locks*"))


def test_where_the_kernels_cannot_be_locked_nothing_is_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two builds at a time could take each other's files away. The reason is a line that says what would help."""

    def flock(file: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", flock)
    monkeypatch.setenv("WORKBENCH_CACHE", str(tmp_path / "cache"))
    with pytest.raises(native_build.BuildError, match=r"No locks available; WORKBENCH_CACHE may name another folder$"):
        native_build.find_or_build_library()

"""Tests of the build of the compiled kernels: it happens once, repairs damage, and may fail."""

import logging
import multiprocessing
import os
import pwd
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from architectures.kernels import build_native_kernels, dispatch, native, native_build, pick_backend
from architectures.kernels.native_build import BuildError, find_or_build_library

FAKE = """#!/bin/sh
if [ "$1" = --version ]; then echo "fake {version}"; exit 0; fi
echo "built by $$" >> {log}
sleep {seconds}
{body}
"""
SUCCEED = """while [ "$1" != -o ]; do shift; done
echo "a library" > "$2"
"""


class BuildSandbox:
    """A cache folder, and a fake compiler that logs every call."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.cache, self.log = folder, folder / "cache", folder / "log"
        self.monkeypatch = monkeypatch
        monkeypatch.setenv("WORKBENCH_CACHE", str(self.cache))
        self.install_compiler()

    def install_compiler(self, body: str = SUCCEED, seconds: float = 0, version: str = "1.0") -> None:
        path = self.folder / "c++"
        path.write_text(FAKE.format(log=self.log, seconds=seconds, body=body, version=version))
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        self.monkeypatch.setenv("CXX", str(path))

    @property
    def build_count(self) -> int:
        return len(self.log.read_text().splitlines()) if self.log.exists() else 0


@pytest.fixture
def sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[BuildSandbox]:
    for cached in (native.unavailable_reason, dispatch.warn_once):
        cached.cache_clear()
    # Set, not deleted: what `prepare` sets is undone with it.
    monkeypatch.setenv("WORKBENCH_BACKEND", "auto")
    yield BuildSandbox(tmp_path, monkeypatch)
    for cached in (native.unavailable_reason, dispatch.warn_once):
        cached.cache_clear()


def test_the_library_is_built_once(sandbox: BuildSandbox) -> None:
    """A compiler of another version builds another one."""
    assert not native_build.is_built()
    path = find_or_build_library()
    assert path.read_text() == "a library\n"
    assert native_build.is_built()
    assert find_or_build_library() == path
    assert sandbox.build_count == 1
    sandbox.install_compiler(version="2.0")
    assert find_or_build_library() != path
    assert sandbox.build_count == 2


@pytest.mark.slow
def test_processes_that_ask_together_build_once(sandbox: BuildSandbox) -> None:
    """The others wait for the first one."""
    sandbox.install_compiler(seconds=1.0)
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        paths = {result.get(60) for result in [pool.apply_async(find_or_build_library) for _ in range(3)]}
    assert len(paths) == 1
    assert sandbox.build_count == 1


@pytest.mark.parametrize("damage", ["truncated", "no hash", "removed"])
def test_a_damaged_library_is_built_again(sandbox: BuildSandbox, damage: str) -> None:
    """A file that differs from what was built is never loaded: a truncated one can crash the process that maps it."""
    path = find_or_build_library()
    match damage:
        case "truncated":
            path.write_text("a lib")
        case "no hash":
            path.with_suffix(".sha256").unlink()
        case "removed":
            path.unlink()
    assert not native_build.is_built()
    assert find_or_build_library().read_text() == "a library\n"
    assert sandbox.build_count == 2


def test_files_of_a_killed_build_are_removed(sandbox: BuildSandbox) -> None:
    """A half-written file is deleted, and a lock file that nobody holds does not block."""
    path = find_or_build_library()
    path.unlink()
    leftover = path.with_name(f".{path.name}.4711")
    leftover.write_text("half a lib")
    assert path.with_suffix(".lock").exists()
    find_or_build_library()
    assert not leftover.exists()
    assert path.read_text() == "a library\n"


def test_without_a_compiler_the_eager_backend_runs_with_one_warning(
    sandbox: BuildSandbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A request for the compiled backend by name is an error."""
    monkeypatch.setenv("CXX", "no-such-compiler")
    x = torch.zeros(1)
    with caplog.at_level(logging.WARNING):
        assert [pick_backend(x) for _ in range(3)] == ["eager"] * 3
    lines = [record.getMessage() for record in caplog.records]
    assert lines == [
        "recurrent layers run without their compiled kernels, more slowly: there is no C++ compiler (c++, or what CXX "
        "names)"
    ]
    with pytest.raises(RuntimeError, match="there is no C"):
        pick_backend(x, "compiled")


def test_a_failed_build_is_reported_in_one_line_and_not_repeated(sandbox: BuildSandbox) -> None:
    """Neither in this process nor in those that it starts."""
    sandbox.install_compiler(body="echo 'x.cpp:1: error: no such thing' >&2; echo more >&2; exit 1")
    with pytest.raises(BuildError, match=r"failed: x\.cpp:1: error: no such thing$"):
        find_or_build_library()
    assert not list(sandbox.cache.glob("*.so"))
    lines: list[str] = []
    build_native_kernels(lines.append)
    assert len(lines) == 2
    assert lines[0].startswith("compiling")
    assert "no such thing" in lines[1]
    assert os.environ["WORKBENCH_BACKEND"] == "eager"
    before = sandbox.build_count
    build_native_kernels(lines.append)
    assert pick_backend(torch.zeros(1)) == "eager"
    assert (len(lines), sandbox.build_count) == (2, before)


def test_a_library_that_cannot_be_loaded_is_a_failure_in_one_line(sandbox: BuildSandbox) -> None:
    """As with a library from another system."""
    reason = native.unavailable_reason()
    assert reason is not None
    assert "\n" not in reason
    assert pick_backend(torch.zeros(1)) == "eager"


def test_an_unwritable_cache_is_an_error_with_a_remedy(sandbox: BuildSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says which variable names another folder."""
    sandbox.cache.write_text("a file")
    with pytest.raises(BuildError, match="WORKBENCH_CACHE may name another folder"):
        find_or_build_library()


def test_the_folder_is_for_its_owner_alone(sandbox: BuildSandbox) -> None:
    """Whatever the umask: a library is code. Folders above it are made as usual."""
    sandbox.monkeypatch.setenv("WORKBENCH_CACHE", str(sandbox.folder / "above" / "cache"))
    before = os.umask(0o002)
    try:
        path = find_or_build_library()
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.parent.parent.stat().st_mode) == 0o775
    assert not path.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH)


@pytest.mark.parametrize("mode", [0o002, 0o020], ids=["others", "group"])
@pytest.mark.parametrize("part", ["folder", "library"])
def test_a_library_that_others_can_write_is_not_loaded(sandbox: BuildSandbox, part: str, mode: int) -> None:
    """With its own hash beside it, a planted one is complete. Nothing is built there either, and one line says what
    can be done; after that it is."""
    path = find_or_build_library()
    written = path.parent if part == "folder" else path
    written.chmod(written.stat().st_mode | mode)
    for call in (find_or_build_library, native_build.is_built):
        with pytest.raises(BuildError, match=rf"^{written} can be written by others.*chmod.*WORKBENCH_CACHE$"):
            call()
    assert "can be written by others" in (native.unavailable_reason() or "")
    written.chmod(0o700)
    assert find_or_build_library() == path
    assert sandbox.build_count == 1


@pytest.mark.parametrize("owner", [0, 1])
def test_a_library_of_another_user_is_not_loaded(sandbox: BuildSandbox, owner: int) -> None:
    """root's is: root can write everywhere."""
    path = find_or_build_library()
    own = path.stat().st_uid
    sandbox.monkeypatch.setattr(os, "getuid", lambda: own + 1 if own else 12)
    if own == 0 and owner == 0:
        assert find_or_build_library() == path
    elif own == 0:
        os.chown(path, owner, -1)
        with pytest.raises(BuildError, match=rf"^{path} belongs to another user \(1\)"):
            find_or_build_library()
    else:
        with pytest.raises(BuildError, match="belongs to another user"):
            find_or_build_library()


def test_a_folder_that_cannot_be_made_private_costs_only_speed(
    sandbox: BuildSandbox, caplog: pytest.LogCaptureFixture
) -> None:
    """The eager backend runs, after one line."""
    sandbox.cache.mkdir(mode=0o777)
    sandbox.cache.chmod(0o777)
    x = torch.zeros(1)
    with caplog.at_level(logging.WARNING):
        assert [pick_backend(x), pick_backend(x)] == ["eager", "eager"]
    assert len(caplog.messages) == 1
    assert f"{sandbox.cache} can be written by others" in caplog.messages[0]
    assert sandbox.build_count == 0


NO_OPENMP = """for argument; do
    if [ "$argument" = -fopenmp ]; then echo "clang: error: unsupported option '-fopenmp'" >&2; exit 1; fi
done
echo "$@" >> {arguments}
"""


def test_a_compiler_without_openmp_builds_kernels_for_one_thread(sandbox: BuildSandbox) -> None:
    """As Apple's clang does. What it does have is used."""
    arguments = sandbox.folder / "arguments"
    sandbox.install_compiler(body=NO_OPENMP.format(arguments=arguments) + SUCCEED)
    assert find_or_build_library().read_text() == "a library\n"
    built = arguments.read_text().splitlines()[-1].split()
    assert "-march=native" in built
    assert "-O3" in built
    assert "-fopenmp" not in built


def test_a_program_that_fails_for_another_reason_is_not_built_without_flags(sandbox: BuildSandbox) -> None:
    """What every flag works with is not a matter of the flags."""
    body = 'case "$*" in *recurrence.cpp*) echo "recurrence.cpp:1: error: broken" >&2; exit 1;; esac\n'
    sandbox.install_compiler(body=body + SUCCEED)
    with pytest.raises(BuildError, match="broken"):
        find_or_build_library()
    # The library once, and a program for each optional flag.
    assert sandbox.build_count == 1 + len(native_build.OPTIONAL_FLAGS)


def test_a_user_without_a_home_runs_the_eager_kernels(
    sandbox: BuildSandbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As in a container that runs as a number without a name."""
    monkeypatch.delenv("WORKBENCH_CACHE")
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", lambda uid: {}[uid])
    with pytest.raises(BuildError, match=r"no home to keep them in; WORKBENCH_CACHE may name a folder$"):
        native_build.is_built()
    x = torch.zeros(1)
    with caplog.at_level(logging.WARNING):
        assert [pick_backend(x), pick_backend(x)] == ["eager", "eager"]
    assert len(caplog.messages) == 1
    assert "this user has no home to keep them in; WORKBENCH_CACHE may name a folder" in caplog.messages[0]
    lines: list[str] = []
    build_native_kernels(lines.append)
    assert len(lines) == 1
    assert "no home" in lines[0]

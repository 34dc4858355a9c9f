"""The compiled kernels are built once, heal, and can be done without."""

import logging
import multiprocessing
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from architectures.kernels import dispatch, native, native_build, pick_backend, prepare
from architectures.kernels.native_build import BuildError, library

FAKE = """#!/bin/sh
if [ "$1" = --version ]; then echo "fake {version}"; exit 0; fi
echo "built by $$" >> {log}
sleep {seconds}
{body}
"""
SUCCEED = """while [ "$1" != -o ]; do shift; done
echo "a library" > "$2"
"""


class Desk:
    """A cache of its own, and a compiler that notes every call."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.cache, self.log = folder, folder / "cache", folder / "log"
        self.monkeypatch = monkeypatch
        monkeypatch.setenv("WORKBENCH_CACHE", str(self.cache))
        self.compiler()

    def compiler(self, body: str = SUCCEED, seconds: float = 0, version: str = "1.0") -> None:
        path = self.folder / "c++"
        path.write_text(FAKE.format(log=self.log, seconds=seconds, body=body, version=version))
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        self.monkeypatch.setenv("CXX", str(path))

    @property
    def built(self) -> int:
        return len(self.log.read_text().splitlines()) if self.log.exists() else 0


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    for cached in (native.failure, dispatch.note_once):
        cached.cache_clear()
    # Set, not deleted: what `prepare` sets is undone with it.
    monkeypatch.setenv("WORKBENCH_BACKEND", "auto")
    yield Desk(tmp_path, monkeypatch)
    for cached in (native.failure, dispatch.note_once):
        cached.cache_clear()


def test_it_is_built_once_and_found_again(desk: Desk) -> None:
    """Another compiler, or one of another version, builds its own."""
    assert not native_build.is_built()
    path = library()
    assert path.read_text() == "a library\n"
    assert native_build.is_built()
    assert library() == path
    assert desk.built == 1
    desk.compiler(version="2.0")
    assert library() != path
    assert desk.built == 2


def test_processes_that_ask_together_build_once(desk: Desk) -> None:
    """The others wait for the one that came first."""
    desk.compiler(seconds=1.0)
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        found = {result.get(60) for result in [pool.apply_async(library) for _ in range(3)]}
    assert len(found) == 1
    assert desk.built == 1


@pytest.mark.parametrize("damage", ["cut short", "no note", "removed"])
def test_a_damaged_library_is_built_again(desk: Desk, damage: str) -> None:
    """A file that is not what was built is never loaded: what is cut short can end the process that maps it."""
    path = library()
    match damage:
        case "cut short":
            path.write_text("a lib")
        case "no note":
            path.with_suffix(".sha256").unlink()
        case "removed":
            path.unlink()
    assert not native_build.is_built()
    assert library().read_text() == "a library\n"
    assert desk.built == 2


def test_what_a_killed_build_leaves_is_cleared_away(desk: Desk) -> None:
    """Its half-written file, and its lock, which nobody holds any more."""
    path = library()
    path.unlink()
    left = path.with_name(f".{path.name}.4711")
    left.write_text("half a lib")
    assert path.with_suffix(".lock").exists()
    library()
    assert not left.exists()
    assert path.read_text() == "a library\n"


def test_without_a_compiler_the_eager_one_serves_and_says_so_once(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One line; who asks for the compiled one by name gets an error."""
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


def test_a_failed_build_is_told_in_a_line_and_not_tried_again(desk: Desk) -> None:
    """Neither here nor in the processes that are started from here."""
    desk.compiler(body="echo 'x.cpp:1: error: no such thing' >&2; echo more >&2; exit 1")
    with pytest.raises(BuildError, match=r"failed: x\.cpp:1: error: no such thing$"):
        library()
    assert not list(desk.cache.glob("*.so"))
    notes: list[str] = []
    prepare(notes.append)
    assert len(notes) == 2
    assert notes[0].startswith("compiling")
    assert "no such thing" in notes[1]
    assert os.environ["WORKBENCH_BACKEND"] == "eager"
    before = desk.built
    prepare(notes.append)
    assert pick_backend(torch.zeros(1)) == "eager"
    assert (len(notes), desk.built) == (2, before)


def test_a_library_that_cannot_be_loaded_is_a_failure_in_one_line(desk: Desk) -> None:
    """Such as one that another system has built."""
    reason = native.failure()
    assert reason is not None
    assert "\n" not in reason
    assert pick_backend(torch.zeros(1)) == "eager"


def test_a_cache_that_cannot_be_written_names_the_way_out(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says which variable names another folder."""
    desk.cache.write_text("a file")
    with pytest.raises(BuildError, match="WORKBENCH_CACHE may name another folder"):
        library()

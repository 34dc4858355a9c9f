"""A folder of results that cannot be written to: one line and status 2, and what only reads works."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sweeps.storage import connect
from sweeps.storage_url import default_url
from sweeps.studies import create_studies
from tests.sweeps.small_sweeps import fill_slots, small_sweep
from tests.workbench.experiments import finish, small
from workbench.cli.main import main
from workbench.files import write_yaml

NOBODY = 65_534
"""A user who owns nothing: root may write anywhere, whatever a folder's mode says."""
SMALL = ["--steps", "2", "--batch-size", "2", "--hidden-size", "4", "--device", "cpu", "--evaluation-size", "2"]
TASK = ["--task.addition.length", "8"]


@contextmanager
def without_privileges() -> Iterator[None]:
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def set_modes(folder: Path, file_mode: int, folder_mode: int) -> None:
    for path in [folder, *folder.rglob("*")]:
        path.chmod(folder_mode if path.is_dir() else file_mode)


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A folder that every user can see, unlike pytest's own."""
    with tempfile.TemporaryDirectory(prefix="workbench-read-only-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture(scope="module")
def results(place: Path) -> Iterator[Path]:
    """Results of a run and of a sweep that has not begun, which nobody may change."""
    # Loaded now, as the user without privileges may not be able to read root's libraries.
    for module in ("wandb", "wandb_workspaces.reports.v2", "matplotlib.pyplot"):
        pytest.importorskip(module)
    out = place / "results"
    finish(small("gru", steps=3, log_every=2), out)
    storage = connect(default_url(out), heartbeat=60, grace=120, log=print)
    sweep = small_sweep(trials=2)
    fill_slots(create_studies(storage, sweep.specs(), 2)[0])
    storage.close()
    write_yaml(out / "sweep.yaml", sweep.to_dict())
    assert main(["report", str(out), "--format", "svg"]) == 0
    assert main(["export", str(out), "--to", str(place / "results.tar.gz")]) == 0
    (place / "writable").mkdir(mode=0o777)
    (place / "writable").chmod(0o777)
    (place / "results.tar.gz").chmod(0o644)
    set_modes(out, 0o444, 0o555)
    yield out
    set_modes(out, 0o644, 0o755)


@pytest.fixture
def unprivileged(place: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("WORKBENCH_BACKEND", "eager")
    for name in ("HOME", "MPLCONFIGDIR", "WANDB_CONFIG_DIR"):
        monkeypatch.setenv(name, str(place / "writable"))
    with without_privileges():
        yield


def snapshot(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.lstat().st_mtime_ns, path.lstat().st_size) for path in folder.rglob("*")}


@pytest.mark.usefixtures("unprivileged")
@pytest.mark.parametrize(
    "command",
    [
        ["train", "--task", "addition", *TASK, "--architecture", "rnn", *SMALL, "--out", "OUT"],
        ["compare", "--tasks", "addition", *TASK, "--architectures", "rnn", *SMALL, "--out", "OUT"],
        [
            "sweep",
            "run",
            "--tasks",
            "addition",
            *TASK,
            "--architectures",
            "rnn",
            *SMALL,
            "--trials",
            "1",
            "--out",
            "OUT",
        ],
        ["sweep", "worker", "--out", "OUT", "--device", "cpu"],
        ["analyze", "OUT", "--workers", "1", "--device", "cpu"],
        ["analyze", "--untrained", "rnn", "--task", "addition", *TASK, "--hidden-size", "4", "--out", "OUT"],
        ["report", "OUT"],
        ["sync", "OUT"],
        ["dashboard", "build", "OUT"],
        ["rm", "OUT", "--all", "--yes"],
        ["import", "ARCHIVE", "--out", "OUT"],
        ["export", "OUT", "--to", "OUT/results.tar.gz"],
        ["profile", "--architectures", "rnn", "--out", "OUT"],
        ["train", "--task", "addition", *TASK, "--architecture", "rnn", *SMALL, "--out", "OUT/below"],
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_what_would_write_says_in_a_line_that_it_cannot(
    command: list[str], results: Path, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = snapshot(results)
    archive = str(place / "results.tar.gz")
    status = main([part.replace("OUT", str(results)).replace("ARCHIVE", archive) for part in command])
    captured = capsys.readouterr()
    # What would be removed is listed first.
    assert (status, captured.out == "") == (2, command[0] != "rm"), captured
    (line,) = captured.err.splitlines()
    assert str(results) in line
    assert "ermission denied" in line
    assert snapshot(results) == before


@pytest.mark.usefixtures("unprivileged")
@pytest.mark.parametrize(
    ("command", "shown"),
    [
        (["sweep", "status", "OUT"], "addition"),
        (["sweep", "best", "OUT"], ""),
        (["export", "OUT", "--to", "ELSEWHERE/packed.tar.gz"], "packed.tar.gz"),
        (["rm", "OUT", "--all", "--dry-run"], "gru"),
        (["list"], "gru"),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, list) else "",
)
def test_what_only_reads_works(
    command: list[str], shown: str, results: Path, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = snapshot(results)
    elsewhere = str(place / "writable")
    status = main([part.replace("OUT", str(results)).replace("ELSEWHERE", elsewhere) for part in command])
    captured = capsys.readouterr()
    assert status == 0 or len(captured.err.splitlines()) == 1, captured
    assert shown in captured.out
    assert "ermission denied" not in captured.err
    assert snapshot(results) == before


def test_the_folder_is_read_only_for_this_user(results: Path) -> None:
    with without_privileges(), pytest.raises(PermissionError):
        shutil.copy(__file__, results / "file")

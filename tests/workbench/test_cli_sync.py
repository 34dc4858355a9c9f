"""`workbench sync` against a server on this machine."""

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from importlib.util import find_spec
from itertools import pairwise

import pytest

from analysis.dashboards.mirror.state import iter_states, write_state
from analysis.probes import records
from analysis.probes.records import ProbeRecord
from analysis.probes.result import Metric, ProbeResult
from tests.analysis.dashboards.wandb_server import KEY, clean_environment, run_server, silent_port, sync_processes
from tests.analysis.report_runs import experiment, write_run
from workbench.cli.sync import main
from workbench.errors import UserError

needs_wandb = pytest.mark.skipif(find_spec("wandb") is None, reason="W&B is not installed")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:wandb", "ignore::ResourceWarning")
START = """
import sys
from workbench.cli import main
sys.exit(main.main(["sync", *sys.argv[1:]]))
"""
WITHOUT = "import sys; sys.modules['wandb'] = None\n" + START


@pytest.fixture
def backend():
    with run_server() as serves:
        yield serves


@pytest.fixture
def out(tmp_path):
    """Three finished runs and a report."""
    folder = tmp_path / "results"
    for seed in range(3):
        write_run(folder, experiment("lstm", seed=seed, steps=20))
    (folder / "report.html").write_text("<!doctype html><title>report</title>")
    return folder


def start_sync(tmp_path, *arguments, backend=None, code=START, **environment):
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        env=clean_environment(tmp_path / "home", backend, **environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def sync(tmp_path, *arguments, **options):
    """Runs the command in a process; returns its status, its output, its errors and the seconds that it took."""
    started = time.monotonic()
    with start_sync(tmp_path, *arguments, **options) as process:
        output, errors = process.communicate(timeout=100)
    return process.returncode, output, errors, time.monotonic() - started


@pytest.fixture
def sync_here(tmp_path, monkeypatch, capsys, backend):
    """Runs the command in this process, which is faster; returns its status, its output and its errors."""
    import wandb

    # Ends the service of earlier tests while the variable that names it is still there.
    wandb.teardown()
    for name in set(os.environ):
        monkeypatch.delenv(name)
    for name, value in clean_environment(tmp_path / "home", backend).items():
        monkeypatch.setenv(name, value)
    wandb.teardown()

    def run(*arguments):
        try:
            status, refusal = main([str(part) for part in arguments]), ""
        except UserError as error:
            status, refusal = 2, f"workbench: {error}\n"
        captured = capsys.readouterr()
        return status, captured.out, captured.err + refusal

    yield run
    wandb.teardown()
    monkeypatch.undo()
    wandb.teardown()


def read_tree(out):
    """Returns every file below a folder, with its bytes."""
    return {path: path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}


def states(out):
    return [state for _, state in iter_states(out)]


def wait_for(condition, seconds=60.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.05)


@needs_wandb
def test_what_was_run_is_sent_once_and_again_when_more_is_known(sync_here, out, backend):
    status, output, errors = sync_here(out)
    assert (status, output) == (0, f"4 records sent: {backend.url}/someone/sequence-workbench\n")
    assert errors == "4 of 4 records sent\n"
    assert sorted(backend.runs) == sorted(f"sequence-workbench/{state.id}" for state in states(out))
    before = backend.operations.copy()
    status, output, _ = sync_here(out)
    assert (status, output) == (0, f"everything has been sent: {backend.url}/someone/sequence-workbench\n")
    assert backend.operations - before == {("Viewer", ""): 1}

    first = next(out.glob("runs/*/*/*/seed-1"))
    result = ProbeResult(metrics={"reach": Metric(value=7.0, unit="steps", what="")})
    records.write_records(first, {"memory_length": ProbeRecord(settings={}, weights="", result=result)})
    before = backend.operations.copy()
    status, output, _ = sync_here(out)
    assert (status, output) == (0, f"1 record sent: {backend.url}/someone/sequence-workbench\n")
    (again,) = {run for what, run in backend.operations - before if what == "UpsertBucket"}
    assert again.endswith("-1")
    assert len(backend.runs) == 4
    assert backend.runs[f"sequence-workbench/{again}"].summary["probe/memory_length/reach"] == 7.0


@pytest.mark.slow
@needs_wandb
def test_another_project_and_entity_get_everything_with_its_artifacts(sync_here, out, backend):
    next(out.glob("runs/*/*/*/seed-0")).joinpath("last.ckpt").write_bytes(b"weights")
    assert sync_here(out, "--checkpoints")[0] == 0
    chosen = ("--project", "memory", "--entity", "our-lab", "--checkpoints")
    status, output, _ = sync_here(out, *chosen)
    assert (status, output) == (0, f"4 records sent: {backend.url}/our-lab/memory\n")
    assert {run.path.rpartition("/")[0] for run in backend.runs.values()} == {
        "someone/sequence-workbench",
        "our-lab/memory",
    }
    artifacts = [
        (artifact["entity"], artifact["project"], artifact["files"]["last.ckpt"])
        for artifact in backend.artifacts.values()
    ]
    assert artifacts == [("", "sequence-workbench", b"weights"), ("our-lab", "memory", b"weights")]
    assert {state.place.project for state in states(out)} == {"memory"}
    assert "have been sent to the project memory" in sync_here(out, "--dry-run")[1]


@pytest.mark.slow
@needs_wandb
def test_a_killed_sync_goes_on_and_sends_nothing_twice(tmp_path, out, backend):
    release = threading.Event()
    held_runs = []

    def hold(what, run):
        if what == "UpsertBucket" and run.endswith("-2"):
            held_runs.append(run)
            release.wait(60)

    backend.hold = hold
    process = start_sync(tmp_path, out, backend=backend)
    try:
        wait_for(lambda: held_runs and sum(state.sent for state in states(out)) == 3)
        other = sync(tmp_path, out, backend=backend)
        assert other[0] == 2
        assert other[2] == f"workbench: another sync of {out} is under way; wait until it has ended, or stop it\n"
    finally:
        process.kill()
        process.communicate()
    wait_for(lambda: not sync_processes(out), 5)
    release.set()
    done = {state.id for state in states(out) if state.sent}
    before = backend.operations.copy()
    backend.hold = lambda what, run: None
    assert sync(tmp_path, out, backend=backend)[:2] == (
        0,
        f"1 record sent: {backend.url}/someone/sequence-workbench\n",
    )
    assert not {run for _, run in backend.operations - before} & done
    assert all(state.sent for state in states(out))
    for run in backend.runs.values():
        assert run.complete
        if "val/loss" in run.history[0]:
            assert [row["step"] for row in run.history] == [100, 200, 300]


@needs_wandb
def test_ctrl_c_ends_it_and_says_what_is_left(tmp_path, out, backend):
    backend.hold = lambda what, run: time.sleep(60 if what == "UpsertBucket" and run.endswith("-2") else 0)
    process = start_sync(tmp_path, out, backend=backend)
    wait_for(lambda: sum(state.sent for state in states(out)) == 3)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=10)
    assert process.returncode == 130
    assert "interrupted: 1 of 4 records are left" in errors
    assert "Traceback" not in errors
    assert sync_processes(out) == []


@pytest.mark.slow
@needs_wandb
def test_a_server_that_fails_is_one_line_and_what_is_left_is_sent_from_where_it_was_moved(
    tmp_path, sync_here, out, backend
):
    backend.refuse = lambda what, run: 500 if what == "UpsertBucket" and run.endswith("-2") else None
    status, output, errors = sync_here(out)
    assert (status, output) == (2, "")
    (line,) = [line for line in errors.splitlines() if line.startswith("workbench: ")]
    assert "1 of 4 records were not sent" in line
    assert "Traceback" not in errors
    assert [state.sent for state in states(out)] == [True, True, False, True]

    before = backend.operations["UpsertBucket", states(out)[0].id]
    moved = out.rename(tmp_path / "moved")
    path, state = list(iter_states(moved))[2]
    write_state(path, replace(state, at=str(moved), folder="../outside"))
    backend.refuse = lambda what, run: None
    assert sync_here(moved)[0] == 0
    assert [state.at for state in states(moved)] == [str(out), str(out), str(moved), str(moved)], (
        "the report is called by its folder"
    )
    assert all(state.sent for state in states(moved))
    assert backend.operations["UpsertBucket", states(moved)[0].id] == before, "it was sent again"
    assert len(backend.runs) == 4


@needs_wandb
@pytest.mark.parametrize("trouble", ["no key", "wrong key", pytest.param("silent proxy", marks=pytest.mark.slow)])
def test_without_an_account_or_a_network_it_ends_soon_and_changes_nothing(tmp_path, backend, trouble):
    out = tmp_path / "results"
    for seed in range(100):
        write_run(out, experiment("lstm", seed=seed, steps=20))
    before = read_tree(out)
    with silent_port() as silent:
        proxy = f"http://me:open-sesame@127.0.0.1:{silent}"
        through = {"WANDB_BASE_URL": "https://wandb.example", "WANDB_API_KEY": KEY, "HTTPS_PROXY": proxy}
        environment = {
            "no key": {},
            "wrong key": {"WANDB_BASE_URL": backend.url, "WANDB_API_KEY": "w" * 40},
        }.get(trouble, through)
        status, output, errors, seconds = sync(tmp_path, out, **environment)
    assert (status, output) == (2, "")
    assert errors.startswith("workbench: ")
    assert errors.count("\n") == 1
    assert not [secret for secret in ("open-sesame", KEY, "w" * 40) if secret in errors]
    assert ("did not answer within 5 seconds" in errors) == (trouble == "silent proxy")
    # On cores that are busy with much else; a proxy that is silent would be waited for as long as it is.
    assert seconds < 60
    assert read_tree(out) == before


def test_a_dry_run_needs_neither_wandb_nor_an_account_and_changes_nothing(tmp_path, out):
    before = read_tree(out)
    status, output, errors, _ = sync(tmp_path, out, "--dry-run", code=WITHOUT)
    assert (status, errors) == (0, "")
    assert output.splitlines()[0] == (
        f"4 records of {out}: 0 have been sent to the project sequence-workbench, 4 would be sent, "
        "4 of them written first"
    )
    assert [line.split(":")[0].strip() for line in output.splitlines()[1:4]] == [
        f"addition/lstm/seed-{seed}" for seed in range(3)
    ]
    assert all(line.endswith(": to be written, then sent") for line in output.splitlines()[1:])
    assert read_tree(out) == before


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("{tmp}/nowhere",), "there is no folder"),
        (("{tmp}",), "there are no results in"),
        ((), "dir"),
        (("{out}", "--project", "a/b"), "--project 'a/b' is not a name"),
        (("{out}", "--entity", "x?y"), "--entity 'x?y' is not a name"),
        (("{out}", "--project", ""), "--project '' is not a name"),
        (("{out}", "--projekt", "x"), "did you mean"),
    ],
)
def test_a_mistake_is_one_line(tmp_path, out, arguments, line):
    before = read_tree(tmp_path)
    with pytest.raises(UserError) as raised:
        main([part.format(tmp=tmp_path, out=out) for part in arguments])
    assert line in str(raised.value)
    assert "\n" not in str(raised.value)
    assert read_tree(tmp_path) == before


def test_the_help_has_examples_and_is_fast(tmp_path):
    status, output, _, _ = sync(tmp_path, "--help", code=WITHOUT)
    assert status == 0
    lines = [line.strip() for line in output.splitlines()]
    assert any(line.startswith("workbench sync results --dry-run") for line in lines)
    assert all(len(line) < 130 for line in output.splitlines())
    assert any(line.startswith("examples:") and following for line, following in pairwise(lines))

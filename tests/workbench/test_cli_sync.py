"""`workbench sync` as a user runs it, against a server on this machine."""

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

from analysis.dashboards.mirror.state import below, write_state
from analysis.probes import registry
from analysis.probes.registry import ProbeRecord
from analysis.probes.result import Metric, ProbeResult
from tests.analysis.dashboards.wandb_server import KEY, at_work, clean_environment, listening, serving
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
    with serving() as serves:
        yield serves


@pytest.fixture
def out(tmp_path):
    """Three finished runs and a report."""
    folder = tmp_path / "results"
    for seed in range(3):
        write_run(folder, experiment("lstm", seed=seed, steps=20))
    (folder / "report.html").write_text("<!doctype html><title>report</title>")
    return folder


def begin(tmp_path, *given, backend=None, code=START, **environment):
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, given)],
        env=clean_environment(tmp_path / "home", backend, **environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def sync(tmp_path, *given, **options):
    """The status, what was printed, what was complained of, and the seconds that it took."""
    begun = time.monotonic()
    with begin(tmp_path, *given, **options) as process:
        printed, complained = process.communicate(timeout=100)
    return process.returncode, printed, complained, time.monotonic() - begun


@pytest.fixture
def here(tmp_path, monkeypatch, capsys, backend):
    """The command in this process, which is faster: the status, what was printed, and what was complained of."""
    import wandb

    for name in set(os.environ):
        monkeypatch.delenv(name)
    for name, value in clean_environment(tmp_path / "home", backend).items():
        monkeypatch.setenv(name, value)
    wandb.teardown()

    def run(*given):
        try:
            status, refused = main([str(part) for part in given]), ""
        except UserError as error:
            status, refused = 2, f"workbench: {error}\n"
        captured = capsys.readouterr()
        return status, captured.out, captured.err + refused

    yield run
    monkeypatch.undo()
    wandb.teardown()


def tree(out):
    """Every file, with its bytes."""
    return {path: path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}


def marks(out):
    return [mark for _, mark in below(out)]


def wait_for(condition, seconds=60.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.05)


@needs_wandb
def test_what_was_run_is_sent_once_and_again_when_more_is_known(here, out, backend):
    status, printed, complained = here(out)
    assert (status, printed) == (0, f"4 records sent: {backend.url}/someone/sequence-workbench\n")
    assert complained == "4 of 4 records sent\n"
    assert sorted(backend.runs) == sorted(f"sequence-workbench/{mark.id}" for mark in marks(out))
    before = backend.operations.copy()
    status, printed, _ = here(out)
    assert (status, printed) == (0, f"everything has been sent: {backend.url}/someone/sequence-workbench\n")
    assert backend.operations - before == {("Viewer", ""): 1}

    first = next(out.glob("runs/*/*/*/seed-1"))
    found = ProbeResult(metrics={"reach": Metric(value=7.0, unit="steps", what="")})
    registry.write_records(first, {"memory_length": ProbeRecord(settings={}, weights="", result=found)})
    before = backend.operations.copy()
    status, printed, _ = here(out)
    assert (status, printed) == (0, f"1 record sent: {backend.url}/someone/sequence-workbench\n")
    (again,) = {run for what, run in backend.operations - before if what == "UpsertBucket"}
    assert again.endswith("-1")
    assert len(backend.runs) == 4
    assert backend.runs[f"sequence-workbench/{again}"].summary["probe/memory_length/reach"] == 7.0


@needs_wandb
def test_another_project_and_entity_get_everything_with_its_artifacts(here, out, backend):
    next(out.glob("runs/*/*/*/seed-0")).joinpath("last.ckpt").write_bytes(b"weights")
    assert here(out, "--checkpoints")[0] == 0
    chosen = ("--project", "memory", "--entity", "our-lab", "--checkpoints")
    status, printed, _ = here(out, *chosen)
    assert (status, printed) == (0, f"4 records sent: {backend.url}/our-lab/memory\n")
    assert {run.path.rpartition("/")[0] for run in backend.runs.values()} == {
        "someone/sequence-workbench",
        "our-lab/memory",
    }
    made = [(one["entity"], one["project"], one["files"]["last.ckpt"]) for one in backend.artifacts.values()]
    assert made == [("", "sequence-workbench", b"weights"), ("our-lab", "memory", b"weights")]
    assert {mark.place.project for mark in marks(out)} == {"memory"}
    assert "have been sent to the project memory" in here(out, "--dry-run")[1]


@pytest.mark.slow
@needs_wandb
def test_a_killed_sync_goes_on_and_sends_nothing_twice(tmp_path, out, backend):
    over = threading.Event()
    held = []

    def hold(what, run):
        if what == "UpsertBucket" and run.endswith("-2"):
            held.append(run)
            over.wait(60)

    backend.hold = hold
    process = begin(tmp_path, out, backend=backend)
    try:
        wait_for(lambda: held and sum(mark.sent for mark in marks(out)) == 3)
        other = sync(tmp_path, out, backend=backend)
        assert other[0] == 2
        assert other[2] == f"workbench: another sync of {out} is under way; wait until it has ended, or stop it\n"
    finally:
        process.kill()
        process.communicate()
    wait_for(lambda: not at_work(out), 5)
    over.set()
    done = {mark.id for mark in marks(out) if mark.sent}
    before = backend.operations.copy()
    backend.hold = lambda what, run: None
    assert sync(tmp_path, out, backend=backend)[:2] == (
        0,
        f"1 record sent: {backend.url}/someone/sequence-workbench\n",
    )
    assert not {run for _, run in backend.operations - before} & done
    assert all(mark.sent for mark in marks(out))
    for run in backend.runs.values():
        assert run.complete
        if "val/loss" in run.history[0]:
            assert [row["step"] for row in run.history] == [100, 200, 300]


@needs_wandb
def test_ctrl_c_ends_it_and_says_what_is_left(tmp_path, out, backend):
    backend.hold = lambda what, run: time.sleep(60 if what == "UpsertBucket" and run.endswith("-2") else 0)
    process = begin(tmp_path, out, backend=backend)
    wait_for(lambda: sum(mark.sent for mark in marks(out)) == 3)
    process.send_signal(signal.SIGINT)
    _, complained = process.communicate(timeout=10)
    assert process.returncode == 130
    assert "interrupted: 1 of 4 records are left" in complained
    assert "Traceback" not in complained
    assert at_work(out) == []


@needs_wandb
def test_a_server_that_fails_is_one_line_and_what_is_left_is_sent_from_where_it_was_moved(tmp_path, here, out, backend):
    backend.refuse = lambda what, run: 500 if what == "UpsertBucket" and run.endswith("-2") else None
    status, printed, complained = here(out)
    assert (status, printed) == (2, "")
    (line,) = [line for line in complained.splitlines() if line.startswith("workbench: ")]
    assert "1 of 4 records were not sent" in line
    assert "Traceback" not in complained
    assert [mark.sent for mark in marks(out)] == [True, True, False, True]

    before = backend.operations["UpsertBucket", marks(out)[0].id]
    moved = out.rename(tmp_path / "moved")
    path, mark = list(below(moved))[2]
    write_state(path, replace(mark, at=str(moved), folder="../outside"))
    backend.refuse = lambda what, run: None
    assert here(moved)[0] == 0
    assert [mark.at for mark in marks(moved)] == [str(out), str(out), str(moved), str(moved)], (
        "the report is called by its folder"
    )
    assert all(mark.sent for mark in marks(moved))
    assert backend.operations["UpsertBucket", marks(moved)[0].id] == before, "it was sent again"
    assert len(backend.runs) == 4


@needs_wandb
@pytest.mark.parametrize("trouble", ["no key", "wrong key", "silent proxy"])
def test_without_an_account_or_a_network_it_ends_soon_and_changes_nothing(tmp_path, backend, trouble):
    out = tmp_path / "results"
    for seed in range(100):
        write_run(out, experiment("lstm", seed=seed, steps=20))
    before = tree(out)
    with listening() as silent:
        proxy = f"http://me:open-sesame@127.0.0.1:{silent}"
        through = {"WANDB_BASE_URL": "https://wandb.example", "WANDB_API_KEY": KEY, "HTTPS_PROXY": proxy}
        environment = {
            "no key": {},
            "wrong key": {"WANDB_BASE_URL": backend.url, "WANDB_API_KEY": "w" * 40},
        }.get(trouble, through)
        status, printed, complained, seconds = sync(tmp_path, out, **environment)
    assert (status, printed) == (2, "")
    assert complained.startswith("workbench: ")
    assert complained.count("\n") == 1
    assert not [secret for secret in ("open-sesame", KEY, "w" * 40) if secret in complained]
    assert ("did not answer within 5 seconds" in complained) == (trouble == "silent proxy")
    # On cores that are busy with much else; a proxy that is silent would be waited for as long as it is.
    assert seconds < 60
    assert tree(out) == before


def test_a_dry_run_needs_neither_wandb_nor_an_account_and_changes_nothing(tmp_path, out):
    before = tree(out)
    status, printed, complained, _ = sync(tmp_path, out, "--dry-run", code=WITHOUT)
    assert (status, complained) == (0, "")
    assert printed.splitlines()[0] == (
        f"4 records of {out}: 0 have been sent to the project sequence-workbench, 4 would be sent, "
        "4 of them written first"
    )
    assert [line.split(":")[0].strip() for line in printed.splitlines()[1:4]] == [
        f"addition/lstm/seed-{seed}" for seed in range(3)
    ]
    assert all(line.endswith(": to be written, then sent") for line in printed.splitlines()[1:])
    assert tree(out) == before


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (("{tmp}/nowhere",), "there is no folder"),
        (("{tmp}",), "there are no results in"),
        ((), "dir"),
        (("{out}", "--project", "a/b"), "--project 'a/b' is no name"),
        (("{out}", "--entity", "x?y"), "--entity 'x?y' is no name"),
        (("{out}", "--project", ""), "--project '' is no name"),
        (("{out}", "--projekt", "x"), "did you mean"),
    ],
)
def test_a_mistake_is_one_line(tmp_path, out, given, line):
    before = tree(tmp_path)
    with pytest.raises(UserError) as refused:
        main([part.format(tmp=tmp_path, out=out) for part in given])
    assert line in str(refused.value)
    assert "\n" not in str(refused.value)
    assert tree(tmp_path) == before


def test_the_help_has_examples_and_is_fast(tmp_path):
    status, printed, _, _ = sync(tmp_path, "--help", code=WITHOUT)
    assert status == 0
    lines = [line.strip() for line in printed.splitlines()]
    assert any(line.startswith("workbench sync results --dry-run") for line in lines)
    assert all(len(line) < 130 for line in printed.splitlines())
    assert any(one.startswith("examples:") and two for one, two in pairwise(lines))

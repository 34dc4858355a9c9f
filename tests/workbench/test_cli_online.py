"""`--wandb online`: results are sent at the end of a command, and no failure of that can fail the command."""

from importlib.util import find_spec
from multiprocessing import get_context

import pytest

from analysis.dashboards.mirror.state import iter_states
from tests.analysis.dashboards.wandb_server import clean_environment, run_server
from tests.forked_command import forked_command, run_command
from workbench import process_pool
from workbench.run_folder import results_folder, run_path

pytestmark = pytest.mark.skipif(find_spec("wandb") is None, reason="W&B is not installed")
SMALL = [
    *("--tasks", "addition", "--task.addition.length", "8", "--architectures", "gru", "--seeds", "2", "--steps", "4"),
    *("--batch-size", "2", "--log-every", "2", "--evaluation-size", "4", "--hidden-size", "3", "--workers", "1"),
]


def run_spawning(arguments):
    """Does what `workbench` does, with processes that are spawned, as users have it.

    A thread writes records while a run is started: what is forked then may wait for ever for a lock of that thread's.
    """
    process_pool.SPAWN = get_context("spawn")
    return run_command(arguments)


def compare(out, environment, *arguments):
    """Runs the command in a process of its own, as W&B keeps the server that it first knew; returns its errors."""
    command = ["compare", *SMALL, "--wandb", "online", "--out", str(out), *arguments]
    # The home is another one, in which the kernels would have to be compiled first.
    eager = environment | {"WORKBENCH_BACKEND": "eager"}
    with forked_command(run_spawning, command, folder=out.parent, environment=eager) as process:
        assert process.wait() == 0, process.errors
    return process.errors


@pytest.mark.slow
def test_everything_is_sent_at_the_end_and_to_the_project_that_it_was_written_for(tmp_path):
    out = tmp_path / "results"
    with run_server() as backend:
        environment = clean_environment(tmp_path / "home", backend)
        compare(out, environment)
        assert all(mark.sent for _, mark in iter_states(out))
        assert sorted(backend.runs) == sorted(f"sequence-workbench/{mark.id}" for _, mark in iter_states(out))
        # Another seed, and another project from now on: what was sent stays where it is.
        compare(out, environment, "--seeds", "3", "--wandb-project", "other")
        ids = {mark.id for _, mark in iter_states(out)}
        assert len(ids) == 4
        assert {place for place in backend.runs if place.startswith("other/")} == {f"other/{name}" for name in ids}
        assert all(mark.sent and mark.place.project == "other" for _, mark in iter_states(out))


@pytest.mark.parametrize(
    "trouble", ["no key", *(pytest.param(name, marks=pytest.mark.slow) for name in ("wrong key", "broken server"))]
)
def test_without_an_account_it_is_one_line_and_the_results_are_complete(tmp_path, trouble):
    out = tmp_path / "results"
    with run_server() as backend:
        environment = clean_environment(tmp_path / "home", backend)
        if trouble == "no key":
            del environment["WANDB_API_KEY"]
        elif trouble == "wrong key":
            environment["WANDB_API_KEY"] = "w" * 40
        else:
            backend.refuse = lambda what, run: 500 if what == "UpsertBucket" else None
        errors = compare(out, environment)
        (line,) = [line for line in errors.splitlines() if line.startswith("workbench: ")]
        assert f"nothing is lost: workbench sync {out} sends what is left" in line
        assert (out / "report.html").exists()
        marks = [mark for _, mark in iter_states(out)]
        assert [mark.sent for mark in marks] == [False] * 3
        assert all((out / mark.folder).is_dir() for mark in marks)


def test_the_results_that_a_run_is_in(tmp_path):
    assert results_folder(run_path(tmp_path, "a", "b", "c", 0)) == tmp_path.resolve()
    assert results_folder(tmp_path / "c" / "seed-0") is None
    assert results_folder(tmp_path.__class__("/seed-0")) is None

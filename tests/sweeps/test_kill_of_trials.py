"""A worker, or a whole sweep, killed before chosen writes of a trial: the same trials with the same bits come out."""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest
from optuna.trial import TrialState

from sweeps.storage import connect
from sweeps.storage_url import default_url
from sweeps.studies import load_studies
from sweeps.trial_budget import slot_of
from tests.fault_injection import run_and_kill_a_worker, temporary_files
from tests.forked_command import ForkedCommand, forked_command, run_command
from workbench.files import read_json

TRIALS = 3
COMMAND = [
    *("sweep", "run", "--tasks", "addition", "--architectures", "rnn", "--task.addition.length", "6"),
    *("--trials", str(TRIALS), "--seeds", "1", "--workers", "1", "--steps", "6", "--batch-size", "2"),
    *("--evaluation-size", "4", "--log-every", "2", "--hidden-size", "4", "--device", "cpu", "--wandb", "off"),
    *("--heartbeat", "1", "--grace", "4"),
]
MOMENTS = (1, 3, 6, 10, 15, 25, 40)
"""Changes of the folder of runs before which a worker is killed: from the first folder to a later trial."""


def finished_trials(out: Path) -> dict[int, tuple[float, dict[str, object]]]:
    """Returns the value and the parameters of each slot's only finished trial, after all have ended."""
    storage = connect(default_url(out), heartbeat=1, grace=4, log=print)
    try:
        (study,) = load_studies(storage)
        trials = study.trials
    finally:
        storage.close()
    assert all(trial.state.is_finished() for trial in trials)
    complete = [trial for trial in trials if trial.state is TrialState.COMPLETE]
    assert sorted(slot_of(trial) for trial in complete) == list(range(TRIALS))
    return {slot_of(trial): (trial.value or 0.0, trial.params) for trial in complete}


def results(out: Path) -> dict[str, dict[str, object]]:
    return {str(path.relative_to(out)): read_json(path) for path in out.glob("runs/*/*/*/*/result.json")}


def wait_until_alone(process: ForkedCommand) -> None:
    """Waits until no process is left of a command that has ended."""
    end = time.monotonic() + 60
    with suppress(ProcessLookupError):
        while time.monotonic() < end:
            os.killpg(process.pid, 0)
            time.sleep(0.05)
        pytest.fail("a process outlived the sweep")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    with forked_command(run_command, [*COMMAND, "--out", str(folder / "out")], folder=folder) as process:
        assert process.wait(300) == 0, process.errors
    return folder / "out"


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("group", [False, True], ids=["a worker", "the sweep"])
def test_a_kill_before_a_write_of_a_trial_costs_nothing_but_time(whole: Path, tmp_path: Path, group: bool) -> None:
    expected = finished_trials(whole), results(whole)
    kills = 0
    for fatal in MOMENTS[group::2]:
        folder = tmp_path / str(fatal)
        folder.mkdir()
        out, fuse = folder / "out", folder / "fuse"
        command = [*COMMAND, "--out", str(out)]
        arguments = (command, str(out / "runs"), fatal, str(fuse), group)
        with forked_command(run_and_kill_a_worker, *arguments, folder=folder) as process:
            status = process.wait(300)
            wait_until_alone(process)
        assert fuse.exists(), "it has fewer writes than that"
        kills += 1
        if group:
            assert status == -signal.SIGKILL
            assert not (out / "report.html").exists()
            with forked_command(run_command, command, folder=folder) as process:
                assert process.wait(300) == 0, process.errors
                wait_until_alone(process)
        else:
            # The sweep goes on by itself.
            assert status == 0, process.errors
        assert (finished_trials(out), results(out)) == expected, f"killed before change {fatal}"
        assert temporary_files(out) == [], f"killed before change {fatal}"
    assert kills == len(MOMENTS[group::2])

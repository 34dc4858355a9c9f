"""A Ray cluster of several nodes on this machine, one of which is lost while its worker runs a trial."""

import subprocess
import sys
import time

import pytest
from optuna.trial import TrialState

from sweeps.storage import connect
from sweeps.storage_url import default_url
from sweeps.studies import load_studies
from sweeps.trial_budget import WORKER, count_finished, slot_of
from tests.ray_nodes import ray_nodes
from workbench.config import TUNING_SEED
from workbench.errors import UserError
from workbench.files import read_json
from workbench.results import finished_runs

pytest.importorskip("ray", reason="Ray is not installed: pip install 'sequence-workbench[ray]'")

TRIALS, ARCHITECTURES = 3, ("rnn", "gru")
COMMAND = [
    *("sweep", "run", "--tasks", "addition", "--architectures", ",".join(ARCHITECTURES), "--seeds", "1"),
    *("--task.addition.length", "16", "--trials", str(TRIALS), "--steps", "1000", "--log-every", "50"),
    *("--evaluation-size", "50", "--heartbeat", "1", "--grace", "6", "--pruner", "none", "--wandb", "off"),
    *("--space.all.hidden_size", "{high: 32}", "--device", "cpu", "--launcher", "ray"),
]


@pytest.fixture
def cluster():
    """A cluster of two nodes with a processor each."""
    with ray_nodes(2) as nodes:
        yield nodes


def find_running_trial(out, sweep):
    """Returns the study and the number of a trial that has been trained for a while, and its process."""
    while sweep.poll() is None:
        time.sleep(0.2)
        if not (out / "sweep.yaml").exists():
            continue
        storage = connect(default_url(out), heartbeat=1, grace=6, log=print)
        try:
            for study in load_studies(storage):
                for trial in study.trials:
                    if trial.state is TrialState.RUNNING and trial.intermediate_values:
                        return study.spec.name, trial.number, int(trial.user_attrs[WORKER].rpartition(":")[2])
        except UserError:
            continue
        finally:
            storage.close()
    raise AssertionError("no trial was ever running")


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_node_that_is_lost_costs_nothing_but_time(tmp_path, cluster):
    out = tmp_path / "out"
    with (tmp_path / "log").open("w") as log:
        sweep = subprocess.Popen(
            [sys.executable, "-m", "workbench", *COMMAND, "--ray-address", cluster.address, "--out", str(out)],
            env=cluster.environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        name, number, worker = find_running_trial(out, sweep)
        node = cluster.node_of(worker)
        assert node is not None
        cluster.remove(node)
        assert sweep.wait(300) == 0, (tmp_path / "log").read_text()
    finally:
        sweep.kill()
        sweep.wait()
    output = (tmp_path / "log").read_text()
    assert "a job on " in output
    assert "Traceback" not in output
    assert "(raylet)" not in output, "Ray says at length what one line says"

    storage = connect(default_url(out), heartbeat=1, grace=6, log=print)
    for study in load_studies(storage):
        trials = study.trials
        complete = [trial for trial in trials if trial.state is TrialState.COMPLETE]
        assert count_finished(trials, TRIALS) == len(complete) == TRIALS
        assert sorted(slot_of(trial) for trial in complete) == list(range(TRIALS))
        assert all(trial.state.is_finished() for trial in trials), "a zombie is left"
        for trial in complete:
            folder = out / "runs" / "addition" / study.spec.architecture / trial.user_attrs["identity"]
            assert trial.value == read_json(folder / f"seed-{TUNING_SEED}" / "result.json")["validation"]["loss"]
        if study.spec.name == name:
            lost = next(trial for trial in trials if trial.number == number)
            assert lost.state is TrialState.FAIL
            (retry,) = [trial for trial in complete if slot_of(trial) == slot_of(lost)]
            assert retry.params == lost.params
            assert retry.user_attrs["identity"] == lost.user_attrs["identity"]
    storage.close()
    assert {run.experiment.seed for run in finished_runs(out)} == {0}
    assert (out / "report.html").exists()

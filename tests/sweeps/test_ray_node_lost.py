"""A Ray cluster of several nodes on this machine, one of which is lost while its worker runs a trial."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from optuna.trial import TrialState

from sweeps.storage import connect
from sweeps.storage_url import default_url
from sweeps.studies import load_studies
from sweeps.trial_budget import WORKER, count_finished, slot_of
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
CLUSTER = """
import sys
from ray.cluster_utils import Cluster

MEMORY = 80 * 2**20
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "object_store_memory": MEMORY})
nodes = [cluster.add_node(num_cpus=1, object_store_memory=MEMORY) for _ in range(2)]
print("READY", cluster.address, *(node.all_processes["raylet"][0].process.pid for node in nodes), flush=True)
cluster.remove_node(nodes[int(sys.stdin.readline())], allow_graceful=False)
print("REMOVED", flush=True)
sys.stdin.read()
cluster.shutdown()
"""
"""Runs in a process of its own, as Ray prints many warnings and replaces signal handlers."""


def wait_for_line(process, word):
    """Returns the other words of the next line that begins with a word."""
    for line in process.stdout:
        if line.startswith(word):
            return line.split()[1:]
    raise AssertionError(f"the cluster ended without {word}")


@pytest.fixture
def cluster():
    """A cluster of two nodes with a processor each, beside a head that has none: its process, address and raylets."""
    folder = tempfile.mkdtemp(prefix="ray-")  # Short, for the sockets in it.
    environment = {
        **os.environ,
        "RAY_TMPDIR": folder,
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": "0" * 64,
        "OMP_NUM_THREADS": "1",
    }
    process = subprocess.Popen(
        [sys.executable, "-c", CLUSTER],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdin
    assert process.stdout
    try:
        address, *raylets = wait_for_line(process, "READY")
        yield process, address, [int(pid) for pid in raylets], environment
    finally:
        process.stdin.close()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
        process.stdout.close()
        shutil.rmtree(folder, ignore_errors=True)


def parent_pid(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


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
    process, address, raylets, environment = cluster
    out = tmp_path / "out"
    with (tmp_path / "log").open("w") as log:
        sweep = subprocess.Popen(
            [sys.executable, "-m", "workbench", *COMMAND, "--ray-address", address, "--out", str(out)],
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        name, number, worker = find_running_trial(out, sweep)
        process.stdin.write(f"{raylets.index(parent_pid(worker))}\n")
        process.stdin.flush()
        wait_for_line(process, "REMOVED")
        assert sweep.wait(300) == 0, (tmp_path / "log").read_text()
    finally:
        sweep.kill()
        sweep.wait()
    output = (tmp_path / "log").read_text()
    assert "a worker on " in output
    assert "Traceback" not in output

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

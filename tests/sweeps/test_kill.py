"""Workers killed at any moment, and once the sweep itself: every slot is finished once, and nothing is left over."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from optuna.trial import TrialState

from sweeps.storage import connect
from sweeps.studies import load_studies
from sweeps.trial_budget import DUPLICATE, INTERRUPTED, OUTCOME, count_finished, slot_of
from workbench.config import TUNING_SEED
from workbench.files import read_json
from workbench.results import finished_runs

TRIALS, ARCHITECTURES, KILLS, SEEDS = 16, ("rnn", "gru"), 10, 2
COMMAND = [
    *("sweep", "run", "--tasks", "addition", "--architectures", ",".join(ARCHITECTURES)),
    *("--task.addition.length", "16"),
    *("--trials", str(TRIALS), "--seeds", str(SEEDS), "--workers", "3", "--steps", "600", "--log-every", "60"),
    *("--evaluation-size", "50", "--heartbeat", "1", "--grace", "6", "--retries", "30", "--wandb", "off"),
    *("--space.all.hidden_size", "{high: 32}", "--device", "cpu"),
]


def start(out, store):
    return subprocess.Popen(
        [sys.executable, "-m", "workbench", *COMMAND, "--out", str(out)],
        env={**os.environ, "WORKBENCH_STORAGE": store, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def workers_of(process) -> list[int]:
    """Returns the process ids of a sweep's workers."""
    pids = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == process.pid and "spawn_main" in (path / "cmdline").read_text():
                pids.append(int(path.name))
        except (OSError, ValueError):
            continue
    return sorted(pids)


def is_dead(pid) -> bool:
    """Returns whether a process has ended; a zombie, which its parent has not reaped, counts too."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_ten_kills_and_one_of_the_sweep_itself_cost_nothing_but_time(tmp_path, store):
    rng = random.Random(20)
    out = tmp_path / "out"
    process = start(out, store)
    kills, interrupted = 0, False
    while kills < KILLS:
        time.sleep(rng.uniform(0.5, 9.0))
        alive = workers_of(process)
        if kills == KILLS // 2 and not interrupted:
            interrupted = True
            process.kill()
            process.communicate()
            until = time.monotonic() + 20
            while not all(is_dead(pid) for pid in alive) and time.monotonic() < until:
                time.sleep(0.2)
            assert all(is_dead(pid) for pid in alive), "workers outlived the sweep that started them"
            process = start(out, store)
            continue
        assert process.poll() is None, f"it ended after {kills} kills: {process.communicate()[0]}"
        if alive:
            os.kill(rng.choice(alive), signal.SIGKILL)
            kills += 1
    process.communicate(timeout=800)
    assert interrupted
    # The last kills may have hit the winners' fresh runs, which are reported, and which the same command runs again.
    process = start(out, store)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output

    storage = connect(store, heartbeat=1, grace=6, log=print)
    for study in load_studies(storage):
        trials = study.trials
        assert count_finished(trials, TRIALS) == study.num_trials == TRIALS
        ended = [trial for trial in trials if trial.state in (TrialState.COMPLETE, TrialState.PRUNED)]
        assert sorted(slot_of(trial) for trial in ended) == list(range(TRIALS)), "a slot was finished twice"
        assert not [trial for trial in trials if not trial.state.is_finished()], "a zombie is left"
        for trial in trials:
            if trial.state is TrialState.FAIL and trial.user_attrs.get(OUTCOME) != DUPLICATE:
                assert trial.user_attrs.get(OUTCOME, INTERRUPTED) == INTERRUPTED, trial.user_attrs
                later = next(other for other in ended if slot_of(other) == slot_of(trial))
                assert later.number > trial.number
                assert trial.params.items() <= later.params.items(), "it was tried again with other parameters"
        for trial in ended:
            folder = out / "runs" / "addition" / study.spec.architecture / trial.user_attrs["identity"]
            result = folder / f"seed-{TUNING_SEED}" / "result.json"
            if trial.state is TrialState.COMPLETE:
                assert trial.value == read_json(result)["validation"]["loss"]
            else:
                assert not result.exists()
    storage.close()
    # Both the winner and the default configuration of each, unless they are the same, on fresh seeds.
    assert {run.experiment.seed for run in finished_runs(out)} == set(range(SEEDS))
    assert len(list(finished_runs(out))) in (4 * SEEDS, 3 * SEEDS, 2 * SEEDS)
    assert (out / "report.html").exists()

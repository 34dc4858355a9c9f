"""Training runs side by side in processes."""

import os
import platform
import signal
import sys
import time
from dataclasses import replace

import pytest

from tests.forked_command import forked_command
from tests.workbench.experiments import finish, small
from tests.workbench.test_run import assert_same
from workbench.config import Part
from workbench.results import read_run
from workbench.run import run
from workbench.run_folder import BusyError, check_free, run_folder, run_lock
from workbench.run_pool import RunPool


def collect(pool, experiments, react=lambda index, event: None):
    events = []

    def listen(index, event):
        events.append((index, event))
        react(index, event)

    pool.run(experiments, listen)
    return events


def test_results_are_the_same_for_any_number_of_workers(tmp_path):
    experiments = [small(name, seed=seed) for name in ("gru", "tcn") for seed in (0, 1)]
    for experiment in experiments:
        run(experiment, tmp_path / "here")
    events = collect(RunPool(out=tmp_path / "there", workers=2), experiments)
    assert sorted(index for index, event in events if event.kind == "finished") == [0, 1, 2, 3]
    for experiment in experiments:
        assert_same(run_folder(tmp_path / "here", experiment), run_folder(tmp_path / "there", experiment))


@pytest.mark.slow
@pytest.mark.usefixtures("spawned_pools")
def test_threads_are_as_many_as_asked_for(tmp_path, on_path):
    name = on_path(
        "counts_threads",
        """
import os
import torch
from architectures.gru import GRU


class Counts(GRU):
    def encode(self, x, state, lengths):
        if torch.get_num_threads() != 1 or os.environ["OMP_NUM_THREADS"] != "1":
            raise RuntimeError(f"{torch.get_num_threads()} threads")
        return super().encode(x, state, lengths)
""",
    )
    before = os.environ.get("OMP_NUM_THREADS")
    events = collect(RunPool(out=tmp_path, workers=1), [small(f"{name}:Counts", steps=2)])
    assert events[-1][1].kind == "finished", events[-1][1].text
    assert os.environ.get("OMP_NUM_THREADS") == before


def test_a_process_that_dies_costs_its_own_experiment_alone(tmp_path, on_path):
    name = on_path(
        "dies",
        """
import os
import platform
import signal
from architectures.gru import GRU


class Dies(GRU):
    def encode(self, x, state, lengths):
        os.kill(os.getpid(), signal.SIGKILL)
""",
    )
    experiments = [small(f"{name}:Dies"), small("gru")]
    events = collect(RunPool(out=tmp_path, workers=1), experiments)
    ended = {index: event for index, event in events if event.kind != "step"}
    assert ended[0].kind == "failed"
    assert "signal 9" in ended[0].text
    assert ended[1].kind == "finished"


def test_an_exception_is_kept_in_full_and_told_in_a_line(tmp_path, on_path):
    text = """
from architectures.gru import GRU


class Raises(GRU):
    def encode(self, x, state, lengths):
        raise ArithmeticError("no\\nluck")
"""
    experiments = [small(on_path("raises", text) + ":Raises"), small("gru")]
    events = collect(RunPool(out=tmp_path, workers=1), experiments)
    ended = {index: event for index, event in events if event.kind != "step"}
    log = run_folder(tmp_path, experiments[0]) / "error.log"
    assert (ended[0].kind, ended[0].text) == ("failed", f"ArithmeticError: no luck (see {log})")
    assert "Traceback" in log.read_text()
    assert ended[1].kind == "finished"


RAISES = """
import os
import torch
from architectures.gru import GRU


class Raises(GRU):
    def __init__(self, input_size, hidden_size=5):
        # With the weights, as a machine without a GPU comes no further.
        raise %s
"""


def test_a_run_that_finds_no_memory_on_a_gpu_says_so_in_a_line(tmp_path, on_path):
    name = on_path("greedy", RAISES.replace("%s", "torch.OutOfMemoryError('CUDA out of memory. Tried ...')"))
    experiments = [greedy(name), small("gru", steps=2)]
    events = collect(RunPool(out=tmp_path, workers=1), experiments)
    ended = {index: event for index, event in events if event.kind != "step"}
    assert ended[0].kind == "failed"
    log = run_folder(tmp_path, experiments[0]) / "error.log"
    said = "the GPU has too little memory left; fewer --workers, or a smaller --batch-size, take less"
    assert ended[0].text == f"{said} (see {log})"
    assert ended[1].kind == "finished"


@pytest.mark.parametrize(("device", "processes"), [("cpu", 1), ("cuda", 3)])
def test_after_a_failure_on_a_gpu_another_process_goes_on(tmp_path, on_path, device, processes):
    name = on_path("broken_on_gpu", RAISES.replace("%s", "ArithmeticError(f'in process {os.getpid()}')"))
    experiments = [greedy(name, seed=seed) for seed in range(3)]
    events = collect(RunPool(out=tmp_path, workers=1, device=device), experiments)
    assert [index for index, _ in events] == [0, 1, 2]
    assert {event.kind for _, event in events} == {"failed"}
    assert len({event.text.partition(" (see")[0] for _, event in events}) == processes


def greedy(module, seed=0):
    """An experiment with an architecture that cannot be built."""
    return replace(small("gru", seed=seed), architecture=Part(name=f"{module}:Raises", options={}))


def test_stopping_saves_what_is_under_way_and_begins_nothing_new(tmp_path):
    experiments = [small("gru", steps=600, log_every=200), small("rnn", steps=600)]
    pool = RunPool(out=tmp_path / "cut", workers=1)
    events = collect(pool, experiments, lambda index, event: pool.stop() if not pool.stopping else None)
    assert events[-1][1].kind == "stopped"
    assert {index for index, _ in events} == {0}
    folder = run_folder(tmp_path / "cut", experiments[0])
    assert (folder / "last.ckpt").exists()
    assert not (folder / "result.json").exists()
    collect(RunPool(out=tmp_path / "cut", workers=1), experiments[:1])
    run(experiments[0], tmp_path / "whole")
    assert_same(folder, run_folder(tmp_path / "whole", experiments[0]))


def train_for_long(out):
    """Trains in a pool of one process, whose id is printed at its first step."""
    pool = RunPool(out=out, workers=1)

    def listen(index, event):
        print(pool.processes[0].process.pid, flush=True)

    pool.run([small(steps=10**7, log_every=10**6)], listen)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_workers_end_with_a_parent_that_was_killed(tmp_path):
    with forked_command(train_for_long, tmp_path / "results", folder=tmp_path) as parent:
        parent.wait_until(lambda: parent.output.endswith("\n"))
        worker = int(parent.output.splitlines()[0])
        parent.signal(signal.SIGKILL)
        assert parent.wait() == -signal.SIGKILL
        deadline = time.monotonic() + 20
        while os.path.exists(f"/proc/{worker}") and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not os.path.exists(f"/proc/{worker}")


def test_stopping_while_a_worker_dies_is_no_crash(tmp_path):
    pool = RunPool(out=tmp_path, workers=1)

    def react(index, event):
        if not pool.stopping:
            pool.processes[0].process.kill()
            pool.processes[0].process.join()
            pool.stop()

    events = collect(pool, [small(steps=10**6)], react)
    assert events[-1][1].kind == "stopped"


def hold_lock(folder, seconds):
    """Holds the lock of a run for some seconds, and says so by a file."""
    with run_lock(folder):
        (folder / "held").touch()
        time.sleep(seconds)
    return 0


def test_a_run_that_is_locked_for_a_moment_is_tried_again(tmp_path):
    experiments = [small(seed=seed) for seed in range(2)]
    folder = run_folder(tmp_path / "out", experiments[0])
    with forked_command(hold_lock, folder, 1.5, folder=tmp_path) as holder:
        holder.wait_until((folder / "held").exists)
        events = collect(RunPool(out=tmp_path / "out", workers=1), experiments)
    # The other run comes first meanwhile.
    assert [index for index, event in events if event.kind == "finished"] == [1, 0]
    assert not [event for _, event in events if event.kind in ("busy", "refused", "failed")]


def test_a_run_that_another_process_trains_is_waited_for_at_the_end(tmp_path):
    """Once that process is killed, the run is this pool's."""
    experiments = [small(seed=seed) for seed in range(3)]
    folder = run_folder(tmp_path / "out", experiments[0])
    with forked_command(hold_lock, folder, 60, folder=tmp_path) as holder:
        holder.wait_until((folder / "held").exists)
        with pytest.raises(BusyError):
            check_free(folder)
        ended: list[int] = []

        def react(index, event):
            if event.kind == "finished":
                ended.append(index)
            if event.kind == "elsewhere" and len(ended) == 2:
                assert event.text == f"process {holder.pid} on {platform.node()}"
                holder.signal(signal.SIGKILL)

        events = collect(RunPool(out=tmp_path / "out", workers=2), experiments, react)
    assert sorted(ended[:2]) == [1, 2]
    assert ended[2:] == [0]
    assert {index for index, event in events if event.kind == "elsewhere"} == {0}
    assert {event.kind for _, event in events} <= {"elsewhere", "step", "finished"}


def test_a_pool_that_only_waits_for_others_can_be_stopped(tmp_path):
    experiments = [small()]
    folder = run_folder(tmp_path / "out", experiments[0])
    with forked_command(hold_lock, folder, 60, folder=tmp_path) as holder:
        holder.wait_until((folder / "held").exists)
        pool = RunPool(out=tmp_path / "out", workers=2)
        events = collect(pool, experiments, lambda index, event: pool.stop())
    assert [event.kind for _, event in events] == ["elsewhere"]
    assert not pool.processes


class Hasty(RunPool):
    """A pool that is stopped while its first process starts."""

    def on_start(self, worker):
        super().on_start(worker)
        self.stop()


def test_workers_that_have_not_begun_are_ended_at_once(tmp_path):
    pool = Hasty(out=tmp_path, workers=2)
    events = collect(pool, [small(steps=100_000)] * 2)
    assert {event.kind for _, event in events} <= {"stopped"}
    assert not list(tmp_path.rglob("metrics.csv"))


def seeds_and_another(steps=12):
    """Returns three seeds of one configuration, and one of another between them."""
    seeds = [small(seed=seed, steps=steps) for seed in range(3)]
    return [seeds[0], small("rnn", steps=steps), *seeds[1:]]


def test_a_process_trains_as_many_seeds_of_a_configuration_as_it_may(tmp_path):
    experiments = seeds_and_another()
    pool = RunPool(out=tmp_path, workers=1, at_once={experiments[0].identity: 2})
    events = collect(pool, experiments)
    assert [event.kind for _, event in events if event.kind != "step"] == ["finished"] * 4
    assert {index for index, _ in events} == {0, 1, 2, 3}
    # Of the two that are stacked, both make their steps before one is finished.
    first_end = next(place for place, (_, event) in enumerate(events) if event.kind == "finished")
    assert {index for index, _ in events[:first_end]} == {0, 2}
    timings = [read_run(run_folder(tmp_path, experiment)).timing for experiment in experiments]
    assert [timing.get("seeds_at_once") for timing in timings] == [2, None, 2, None]


@pytest.mark.slow
def test_seeds_whose_process_is_killed_are_resumed_alone(tmp_path):
    experiments = seeds_and_another(steps=600)
    pool = RunPool(out=tmp_path / "killed", workers=1, at_once={experiments[0].identity: 3})
    folders = [run_folder(tmp_path / "killed", experiment) for experiment in experiments]

    def kill(index, event):
        if event.step and index == 3:
            pool.processes[0].process.kill()

    events = collect(pool, experiments, kill)
    ends = {index: event for index, event in events if event.kind != "step"}
    assert [ends[index].kind for index in range(4)] == ["failed", "finished", "failed", "failed"]
    assert all("signal 9" in ends[index].text for index in (0, 2, 3))
    assert [(folder / "result.json").exists() for folder in folders] == [False, True, False, False]
    events = collect(RunPool(out=tmp_path / "killed", workers=1), experiments)
    assert sorted(index for index, event in events if event.kind == "finished") == [0, 1, 2, 3]


def test_seeds_that_are_stopped_together_are_saved_and_resumed_alone(tmp_path):
    experiments = seeds_and_another(steps=400)
    pool = RunPool(out=tmp_path / "cut", workers=1, at_once={experiments[0].identity: 3})
    events = collect(pool, experiments, lambda index, event: pool.stop() if event.step and not pool.stopping else None)
    stopped = [index for index, event in events if event.kind == "stopped"]
    assert sorted(stopped) == [0, 2, 3]
    folders = [run_folder(tmp_path / "cut", experiments[index]) for index in (0, 2, 3)]
    assert all((folder / "last.ckpt").exists() for folder in folders)
    collect(RunPool(out=tmp_path / "cut", workers=1), experiments)
    for index, folder in zip((0, 2, 3), folders, strict=True):
        alone = finish(experiments[index], tmp_path / "alone")
        resumed = read_run(folder)
        assert resumed.metrics()["step"].tolist() == alone.metrics()["step"].tolist()
        # In single precision, over which the order of sums tells after hundreds of steps.
        first = [run.metrics()["train/loss"][0] for run in (resumed, alone)]
        assert first[0] == pytest.approx(first[1], rel=1e-4)

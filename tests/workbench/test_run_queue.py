"""The queue of a command's runs, while others take some of them, finish them, or fail with them."""

from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.workbench.experiments import finish, small
from workbench import run_queue
from workbench.config import Experiment
from workbench.files import write_yaml
from workbench.leases import Holder
from workbench.run_folder import run_folder, run_lock
from workbench.run_queue import RunEvent, RunQueue

Events = list[tuple[int, str, str]]


@pytest.fixture(autouse=True)
def look_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets every look be one."""
    monkeypatch.setattr(run_queue, "LOOK_SECONDS", -1.0)
    monkeypatch.setattr(run_queue, "LOOK_SHARE", 1e9)


def start(out: Path, experiments: list[Experiment]) -> tuple[RunQueue, Events]:
    events: Events = []

    def listen(index: int, event: RunEvent) -> None:
        events.append((index, event.kind, event.text))

    return RunQueue(out, experiments, listen), events


def test_runs_that_others_hold_are_skipped_and_come_first_once_they_are_free(tmp_path: Path) -> None:
    experiments = [small(seed=seed) for seed in range(4)]
    queue, events = start(tmp_path, experiments)
    with ExitStack() as held:
        for index in (0, 2):
            held.enter_context(run_lock(run_folder(tmp_path, experiments[index])))
        assert queue.take() == 1
        # Now 2 is found to be held, too.
        assert queue.take() == 3
        assert queue.take() is None
        assert (queue.has_free, queue.held) == (False, [0, 2])
        queue.look()
        assert [(index, kind) for index, kind, _ in events] == [(0, "elsewhere"), (2, "elsewhere")]
    queue.look()
    assert (queue.has_free, queue.held) == (True, [])
    queue.put_back(1)
    assert [queue.take(), queue.take(), queue.take()] == [0, 2, None]
    assert queue.drain() == [1]
    assert (queue.has_free, queue.held) == (False, [])


def test_runs_that_others_have_finished_are_told_whenever_that_was(tmp_path: Path) -> None:
    experiments = [small(seed=seed, steps=2) for seed in range(3)]
    queue, events = start(tmp_path, experiments)
    queue.put_back(queue.take() or 0)
    for experiment in experiments[:2]:
        finish(experiment, tmp_path)
    queue.look()
    assert queue.take() == 2
    assert [(index, kind) for index, kind, _ in events] == [(0, "finished"), (1, "finished")]
    assert (queue.take(), queue.held) == (None, [])


@pytest.mark.parametrize("failed_before", [False, True])
@pytest.mark.parametrize("fails_now", [False, True])
def test_a_run_that_fails_in_another_process_has_failed_here_too(
    failed_before: bool, fails_now: bool, tmp_path: Path
) -> None:
    """One that was only interrupted there is this command's, whatever an earlier command has left."""
    experiment = small()
    folder = run_folder(tmp_path, experiment)
    queue, events = start(tmp_path, [experiment])
    log = folder / "error.log"
    folder.mkdir(parents=True)
    if failed_before:
        log.write_text("what an earlier command came to")
    with run_lock(folder):
        assert queue.take() is None
        if fails_now:
            log.unlink(missing_ok=True)
            log.with_suffix(".new").write_text("ValueError: no")
            log.with_suffix(".new").rename(log)
    queue.look()
    assert events == ([(0, "failed", f"it failed in another process (see {log})")] if fails_now else [])
    assert queue.take() == (None if fails_now else 0)


def test_a_finished_run_of_another_configuration_is_refused(tmp_path: Path) -> None:
    experiment = small(steps=2)
    queue, events = start(tmp_path, [experiment])
    finish(experiment, tmp_path)
    write_yaml(run_folder(tmp_path, experiment) / "config.yaml", small(steps=3).to_config())
    assert queue.take() is None
    ((index, kind, text),) = events
    assert (index, kind) == (0, "refused")
    assert "config.yaml was changed" in text


def test_looks_take_a_small_share_of_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    experiments = [small()]
    queue, events = start(tmp_path, experiments)
    seconds, taken = [0.0], [0.0]
    monkeypatch.setattr(run_queue, "LOOK_SECONDS", 1.0)
    monkeypatch.setattr(run_queue, "LOOK_SHARE", 0.05)
    monkeypatch.setattr(run_queue, "time", type("Time", (), {"monotonic": staticmethod(lambda: seconds[0])}))

    def find_slowly(folder: Path) -> Holder:
        seconds[0] += taken[0]
        return Holder()

    monkeypatch.setattr(run_queue, "find_holder", find_slowly)
    queue.put_back(queue.take() or 0)
    # A moment of hesitation must not keep a run from being seen to have ended for long.
    for look, pause in ((0.01, 1.0), (0.2, 4.0), (3.0, 10.0)):
        taken[0], count = look, len(events)
        queue.look()
        assert len(events) == count + 1
        seconds[0] += pause - 0.01
        queue.look()
        assert len(events) == count + 1
        seconds[0] += 0.02


def test_free_runs_of_the_same_configuration_are_taken_with_one(tmp_path: Path) -> None:
    """In the order of the seeds, as far as nobody has them."""
    experiments = [small(name, seed=seed, steps=2) for seed in range(5) for name in ("gru", "rnn")]
    queue, events = start(tmp_path, experiments)
    first = queue.take()
    assert first == 0
    finish(experiments[4], tmp_path)
    with run_lock(run_folder(tmp_path, experiments[2])):
        assert queue.take_like(first, 2) == [6, 8]
    assert [(index, kind) for index, kind, _ in events] == [(4, "finished")]
    assert queue.held == [2]
    assert queue.take_like(first, 2) == []
    assert [queue.take() for _ in range(6)] == [1, 3, 5, 7, 9, None]

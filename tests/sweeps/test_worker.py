"""A worker, from its first look at the store to its last."""

from dataclasses import replace
from types import SimpleNamespace

import optuna
import pytest
from optuna.storages import RDBStorage
from optuna.trial import TrialState
from sqlalchemy import Engine, event, exc

from sweeps import objective as trials
from sweeps import worker as workers
from sweeps.objective import WorkerUnusableError
from sweeps.retry import with_retries
from sweeps.storage import connect
from sweeps.studies import create_studies, load_studies
from sweeps.trial_budget import ENDED, ERROR, INTERRUPTED, fail_trial, finished_trials, slot_of
from sweeps.worker import (
    TrialListener,
    TrialWorker,
    WorkerConfig,
    abandoned_reason,
    attempt,
    enqueue_all,
    is_complete,
    next_trial,
)
from tests.sweeps.small_sweeps import filled, objective, pretended, small, study
from workbench.errors import UserError
from workbench.run_folder import run_folder


def refuse(line):
    pytest.fail(line)


@pytest.fixture
def started(sqlite, tmp_path, monkeypatch):
    """A small sweep in a store, and an order to work on it."""
    monkeypatch.setattr(trials, "run", pretended(lambda experiment, step: experiment.optimization.learning_rate))
    monkeypatch.setattr(workers, "IDLE_SECONDS", 0.01)
    event.listen(Engine, "connect", hastily)
    storage = connect(sqlite, heartbeat=60, grace=120, say=refuse)
    sweep = small(architectures=("rnn", "gru"), space={}, trials=3)
    studies = create_studies(storage, sweep.specs(), sweep.trials)
    enqueue_all(studies, 5)
    names = tuple(opened.spec.name for opened in studies)
    yield SimpleNamespace(
        studies=studies, order=WorkerConfig(url=sqlite, names=names, out=tmp_path, heartbeat=60, grace=120), url=sqlite
    )
    storage.close()
    event.remove(Engine, "connect", hastily)


def hastily(connection, record):
    """Nothing has to survive a power cut here."""
    connection.execute("PRAGMA synchronous = OFF")


def test_a_worker_finishes_every_place_and_ends(started):
    told: list[object] = []
    listener = TrialListener(
        begun=lambda study, number, experiment: told.append((study, number)), ended=lambda: told.append("ended")
    )
    TrialWorker(order=started.order, listener=listener).run()
    for opened in started.studies:
        assert [trial.state for trial in opened.trials] == [TrialState.COMPLETE] * 3
        assert is_complete(opened)
    # Side by side, the one that is further behind first.
    begun = [("addition/rnn", 0), ("addition/gru", 0), ("addition/rnn", 1), ("addition/gru", 1)]
    assert [each for each in told if each != "ended"][:4] == begun
    assert told.count("ended") == 6
    # There is nothing left for another.
    TrialWorker(order=started.order, listener=TrialListener(begun=lambda *told: refuse(str(told)))).run()


def test_a_worker_that_is_stopped_puts_its_trial_down_and_the_next_one_takes_it_up(started, monkeypatch):
    stop: list[int] = []
    begun = []
    listener = TrialListener(stop=lambda: bool(stop), begun=lambda study, number, experiment: stop.append(1))
    TrialWorker(order=started.order, listener=listener).run()
    (first, *_) = started.studies[0].trials
    assert (first.state, first.user_attrs[ENDED]) == (TrialState.FAIL, INTERRUPTED)
    listener = TrialListener(begun=lambda study, number, experiment: begun.append((study, experiment)))
    TrialWorker(order=started.order, listener=listener).run()
    again = next(trial for trial in started.studies[0].trials[1:] if slot_of(trial) == 0)
    assert again.params == first.params
    assert [finished_trials(opened.trials, 3) for opened in started.studies] == [3, 3]


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_after_a_trial_that_fails_on_a_gpu_another_process_is_to_go_on(started, monkeypatch, device):
    def fails(experiment, out, *given, **told):
        run_folder(out, experiment).mkdir(parents=True, exist_ok=True)
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(trials, "run", fails)
    told: list[str] = []
    listener = TrialListener(begun=lambda *_: told.append("begun"), ended=lambda: told.append("ended"))
    worker = TrialWorker(order=replace(started.order, device=device), listener=listener)
    if device == "cuda":
        with pytest.raises(WorkerUnusableError):
            worker.run()
        assert told == ["begun", "ended"]
        (failed,) = [trial for opened in started.studies for trial in opened.trials if trial.state is TrialState.FAIL]
        assert "illegal memory access" in failed.user_attrs[ERROR]
    else:
        # Until both studies are given up.
        worker.run()
        assert told.count("begun") > 2


def test_more_trials_that_are_asked_for_meanwhile_are_done_too(started, monkeypatch):
    monkeypatch.setattr(workers, "REFRESH_SECONDS", 0.0)
    raised: list[int] = []

    def begun(*told):
        if not raised:
            raised.append(5)
            started.studies[0].study.set_user_attr("asked", 5)

    TrialWorker(order=started.order, listener=TrialListener(begun=begun)).run()
    assert finished_trials(started.studies[0].trials, 5) == 5


def test_a_dead_workers_trial_is_gone_on_with(started, monkeypatch):
    monkeypatch.setattr(workers, "REFRESH_SECONDS", 0.0)
    (opened, _) = started.studies
    dead = opened.study._pop_waiting_trial_id()
    trial = optuna.Trial(opened.study, dead)
    opened.spec.searched().choose(trial)
    trial.set_user_attr("worker", "elsewhere:1")
    # Its one sign of life is the one that taking it was.
    stale = RDBStorage._get_stale_trial_ids
    seen = []

    def at_once(self, study_id):
        assert stale(self, study_id) == []
        running = self.get_all_trials(study_id, deepcopy=False, states=(TrialState.RUNNING,))
        seen.append(len(running))
        return [each._trial_id for each in running if each._trial_id == dead]

    monkeypatch.setattr(RDBStorage, "_get_stale_trial_ids", at_once)
    TrialWorker(order=started.order, listener=TrialListener()).run()
    assert opened.trials[0].state is TrialState.FAIL
    again = next(each for each in opened.trials[1:] if slot_of(each) == 0)
    assert (again.state, again.params) == (TrialState.COMPLETE, trial.params)


def test_taking_a_trial_is_a_sign_of_life(started):
    (opened, _) = started.studies
    opened.study._pop_waiting_trial_id()
    with opened.study._storage._backend.engine.connect() as connection:
        (count,) = connection.exec_driver_sql("SELECT COUNT(*) FROM trial_heartbeats").one()
    assert count == 1


@pytest.mark.parametrize("objectives", [("loss",), ("loss", "seconds")])
def test_a_trial_that_others_ended_while_its_end_was_written_costs_nothing(tmp_path, monkeypatch, objectives):
    opened = study(asked=1, objectives=objectives)
    monkeypatch.setattr(trials, "run", pretended(lambda experiment, step: 1.0))
    monkeypatch.setattr(trials.Objective, "_alive", lambda self, trial: fail_trial(opened.study, 0))
    with pytest.raises(ValueError, match="Cannot tell a FAIL trial"):
        attempt(opened, objective(opened, tmp_path))
    assert opened.trials[0].values is None
    monkeypatch.undo()
    monkeypatch.setattr(trials, "run", pretended(lambda experiment, step: 1.0))
    attempt(filled(opened), objective(opened, tmp_path))
    assert finished_trials(opened.trials, 1) == 1


def test_a_worker_goes_on_after_a_trial_that_others_ended(started, monkeypatch):
    alive = trials.Objective._alive
    ended: list[int] = []

    def once(self, trial):
        alive(self, trial)
        if not ended:
            ended.append(trial.number)
            fail_trial(self.opened.study, trial.number)

    monkeypatch.setattr(trials.Objective, "_alive", once)
    monkeypatch.setattr(workers, "REFRESH_SECONDS", 0.0)
    TrialWorker(order=started.order, listener=TrialListener()).run()
    assert [finished_trials(opened.trials, 3) for opened in started.studies] == [3, 3]
    assert len(started.studies[0].trials) == 4


@pytest.mark.parametrize("gone", [True, False])
def test_a_store_in_trouble_as_an_end_is_written_is_the_stores(tmp_path, monkeypatch, gone):
    opened = study(asked=2)
    monkeypatch.setattr(trials, "run", pretended(lambda experiment, step: 1.0))
    storage = opened.study._storage

    def trouble(*given, **told):
        raise exc.OperationalError("", {}, OSError("gone"))

    monkeypatch.setattr(storage, "set_trial_state_values", trouble)
    trial = next(iter(opened.trials))
    monkeypatch.setattr(opened.study, "_pop_waiting_trial_id", lambda: trial._trial_id)
    monkeypatch.setattr(trial, "state", TrialState.RUNNING)
    if gone:
        read = storage.get_trial
        told = []
        monkeypatch.setattr(trials.Objective, "_alive", lambda self, trial: told.append(1))
        monkeypatch.setattr(storage, "get_trial", lambda number: trouble() if told else read(number))
    with pytest.raises(UserError, match="the store was out of reach"):
        with_retries(lambda: attempt(opened, objective(opened, tmp_path)), lambda line: None, pauses=())


def test_a_full_disk_ends_the_worker_with_the_trial_put_down(started, monkeypatch):
    def full(*given, **told):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(trials, "run", full)
    with pytest.raises(OSError, match="No space"):
        TrialWorker(order=started.order, listener=TrialListener()).run()
    (trial, *_) = started.studies[0].trials
    assert trial.user_attrs[ENDED] == INTERRUPTED


def test_failures_are_told_and_a_study_that_is_given_up_ends_while_others_go_on(started, monkeypatch):
    good = pretended(lambda experiment, step: 1.0)

    def run(experiment, *given, **told):
        if experiment.architecture.name == "rnn":
            raise RuntimeError("no luck")
        return good(experiment, *given, **told)

    monkeypatch.setattr(trials, "run", run)
    monkeypatch.setattr(workers, "REFRESH_SECONDS", 0.0)
    monkeypatch.setattr(trials, "write_traceback", lambda out, experiment: "error.log")
    TrialWorker(order=started.order, listener=TrialListener()).run()
    why = abandoned_reason(started.studies[0]) or ""
    assert "addition/rnn is given up: 4 trials failed, the last: RuntimeError: no luck" in why
    assert abandoned_reason(started.studies[1]) is None
    assert finished_trials(started.studies[1].trials, 3) == 3


def test_the_next_study_is_the_one_furthest_from_its_goal():
    one, two = study(asked=4), study(asked=4, architectures=("gru",), space={})
    assert next_trial([one, two]) is one
    one.study.ask()
    assert next_trial([one, two]) is two
    for _ in range(4):
        two.study.ask()
    assert next_trial([one, two]) is one
    for _ in range(3):
        one.study.ask()
    assert next_trial([one, two]) is None
    assert not is_complete(one)


def test_a_worker_refuses_studies_that_are_not_there(sqlite, tmp_path, started):
    with pytest.raises(UserError, match="no study 'addition/lstm'"):
        TrialWorker(
            order=WorkerConfig(url=sqlite, names=("addition/lstm",), out=tmp_path), listener=TrialListener()
        ).run()
    assert [opened.spec.name for opened in load_studies(started.studies[0].study._storage)] == list(started.order.names)

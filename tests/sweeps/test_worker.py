"""A worker, from its first look at the store to its last."""

from dataclasses import replace
from types import SimpleNamespace

import optuna
import pytest
from optuna.storages import RDBStorage
from optuna.trial import TrialState
from sqlalchemy import Engine, event, exc

from sweeps import objective as objective_module
from sweeps import worker as worker_module
from sweeps.objective import WorkerUnusableError
from sweeps.storage import connect
from sweeps.storage_retry import with_retries
from sweeps.studies import create_studies, load_studies
from sweeps.trial_budget import ERROR, INTERRUPTED, OUTCOME, count_finished, fail_trial, slot_of
from sweeps.worker import (
    TrialListener,
    TrialWorker,
    WorkerConfig,
    abandoned_reason,
    enqueue_all,
    is_done,
    next_study,
    run_waiting_trial,
)
from tests.sweeps.small_sweeps import fake_run, fill_slots, make_objective, make_study, small_sweep
from workbench.errors import UserError
from workbench.run_folder import run_folder


def fail(line):
    pytest.fail(line)


@pytest.fixture
def sweep(sqlite, tmp_path, monkeypatch):
    """The studies of a small sweep in a store, and the configuration of a worker on them."""
    monkeypatch.setattr(
        objective_module, "run", fake_run(lambda experiment, step: experiment.optimization.learning_rate)
    )
    monkeypatch.setattr(worker_module, "IDLE_SECONDS", 0.01)
    event.listen(Engine, "connect", disable_sync)
    storage = connect(sqlite, heartbeat=60, grace=120, log=fail)
    settings = small_sweep(architectures=("rnn", "gru"), space={}, trials=3)
    studies = create_studies(storage, settings.specs(), settings.trials)
    enqueue_all(studies, 5)
    names = tuple(study.spec.name for study in studies)
    yield SimpleNamespace(
        studies=studies,
        config=WorkerConfig(url=sqlite, study_names=names, out=tmp_path, heartbeat=60, grace=120),
        url=sqlite,
    )
    storage.close()
    event.remove(Engine, "connect", disable_sync)


def disable_sync(connection, record):
    """Makes SQLite faster, as nothing has to survive a power cut here."""
    connection.execute("PRAGMA synchronous = OFF")


def test_a_worker_finishes_every_slot_and_ends(sweep):
    events: list[object] = []
    listener = TrialListener(
        on_begin=lambda study, number, experiment: events.append((study, number)), on_end=lambda: events.append("ended")
    )
    TrialWorker(config=sweep.config, listener=listener).run()
    for study in sweep.studies:
        assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 3
        assert is_done(study)
    # Side by side, the one that is further behind first.
    begun = [("addition/rnn", 0), ("addition/gru", 0), ("addition/rnn", 1), ("addition/gru", 1)]
    assert [event for event in events if event != "ended"][:4] == begun
    assert events.count("ended") == 6
    # No trial is left for another worker.
    TrialWorker(config=sweep.config, listener=TrialListener(on_begin=lambda *args: fail(str(args)))).run()


def test_a_worker_that_is_stopped_saves_its_trial_and_the_next_one_resumes_it(sweep, monkeypatch):
    stop: list[int] = []
    begun = []
    listener = TrialListener(stop=lambda: bool(stop), on_begin=lambda study, number, experiment: stop.append(1))
    TrialWorker(config=sweep.config, listener=listener).run()
    (first, *_) = sweep.studies[0].trials
    assert (first.state, first.user_attrs[OUTCOME]) == (TrialState.FAIL, INTERRUPTED)
    listener = TrialListener(on_begin=lambda study, number, experiment: begun.append((study, experiment)))
    TrialWorker(config=sweep.config, listener=listener).run()
    retry = next(trial for trial in sweep.studies[0].trials[1:] if slot_of(trial) == 0)
    assert retry.params == first.params
    assert [count_finished(study.trials, 3) for study in sweep.studies] == [3, 3]


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_after_a_trial_that_fails_on_a_gpu_another_process_has_to_take_over(sweep, monkeypatch, device):
    def fails(experiment, out, *args, **kwargs):
        run_folder(out, experiment).mkdir(parents=True, exist_ok=True)
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(objective_module, "run", fails)
    events: list[str] = []
    listener = TrialListener(on_begin=lambda *_: events.append("begun"), on_end=lambda: events.append("ended"))
    worker = TrialWorker(config=replace(sweep.config, device=device), listener=listener)
    if device == "cuda":
        with pytest.raises(WorkerUnusableError):
            worker.run()
        assert events == ["begun", "ended"]
        (failed,) = [trial for study in sweep.studies for trial in study.trials if trial.state is TrialState.FAIL]
        assert "illegal memory access" in failed.user_attrs[ERROR]
    else:
        # Until both studies are given up.
        worker.run()
        assert events.count("begun") > 2


def test_more_trials_that_are_requested_meanwhile_are_run_too(sweep, monkeypatch):
    monkeypatch.setattr(worker_module, "REFRESH_SECONDS", 0.0)
    raised: list[int] = []

    def on_begin(*args):
        if not raised:
            raised.append(5)
            sweep.studies[0].optuna_study.set_user_attr("asked", 5)

    TrialWorker(config=sweep.config, listener=TrialListener(on_begin=on_begin)).run()
    assert count_finished(sweep.studies[0].trials, 5) == 5


def test_a_dead_workers_trial_is_resumed(sweep, monkeypatch):
    monkeypatch.setattr(worker_module, "REFRESH_SECONDS", 0.0)
    (study, _) = sweep.studies
    dead = study.optuna_study._pop_waiting_trial_id()
    trial = optuna.Trial(study.optuna_study, dead)
    study.spec.search_space().suggest(trial)
    trial.set_user_attr("worker", "elsewhere:1")
    # Its only heartbeat is the one at which it was taken.
    get_stale = RDBStorage._get_stale_trial_ids
    seen = []

    def all_of_the_dead(self, study_id):
        assert get_stale(self, study_id) == []
        running = self.get_all_trials(study_id, deepcopy=False, states=(TrialState.RUNNING,))
        seen.append(len(running))
        return [trial._trial_id for trial in running if trial._trial_id == dead]

    monkeypatch.setattr(RDBStorage, "_get_stale_trial_ids", all_of_the_dead)
    TrialWorker(config=sweep.config, listener=TrialListener()).run()
    assert study.trials[0].state is TrialState.FAIL
    retry = next(trial for trial in study.trials[1:] if slot_of(trial) == 0)
    assert (retry.state, retry.params) == (TrialState.COMPLETE, trial.params)


def test_taking_a_trial_is_a_heartbeat(sweep):
    (study, _) = sweep.studies
    study.optuna_study._pop_waiting_trial_id()
    with study.optuna_study._storage._backend.engine.connect() as connection:
        (count,) = connection.exec_driver_sql("SELECT COUNT(*) FROM trial_heartbeats").one()
    assert count == 1


@pytest.mark.parametrize("objectives", [("loss",), ("loss", "seconds")])
def test_a_trial_that_others_ended_while_its_end_was_written_costs_nothing(tmp_path, monkeypatch, objectives):
    study = make_study(num_trials=1, objectives=objectives)
    monkeypatch.setattr(objective_module, "run", fake_run(lambda experiment, step: 1.0))
    monkeypatch.setattr(
        objective_module.Objective, "_check_running", lambda self, trial: fail_trial(study.optuna_study, 0)
    )
    with pytest.raises(ValueError, match="Cannot tell a FAIL trial"):
        run_waiting_trial(study, make_objective(study, tmp_path))
    assert study.trials[0].values is None
    monkeypatch.undo()
    monkeypatch.setattr(objective_module, "run", fake_run(lambda experiment, step: 1.0))
    run_waiting_trial(fill_slots(study), make_objective(study, tmp_path))
    assert count_finished(study.trials, 1) == 1


def test_a_worker_continues_after_a_trial_that_others_ended(sweep, monkeypatch):
    check_running = objective_module.Objective._check_running
    ended: list[int] = []

    def end_once(self, trial):
        check_running(self, trial)
        if not ended:
            ended.append(trial.number)
            fail_trial(self.study.optuna_study, trial.number)

    monkeypatch.setattr(objective_module.Objective, "_check_running", end_once)
    monkeypatch.setattr(worker_module, "REFRESH_SECONDS", 0.0)
    TrialWorker(config=sweep.config, listener=TrialListener()).run()
    assert [count_finished(study.trials, 3) for study in sweep.studies] == [3, 3]
    assert len(sweep.studies[0].trials) == 4


@pytest.mark.parametrize("gone", [True, False])
def test_a_store_that_fails_while_an_end_is_written_is_the_stores_error(tmp_path, monkeypatch, gone):
    study = make_study(num_trials=2)
    monkeypatch.setattr(objective_module, "run", fake_run(lambda experiment, step: 1.0))
    storage = study.optuna_study._storage

    def fail_to_connect(*args, **kwargs):
        raise exc.OperationalError("", {}, OSError("gone"))

    monkeypatch.setattr(storage, "set_trial_state_values", fail_to_connect)
    trial = next(iter(study.trials))
    monkeypatch.setattr(study.optuna_study, "_pop_waiting_trial_id", lambda: trial._trial_id)
    monkeypatch.setattr(trial, "state", TrialState.RUNNING)
    if gone:
        read = storage.get_trial
        checked = []
        monkeypatch.setattr(objective_module.Objective, "_check_running", lambda self, trial: checked.append(1))
        monkeypatch.setattr(storage, "get_trial", lambda number: fail_to_connect() if checked else read(number))
    with pytest.raises(UserError, match="the store was out of reach"):
        with_retries(lambda: run_waiting_trial(study, make_objective(study, tmp_path)), lambda line: None, delays=())


def test_a_full_disk_ends_the_worker_and_its_trial_is_saved(sweep, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(objective_module, "run", full)
    with pytest.raises(OSError, match="No space"):
        TrialWorker(config=sweep.config, listener=TrialListener()).run()
    (trial, *_) = sweep.studies[0].trials
    assert trial.user_attrs[OUTCOME] == INTERRUPTED


def test_failures_are_reported_and_a_study_that_is_given_up_ends_while_others_continue(sweep, monkeypatch):
    succeed = fake_run(lambda experiment, step: 1.0)

    def run(experiment, *args, **kwargs):
        if experiment.architecture.name == "rnn":
            raise RuntimeError("no luck")
        return succeed(experiment, *args, **kwargs)

    monkeypatch.setattr(objective_module, "run", run)
    monkeypatch.setattr(worker_module, "REFRESH_SECONDS", 0.0)
    monkeypatch.setattr(objective_module, "write_traceback", lambda out, experiment: "error.log")
    TrialWorker(config=sweep.config, listener=TrialListener()).run()
    reason = abandoned_reason(sweep.studies[0]) or ""
    assert "addition/rnn is given up: 4 trials failed, the last: RuntimeError: no luck" in reason
    assert abandoned_reason(sweep.studies[1]) is None
    assert count_finished(sweep.studies[1].trials, 3) == 3


def test_the_next_study_is_the_one_furthest_from_its_goal():
    one, two = make_study(num_trials=4), make_study(num_trials=4, architectures=("gru",), space={})
    assert next_study([one, two]) is one
    one.optuna_study.ask()
    assert next_study([one, two]) is two
    for _ in range(4):
        two.optuna_study.ask()
    assert next_study([one, two]) is one
    for _ in range(3):
        one.optuna_study.ask()
    assert next_study([one, two]) is None
    assert not is_done(one)


def test_a_worker_refuses_studies_that_are_not_there(sqlite, tmp_path, sweep):
    with pytest.raises(UserError, match="no study 'addition/lstm'"):
        TrialWorker(
            config=WorkerConfig(url=sqlite, study_names=("addition/lstm",), out=tmp_path), listener=TrialListener()
        ).run()
    assert [study.spec.name for study in load_studies(sweep.studies[0].optuna_study._storage)] == list(
        sweep.config.study_names
    )

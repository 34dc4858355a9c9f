"""The objective: a trial's value, its end, and the files that it leaves behind."""

import math
from functools import partial
from types import SimpleNamespace

import optuna
import pytest
from optuna.trial import TrialState
from sqlalchemy import exc

from sweeps import objective as objective_module
from sweeps.export import export_state, export_trial
from sweeps.objective import DuplicateTrialError, FailedTrialError, InterruptedTrialError, TrialLostError
from sweeps.storage_retry import with_retries
from sweeps.trial_budget import DIVERGED, DUPLICATE, ERROR, IDENTITY, INTERRUPTED, OUTCOME, SLOT, fail_trial
from sweeps.worker import run_waiting_trial
from tests.sweeps.small_sweeps import fake_run, fill_slots, make_objective, make_study, narrow_space, run_waiting_trials
from workbench.checkpoints import LAST
from workbench.config import TUNING_SEED, Optimization
from workbench.errors import UserError
from workbench.files import read_json
from workbench.run_folder import run_folder, run_lock
from workbench.training import SequenceModule


def folder(study, out, number=0):
    """Returns the folder of a trial's run."""
    experiment = study.spec.experiment(study.trials[number].params, TUNING_SEED)
    return run_folder(out, experiment)


def test_the_value_is_the_last_validation_loss_of_the_run_of_the_tuning_seed(tmp_path):
    study = make_study()
    begun = []
    run_waiting_trial(study, make_objective(study, tmp_path, on_begin=lambda *args: begun.append(args)))
    (trial, *_) = study.trials
    result = read_json(folder(study, tmp_path) / "result.json")
    assert folder(study, tmp_path).name == f"seed-{TUNING_SEED}"
    assert trial.value == result["validation"]["loss"]
    assert (result["status"], result["test"]) == ("finished", None), "a trial must not see the test set"
    assert list(trial.intermediate_values) == [1, 2, 3, 4]
    assert trial.intermediate_values[4] == trial.value
    assert trial.user_attrs[IDENTITY] == result["identity"]
    assert [(number, experiment.seed) for number, experiment in begun] == [(0, TUNING_SEED)]


def test_the_same_configuration_twice_is_read_and_not_trained(tmp_path, monkeypatch):
    study = make_study(num_trials=1)
    run_waiting_trial(study, make_objective(study, tmp_path))
    study.optuna_study.enqueue_trial(study.trials[0].params, user_attrs={SLOT: 1})
    monkeypatch.setattr(SequenceModule, "training_step", lambda *args: pytest.fail("trained again"))
    run_waiting_trial(study, make_objective(study, tmp_path))
    first, second = study.trials
    assert second.state is TrialState.COMPLETE
    assert (second.value, second.intermediate_values) == (first.value, first.intermediate_values)


def test_a_pruned_trial_leaves_a_checkpoint_and_no_result(tmp_path, monkeypatch):
    study = make_study()
    monkeypatch.setattr(optuna.pruners.MedianPruner, "prune", lambda self, study, trial: trial.last_step == 2)
    run_waiting_trial(study, make_objective(study, tmp_path))
    (trial, *_) = study.trials
    assert trial.state is TrialState.PRUNED
    assert list(trial.intermediate_values) == [1, 2]
    assert (folder(study, tmp_path) / LAST).exists()
    assert not (folder(study, tmp_path) / "result.json").exists()


def test_a_trial_that_is_stopped_resumes_from_its_checkpoint_with_the_same_rows(tmp_path):
    uninterrupted, resumed = make_study(num_trials=1), make_study(num_trials=1)
    run_waiting_trial(uninterrupted, make_objective(uninterrupted, tmp_path / "uninterrupted"))
    steps: list[int] = []
    stop = iter([False, False, True])
    with pytest.raises(InterruptedTrialError):
        run_waiting_trial(resumed, make_objective(resumed, tmp_path / "resumed", stop=lambda: next(stop)))
    assert export_state(resumed.trials[0]) == "interrupted"
    run_waiting_trial(fill_slots(resumed), make_objective(resumed, tmp_path / "resumed", on_progress=steps.append))
    first, second = resumed.trials
    assert (first.state, first.user_attrs[OUTCOME]) == (TrialState.FAIL, INTERRUPTED)
    assert list(first.intermediate_values) == [1, 2, 3]
    assert steps[0] == 3, "it started from the beginning"
    assert (second.value, second.params) == (uninterrupted.trials[0].value, uninterrupted.trials[0].params)
    assert second.intermediate_values == uninterrupted.trials[0].intermediate_values


def test_a_run_that_diverged_is_finished_and_no_candidate(tmp_path):
    wild = Optimization(optimizer="sgd", learning_rate=1e30, clip="none")
    study = make_study(num_trials=1, optimization=wild, space={"rnn": narrow_space("rnn", learning_rate=None)})
    run_waiting_trial(study, make_objective(study, tmp_path))
    (trial,) = study.trials
    result = read_json(folder(study, tmp_path) / "result.json")
    assert result["status"] == "diverged"
    assert (trial.state, trial.user_attrs[OUTCOME], export_state(trial)) == (TrialState.PRUNED, DIVERGED, "diverged")
    assert trial.constraints == {DIVERGED: 1.0}
    assert all(math.isfinite(loss) for loss in trial.intermediate_values.values())
    assert export_trial(trial, "").values is None


class BrokenError(Exception):
    pass


def test_a_crash_is_a_failure_with_its_reason_and_other_parameters_take_its_place(tmp_path, monkeypatch):
    study = make_study(num_trials=1)

    def step(*args):
        raise BrokenError("out of\nluck")

    with monkeypatch.context() as patch:
        patch.setattr(SequenceModule, "training_step", step)
        with pytest.raises(FailedTrialError):
            run_waiting_trial(study, make_objective(study, tmp_path))
    path = folder(study, tmp_path) / "error.log"
    assert study.trials[0].user_attrs[ERROR] == f"BrokenError: out of luck (see {path})"
    assert "out of\nluck" in path.read_text()
    assert export_state(study.trials[0]) == "failed"
    run_waiting_trial(fill_slots(study), make_objective(study, tmp_path))
    assert study.trials[1].state is TrialState.COMPLETE
    assert study.trials[1].params != study.trials[0].params


@pytest.mark.parametrize("error", [UserError("no such thing"), ValueError("no such\nthing")])
def test_a_run_that_cannot_be_built_is_a_failure_too(tmp_path, monkeypatch, error):
    study = make_study(num_trials=1)

    def experiment(self, params, seed):
        raise error

    monkeypatch.setattr(type(study.spec), "experiment", experiment)
    with pytest.raises(FailedTrialError):
        run_waiting_trial(study, make_objective(study, tmp_path))
    message = "no such thing" if isinstance(error, UserError) else "ValueError: no such thing"
    assert study.trials[0].user_attrs[ERROR] == message


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), UserError("the store is out of reach")])
def test_a_disk_or_a_store_at_fault_ends_the_worker_and_not_the_trial(tmp_path, monkeypatch, error):
    study = make_study(num_trials=1)

    def full(experiment, out, *args, **kwargs):
        # The reason could be written beside the run, but the trial is not at fault.
        run_folder(out, experiment).mkdir(parents=True)
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(objective_module, "run", full)
        with pytest.raises(type(error)):
            run_waiting_trial(study, make_objective(study, tmp_path))
    assert export_state(study.trials[0]) == "interrupted"
    run_waiting_trial(fill_slots(study), make_objective(study, tmp_path))
    assert study.trials[1].state is TrialState.COMPLETE
    assert study.trials[1].params == study.trials[0].params


def test_a_crash_that_cannot_be_written_down_is_the_disks(tmp_path, monkeypatch):
    study = make_study(num_trials=1)

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    def step(*args):
        raise RuntimeError("unexpected end of file")

    monkeypatch.setattr(objective_module, "write_text", full)
    monkeypatch.setattr(SequenceModule, "training_step", step)
    with pytest.raises(OSError, match="No space"):
        run_waiting_trial(study, make_objective(study, tmp_path))
    assert export_state(study.trials[0]) == "interrupted"


def test_a_store_in_trouble_while_parameters_are_chosen_does_not_fail_the_trial(tmp_path, monkeypatch):
    study = make_study(num_trials=1)
    objective = make_objective(study, tmp_path)

    def suggest(self, trial):
        raise exc.OperationalError("", {}, OSError("gone"))

    monkeypatch.setattr(objective_module, "with_retries", partial(with_retries, delays=()))
    monkeypatch.setattr(type(objective.space), "suggest", suggest)
    with pytest.raises(UserError, match="out of reach"):
        run_waiting_trial(study, objective)
    assert ERROR not in study.trials[0].user_attrs


def test_a_run_that_another_process_is_training_is_waited_for_and_read(tmp_path, monkeypatch):
    study = make_study(num_trials=1)
    folder = run_folder(tmp_path, study.spec.experiment(study.spec.default_params(), TUNING_SEED))
    lock = run_lock(folder)
    lock.__enter__()
    waited = []

    def sleep(seconds):
        waited.append(seconds)
        if len(waited) == 3:
            lock.__exit__(None, None, None)

    monkeypatch.setattr(objective_module, "sleep", sleep)
    run_waiting_trial(study, make_objective(study, tmp_path))
    assert waited == [objective_module.BUSY_SECONDS] * 3
    assert study.trials[0].state is TrialState.COMPLETE


@pytest.mark.parametrize("reason", ["told to stop", "taken for dead"])
def test_waiting_for_a_run_ends_when_there_is_nothing_to_wait_for(tmp_path, monkeypatch, reason):
    study = make_study(num_trials=1)
    folder = run_folder(tmp_path, study.spec.experiment(study.spec.default_params(), TUNING_SEED))
    stopped = []

    def sleep(seconds):
        stopped.append(1)
        if reason == "taken for dead":
            fail_trial(study.optuna_study, 0)

    monkeypatch.setattr(objective_module, "sleep", sleep)
    callbacks = {"stop": lambda: bool(stopped)} if reason == "told to stop" else {}
    with run_lock(folder), pytest.raises((InterruptedTrialError, ValueError)) as caught:
        run_waiting_trial(study, make_objective(study, tmp_path, **callbacks))
    assert isinstance(caught.value, InterruptedTrialError if callbacks else ValueError)
    assert study.trials[0].state is TrialState.FAIL
    assert len(stopped) == 1


def test_a_trial_that_was_ended_by_others_is_left_at_its_next_row(tmp_path, monkeypatch):
    study = make_study(num_trials=1)
    rows = []

    def loss(experiment, step):
        rows.append(step)
        if step == 2:
            fail_trial(study.optuna_study, 0)
        return 1.0

    monkeypatch.setattr(objective_module, "run", fake_run(loss))
    objective = make_objective(study, tmp_path)
    trial = study.optuna_study.ask()
    with pytest.raises(TrialLostError):
        objective(trial)
    assert rows == [1, 2]
    assert study.trials[0].values is None


def test_a_trial_whose_slot_another_has_is_a_duplicate(tmp_path, monkeypatch):
    study = make_study(num_trials=1)
    study.optuna_study.enqueue_trial({}, user_attrs={SLOT: 0})
    monkeypatch.setattr(objective_module, "run", fake_run(lambda experiment, step: 1.0))
    study.optuna_study.ask()
    with pytest.raises(DuplicateTrialError):
        run_waiting_trial(study, make_objective(study, tmp_path))
    assert study.trials[1].user_attrs[OUTCOME] == DUPLICATE


@pytest.mark.parametrize(("second", "value"), [("seconds", 2.0), ("parameters", 7.0)])
def test_two_objectives_are_the_loss_and_the_second(tmp_path, monkeypatch, second, value):
    study = make_study(num_trials=3, objectives=("loss", second))
    monkeypatch.setattr(objective_module, "run", fake_run(lambda experiment, step: 1 / step))
    run_waiting_trials(study, make_objective(study, tmp_path))
    assert [trial.values for trial in study.trials] == [[0.25, value]] * 3
    assert all(not trial.intermediate_values for trial in study.trials)


def test_a_result_without_what_is_asked_for_is_refused(tmp_path, monkeypatch):
    study = make_study(num_trials=1, objectives=("loss", "seconds"))
    run = fake_run(lambda experiment, step: 1.0)

    def untimed(*args, **kwargs):
        return SimpleNamespace(**{**vars(run(*args, **kwargs)), "timing": {}})

    monkeypatch.setattr(objective_module, "run", untimed)
    with pytest.raises(UserError, match="says nothing of the seconds; move it away"):
        run_waiting_trial(study, make_objective(study, tmp_path))
    assert export_state(study.trials[0]) == "interrupted"

"""One trial: its value, how it ends, and what is left behind."""

import math
from functools import partial
from types import SimpleNamespace

import optuna
import pytest
from optuna.trial import TrialState
from sqlalchemy import exc

from sweeps import objective as trials
from sweeps.export import export_state, export_trial
from sweeps.objective import DuplicateTrialError, FailedTrialError, InterruptedTrialError, TrialLostError
from sweeps.retry import with_retries
from sweeps.trial_budget import DIVERGED, ENDED, ERROR, IDENTITY, INTERRUPTED, PLACE, SURPLUS, fail_trial
from sweeps.worker import attempt
from tests.sweeps.small_sweeps import filled, narrowed, objective, pretended, study, work
from workbench.checkpoints import LAST
from workbench.config import TUNING_SEED, Optimization
from workbench.errors import UserError
from workbench.files import read_json
from workbench.lightning_module import SequenceModule
from workbench.run_folder import run_folder, run_lock


def folder(opened, out, number=0):
    """The run's of a trial."""
    experiment = opened.spec.experiment(opened.trials[number].params, TUNING_SEED)
    return run_folder(out, experiment)


def test_the_value_is_the_last_validation_loss_of_the_run_of_the_tuning_seed(tmp_path):
    opened = study()
    begun = []
    attempt(opened, objective(opened, tmp_path, begun=lambda *told: begun.append(told)))
    (trial, *_) = opened.trials
    result = read_json(folder(opened, tmp_path) / "result.json")
    assert folder(opened, tmp_path).name == f"seed-{TUNING_SEED}"
    assert trial.value == result["validation"]["loss"]
    assert (result["status"], result["test"]) == ("finished", None), "what tunes must not see the test set"
    assert list(trial.intermediate_values) == [1, 2, 3, 4]
    assert trial.intermediate_values[4] == trial.value
    assert trial.user_attrs[IDENTITY] == result["identity"]
    assert [(number, experiment.seed) for number, experiment in begun] == [(0, TUNING_SEED)]


def test_the_same_configuration_twice_is_read_and_not_trained(tmp_path, monkeypatch):
    opened = study(asked=1)
    attempt(opened, objective(opened, tmp_path))
    opened.study.enqueue_trial(opened.trials[0].params, user_attrs={PLACE: 1})
    monkeypatch.setattr(SequenceModule, "training_step", lambda *given: pytest.fail("trained again"))
    attempt(opened, objective(opened, tmp_path))
    first, second = opened.trials
    assert second.state is TrialState.COMPLETE
    assert (second.value, second.intermediate_values) == (first.value, first.intermediate_values)


def test_a_pruned_trial_leaves_a_checkpoint_and_no_result(tmp_path, monkeypatch):
    opened = study()
    monkeypatch.setattr(optuna.pruners.MedianPruner, "prune", lambda self, study, trial: trial.last_step == 2)
    attempt(opened, objective(opened, tmp_path))
    (trial, *_) = opened.trials
    assert trial.state is TrialState.PRUNED
    assert list(trial.intermediate_values) == [1, 2]
    assert (folder(opened, tmp_path) / LAST).exists()
    assert not (folder(opened, tmp_path) / "result.json").exists()


def test_a_trial_that_is_put_down_goes_on_from_its_checkpoint_with_the_same_rows(tmp_path):
    whole, parts = study(asked=1), study(asked=1)
    attempt(whole, objective(whole, tmp_path / "whole"))
    steps: list[int] = []
    stop = iter([False, False, True])
    with pytest.raises(InterruptedTrialError):
        attempt(parts, objective(parts, tmp_path / "parts", stop=lambda: next(stop)))
    assert export_state(parts.trials[0]) == "interrupted"
    attempt(filled(parts), objective(parts, tmp_path / "parts", progress=steps.append))
    cut, rest = parts.trials
    assert (cut.state, cut.user_attrs[ENDED]) == (TrialState.FAIL, INTERRUPTED)
    assert list(cut.intermediate_values) == [1, 2, 3]
    assert steps[0] == 3, "it began anew"
    assert (rest.value, rest.params) == (whole.trials[0].value, whole.trials[0].params)
    assert rest.intermediate_values == whole.trials[0].intermediate_values


def test_a_run_that_diverged_is_finished_and_no_candidate(tmp_path):
    wild = Optimization(optimizer="sgd", learning_rate=1e30, clip="none")
    opened = study(asked=1, optimization=wild, space={"rnn": narrowed("rnn", learning_rate=None)})
    attempt(opened, objective(opened, tmp_path))
    (trial,) = opened.trials
    result = read_json(folder(opened, tmp_path) / "result.json")
    assert result["status"] == "diverged"
    assert (trial.state, trial.user_attrs[ENDED], export_state(trial)) == (TrialState.PRUNED, DIVERGED, "diverged")
    assert trial.constraints == {DIVERGED: 1.0}
    assert all(math.isfinite(loss) for loss in trial.intermediate_values.values())
    assert export_trial(trial, "").values is None


class BrokenError(Exception):
    pass


def test_a_crash_is_a_failure_with_its_reason_and_other_parameters_take_its_place(tmp_path, monkeypatch):
    opened = study(asked=1)

    def step(*given):
        raise BrokenError("out of\nluck")

    with monkeypatch.context() as patch:
        patch.setattr(SequenceModule, "training_step", step)
        with pytest.raises(FailedTrialError):
            attempt(opened, objective(opened, tmp_path))
    path = folder(opened, tmp_path) / "error.log"
    assert opened.trials[0].user_attrs[ERROR] == f"BrokenError: out of luck (see {path})"
    assert "out of\nluck" in path.read_text()
    assert export_state(opened.trials[0]) == "failed"
    attempt(filled(opened), objective(opened, tmp_path))
    assert opened.trials[1].state is TrialState.COMPLETE
    assert opened.trials[1].params != opened.trials[0].params


@pytest.mark.parametrize("error", [UserError("no such thing"), ValueError("no such\nthing")])
def test_what_cannot_be_built_is_a_failure_too(tmp_path, monkeypatch, error):
    opened = study(asked=1)

    def experiment(self, chosen, seed):
        raise error

    monkeypatch.setattr(type(opened.spec), "experiment", experiment)
    with pytest.raises(FailedTrialError):
        attempt(opened, objective(opened, tmp_path))
    told = "no such thing" if isinstance(error, UserError) else "ValueError: no such thing"
    assert opened.trials[0].user_attrs[ERROR] == told


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), UserError("the store is out of reach")])
def test_a_disk_or_a_store_at_fault_ends_the_worker_and_not_the_trial(tmp_path, monkeypatch, error):
    opened = study(asked=1)

    def full(experiment, out, *given, **told):
        # There is room for the reason beside the run, and still it is not the trial's.
        run_folder(out, experiment).mkdir(parents=True)
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(trials, "run", full)
        with pytest.raises(type(error)):
            attempt(opened, objective(opened, tmp_path))
    assert export_state(opened.trials[0]) == "interrupted"
    attempt(filled(opened), objective(opened, tmp_path))
    assert opened.trials[1].state is TrialState.COMPLETE
    assert opened.trials[1].params == opened.trials[0].params


def test_a_crash_that_cannot_be_written_down_is_the_disks(tmp_path, monkeypatch):
    opened = study(asked=1)

    def full(*given, **told):
        raise OSError(28, "No space left on device")

    def step(*given):
        raise RuntimeError("unexpected end of file")

    monkeypatch.setattr(trials, "write_text", full)
    monkeypatch.setattr(SequenceModule, "training_step", step)
    with pytest.raises(OSError, match="No space"):
        attempt(opened, objective(opened, tmp_path))
    assert export_state(opened.trials[0]) == "interrupted"


def test_a_store_in_trouble_while_parameters_are_chosen_does_not_fail_the_trial(tmp_path, monkeypatch):
    opened = study(asked=1)
    called = objective(opened, tmp_path)

    def choose(self, trial):
        raise exc.OperationalError("", {}, OSError("gone"))

    monkeypatch.setattr(trials, "with_retries", partial(with_retries, pauses=()))
    monkeypatch.setattr(type(called.space), "choose", choose)
    with pytest.raises(UserError, match="out of reach"):
        attempt(opened, called)
    assert ERROR not in opened.trials[0].user_attrs


def test_a_run_that_another_is_at_is_waited_for_and_read(tmp_path, monkeypatch):
    opened = study(asked=1)
    held = run_folder(tmp_path, opened.spec.experiment(opened.spec.default(), TUNING_SEED))
    lock = run_lock(held)
    lock.__enter__()
    waited = []

    def sleep(seconds):
        waited.append(seconds)
        if len(waited) == 3:
            lock.__exit__(None, None, None)

    monkeypatch.setattr(trials, "sleep", sleep)
    attempt(opened, objective(opened, tmp_path))
    assert waited == [trials.BUSY_SECONDS] * 3
    assert opened.trials[0].state is TrialState.COMPLETE


@pytest.mark.parametrize("who", ["told to stop", "taken for dead"])
def test_waiting_for_a_run_ends_when_there_is_nothing_to_wait_for(tmp_path, monkeypatch, who):
    opened = study(asked=1)
    held = run_folder(tmp_path, opened.spec.experiment(opened.spec.default(), TUNING_SEED))
    stopped = []

    def sleep(seconds):
        stopped.append(1)
        if who == "taken for dead":
            fail_trial(opened.study, 0)

    monkeypatch.setattr(trials, "sleep", sleep)
    told = {"stop": lambda: bool(stopped)} if who == "told to stop" else {}
    with run_lock(held), pytest.raises((InterruptedTrialError, ValueError)) as caught:
        attempt(opened, objective(opened, tmp_path, **told))
    assert isinstance(caught.value, InterruptedTrialError if told else ValueError)
    assert opened.trials[0].state is TrialState.FAIL
    assert len(stopped) == 1


def test_a_trial_that_was_ended_by_others_is_left_at_its_next_row(tmp_path, monkeypatch):
    opened = study(asked=1)
    rows = []

    def loss(experiment, step):
        rows.append(step)
        if step == 2:
            fail_trial(opened.study, 0)
        return 1.0

    monkeypatch.setattr(trials, "run", pretended(loss))
    called = objective(opened, tmp_path)
    trial = opened.study.ask()
    with pytest.raises(TrialLostError):
        called(trial)
    assert rows == [1, 2]
    assert opened.trials[0].values is None


def test_a_trial_whose_place_another_has_is_surplus(tmp_path, monkeypatch):
    opened = study(asked=1)
    opened.study.enqueue_trial({}, user_attrs={PLACE: 0})
    monkeypatch.setattr(trials, "run", pretended(lambda experiment, step: 1.0))
    opened.study.ask()
    with pytest.raises(DuplicateTrialError):
        attempt(opened, objective(opened, tmp_path))
    assert opened.trials[1].user_attrs[ENDED] == SURPLUS


@pytest.mark.parametrize(("second", "value"), [("seconds", 2.0), ("parameters", 7.0)])
def test_two_objectives_are_the_loss_and_the_second(tmp_path, monkeypatch, second, value):
    opened = study(asked=3, objectives=("loss", second))
    monkeypatch.setattr(trials, "run", pretended(lambda experiment, step: 1 / step))
    work(opened, objective(opened, tmp_path))
    assert [trial.values for trial in opened.trials] == [[0.25, value]] * 3
    assert all(not trial.intermediate_values for trial in opened.trials)


def test_a_result_without_what_is_asked_for_is_refused(tmp_path, monkeypatch):
    opened = study(asked=1, objectives=("loss", "seconds"))
    run = pretended(lambda experiment, step: 1.0)

    def untimed(*given, **told):
        return SimpleNamespace(**{**vars(run(*given, **told)), "timing": {}})

    monkeypatch.setattr(trials, "run", untimed)
    with pytest.raises(UserError, match="says nothing of the seconds; move it away"):
        attempt(opened, objective(opened, tmp_path))
    assert export_state(opened.trials[0]) == "interrupted"

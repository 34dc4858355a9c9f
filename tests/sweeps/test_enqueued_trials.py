"""Trials that a user enqueues with Optuna: adopted, run first, counted, or refused in a line."""

import optuna
import pytest
from optuna.storages import InMemoryStorage
from optuna.trial import TrialState

from sweeps import objective as objective_module
from sweeps.enqueued_trials import REFUSED, Adoption, adopt_enqueued
from sweeps.export import export_study
from sweeps.objective import InterruptedTrialError
from sweeps.studies import create_studies
from sweeps.trial_budget import DUPLICATE, OUTCOME, count_finished, is_enqueued, slot_of
from sweeps.worker import can_start, is_done, next_study, run_waiting_trial
from tests.sweeps.small_sweeps import fake_run, fill_slots, make_objective, make_study, run_waiting_trials, small_sweep
from workbench.errors import UserError

RATES = (0.011, 0.012, 0.013)


def loss(experiment, step):
    return experiment.optimization.learning_rate


@pytest.fixture(autouse=True)
def _fake_training(monkeypatch):
    monkeypatch.setattr(objective_module, "run", fake_run(loss))


def users_study(study):
    """Returns the study as a user opens it, without anything of the workbench."""
    return optuna.load_study(study_name=study.optuna_study.study_name, storage=study.optuna_study._storage)


def finished(study):
    return [trial for trial in study.trials if trial.state in (TrialState.COMPLETE, TrialState.PRUNED)]


def run_all(study, tmp_path):
    while any(map(can_start, study.trials)):
        run_waiting_trial(study, make_objective(study, tmp_path))


@pytest.mark.parametrize("begun", [None, 0, 2])
def test_three_enqueued_trials_run_first_and_count_among_ten(tmp_path, begun):
    """Before the first run, between its beginning and its first trial, and after two trials."""
    storage = InMemoryStorage()
    if begun is None:
        user = optuna.create_study(storage=storage, study_name="addition/rnn")
    else:
        study = make_study(storage, num_trials=10, pruner="none")
        for _ in range(begun):
            run_waiting_trial(study, make_objective(study, tmp_path))
        user = users_study(study)
    for rate in RATES:
        user.enqueue_trial({"learning_rate": rate})
    (study,) = create_studies(storage, small_sweep(pruner="none").specs(), 10)
    assert adopt_enqueued([study]) == []
    fill_slots(study)
    run_all(study, tmp_path)
    assert is_done(study)
    assert count_finished(study.trials, 10) == 10
    done = sorted(finished(study), key=lambda trial: trial.datetime_start)
    assert len(done) == 10
    first = done[begun or 0 : (begun or 0) + 3]
    assert [trial.params["learning_rate"] for trial in first] == list(RATES)
    assert [is_enqueued(trial) for trial in done].count(True) == 3
    assert sum(trial.params["learning_rate"] == 0.001 for trial in done) == 1, "the default is still tried"
    assert sorted(map(slot_of, done)) == list(range(10))
    exported = export_study(study, seeds=1)
    assert [trial.params["learning_rate"] for trial in exported.trials if trial.enqueued] == list(RATES)
    assert len(exported.trials) == 10, "trials that gave up their places are not told"
    # What is left behind is neither run nor adopted again.
    assert adopt_enqueued([study]) == []
    assert next_study([study]) is None


def test_a_trial_that_has_begun_keeps_its_place(tmp_path):
    study = make_study(num_trials=4)
    with pytest.raises(InterruptedTrialError):
        run_waiting_trial(study, make_objective(study, tmp_path, stop=lambda: True))
    fill_slots(study)
    users_study(study).enqueue_trial({"learning_rate": 0.02})
    adopt_enqueued([study])
    fill_slots(study)
    (adopted,) = [trial for trial in study.trials if is_enqueued(trial)]
    assert slot_of(adopted) == 1, "slot 0 is that of the interrupted trial"
    replaced = [trial for trial in study.trials if trial.user_attrs.get(OUTCOME) == DUPLICATE]
    assert [slot_of(trial) for trial in replaced] == [1]


def test_an_enqueued_trial_whose_process_died_is_tried_again_with_its_parameters(tmp_path):
    study = make_study(num_trials=3)
    users_study(study).enqueue_trial({"learning_rate": 0.02, "hidden_size": 3})
    adopt_enqueued([study])
    # Taken from the queue by a process that dies at once.
    taken = study.optuna_study.ask()
    study.optuna_study.tell(taken.number, state=TrialState.FAIL)
    fill_slots(study)
    run_all(study, tmp_path)
    (again,) = [trial for trial in finished(study) if is_enqueued(trial)]
    assert again.params == {"learning_rate": 0.02, "hidden_size": 3}
    assert again.number != taken.number


def test_those_without_a_place_wait_for_more_trials(tmp_path):
    study = make_study(num_trials=2)
    run_waiting_trials(study, make_objective(study, tmp_path))
    for rate in RATES[:2]:
        users_study(study).enqueue_trial({"learning_rate": rate})
    lines = adopt_enqueued([study])
    assert lines == [
        "addition/rnn: 2 enqueued trials cannot start, since all of its 2 trials have begun; ask for more --trials"
    ]
    told: list[str] = []
    adoption = Adoption(studies=[study], log=told.append)
    for _ in range(2):
        adoption._polled_at = -100.0
        adoption.poll()
    assert told == lines, "once"
    assert is_done(study)
    assert next_study([study]) is None
    (more,) = create_studies(study.optuna_study._storage, small_sweep().specs(), 4)
    assert adopt_enqueued([more]) == []
    fill_slots(more)
    run_all(more, tmp_path)
    assert [trial.params["learning_rate"] for trial in finished(more)][2:] == list(RATES[:2])


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"learning_rat": 0.1}, "the search space has no parameter 'learning_rat'; did you mean 'learning_rate'"),
        ({"learning_rate": 5.0}, "learning_rate is 5.0, which lies outside the search space: .*'high': 0.1"),
        ({"hidden_size": 2.5}, "hidden_size is 2.5, which lies outside"),
        ({"hidden_size": "3"}, "hidden_size is '3', which lies outside"),
        ({"momentum": 0.5}, "momentum is fixed at 0.1 in the search space, so it cannot be 0.5"),
        ({"clip": "none", "clip_at": 1.0}, "clip_at is not used where clip is 'none'; drop one of them"),
    ],
)
def test_what_cannot_be_tried_is_a_line_and_the_others_are_run(tmp_path, params, message):
    space = {
        "learning_rate": {"low": 1e-4, "high": 1e-1, "log": True},
        "hidden_size": {"low": 2, "high": 6},
        "momentum": 0.1,
        "clip": ["none", "value"],
        "clip_at": {"low": 0.1, "high": 10.0, "when": {"clip": "value"}},
    }
    study = make_study(num_trials=3, space={"rnn": {**small_sweep().space["rnn"], **space}})
    user = users_study(study)
    user.enqueue_trial(params)
    user.enqueue_trial({"learning_rate": 0.02, "momentum": 0.1})
    (line,) = adopt_enqueued([study])
    with pytest.raises(UserError, match=message):
        raise UserError(line)
    assert line.startswith("addition/rnn: the enqueued trial 3 is left out: ")
    run_all(study, tmp_path)
    refused = study.trials[3]
    assert refused.state is TrialState.FAIL
    assert refused.user_attrs[REFUSED] in line
    assert len(finished(study)) == 3
    assert 3 not in [trial.number for trial in export_study(study, seeds=1).trials]
    assert adopt_enqueued([study]) == [], "said once"

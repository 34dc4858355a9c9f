"""Samplers and pruners: which parameters are proposed, and which trials are given up."""

import optuna
import pytest
from optuna.samplers._tpe.sampler import _split_trials
from optuna.storages import InMemoryStorage
from optuna.trial import TrialState, create_trial

from sweeps import objective as objective_module
from sweeps.objective import InterruptedTrialError
from sweeps.trial_budget import FINISHED_STATES, SlotNumberedStudy, SlotOrderedStudy, slot_of, with_slot_number
from sweeps.worker import run_waiting_trial
from tests.sweeps.small_sweeps import (
    fake_run,
    fill_slots,
    has_waiting_trial,
    make_objective,
    make_study,
    narrow_space,
    run_waiting_trials,
)

NUM_TRIALS = 24
"""More than the ten random ones."""
CONDITIONAL = {
    "num_layers": {"low": 1, "high": 3},
    "dropout": {"low": 0.0, "high": 0.5, "when": {"num_layers": {"low": 2}}},
    "clip": ["value", "norm", "none"],
    "clip_at": {"low": 0.1, "high": 10.0, "log": True, "when": {"clip": ["value", "norm"]}},
}


def distinct_loss(experiment, step):
    """Returns a loss that differs between configurations; it is the lower the nearer the learning rate is to 0.01."""
    rate = experiment.optimization.learning_rate
    return abs(rate - 0.01) * 100 + experiment.architecture.options["hidden_size"] / 100 + 1 / step


def conditional_study(**changes):
    return make_study(
        num_trials=NUM_TRIALS, space={"lstm": narrow_space("lstm", **CONDITIONAL)}, architectures=("lstm",), **changes
    )


def finished_by_slot(study):
    """Returns the state and the parameters of the finished trial of each slot, in order."""
    by_slot = {slot_of(trial): (trial.state, trial.params) for trial in study.trials if trial.state in FINISHED_STATES}
    assert sorted(by_slot) == list(range(study.num_trials))
    return [by_slot[slot] for slot in range(study.num_trials)]


@pytest.mark.parametrize(
    ("sampler", "trials_before"),
    [
        ("random", 14),
        ("tpe", 3),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in (("random", 0), ("tpe", 0), ("tpe", 11), ("tpe", 22))
        ),
    ],
)
def test_a_sweep_that_was_interrupted_proposes_what_one_that_was_not_does(
    tmp_path, monkeypatch, sampler, trials_before
):
    monkeypatch.setattr(objective_module, "run", fake_run(distinct_loss))
    uninterrupted = conditional_study(sampler=sampler)
    run_waiting_trials(uninterrupted, make_objective(uninterrupted, tmp_path))
    interrupted = conditional_study(sampler=sampler)
    for count in (trials_before, 1):
        for _ in range(count):
            run_waiting_trial(interrupted, make_objective(interrupted, tmp_path))
        with monkeypatch.context() as patch:
            # As if it had been stopped before its first row.
            patch.setattr(objective_module, "run", lambda *args, **kwargs: None)
            with pytest.raises(InterruptedTrialError):
                run_waiting_trial(interrupted, make_objective(interrupted, tmp_path))
        fill_slots(interrupted)
    run_waiting_trials(interrupted, make_objective(interrupted, tmp_path))
    assert len(interrupted.trials) == NUM_TRIALS + 2
    assert finished_by_slot(interrupted) == finished_by_slot(uninterrupted)
    assert len({tuple(params.items()) for _, params in finished_by_slot(uninterrupted)}) == NUM_TRIALS
    states = {state for state, _ in finished_by_slot(uninterrupted)}
    assert states == {TrialState.COMPLETE, TrialState.PRUNED}, "nothing was pruned, so that the test proves less"


def test_random_proposals_depend_on_the_slot_alone():
    one, other = conditional_study(), conditional_study()
    space = one.spec.search_space()
    expected = [space.suggest(one.optuna_study.ask()) for _ in range(NUM_TRIALS)]
    assert expected[0] == space.with_fixed(one.spec.default_params())
    # Another order, as with other workers, some of which finish before others start.
    trials = [other.optuna_study.ask() for _ in range(NUM_TRIALS)]
    for trial in [*trials[5:], *trials[:5]]:
        assert space.suggest(trial) == expected[trial.number]
    # Another seed and another study have other streams.
    for changes in ({"sampler_seed": 1}, {"name": "other"}):
        different = conditional_study(**changes)
        assert [space.suggest(different.optuna_study.ask()) for _ in range(NUM_TRIALS)][1:] != expected[1:]


def test_parameters_of_one_trial_have_nothing_to_do_with_one_another():
    trial = make_study(sampler="random").optuna_study.ask()
    values = [trial.suggest_float(name, 0.0, 1.0) for name in ("x", "y", "z")]
    assert len(set(values)) == 3


def test_what_is_searched_first_is_found_by_the_estimator(tmp_path, monkeypatch):
    """At random, a learning rate lies within a factor of 3 of the best one in a third of all cases."""
    monkeypatch.setattr(objective_module, "run", fake_run(distinct_loss))
    near = {}
    for sampler in ("random", "tpe"):
        study = make_study(num_trials=40, sampler=sampler, pruner="none")
        run_waiting_trials(study, make_objective(study, tmp_path))
        late = [trial.params["learning_rate"] for trial in study.trials[20:]]
        near[sampler] = sum(0.01 / 3 < rate < 0.03 for rate in late)
    assert near["random"] <= 12 < near["tpe"]


@pytest.mark.parametrize("pruner", ["median", "hyperband"])
def test_a_hopeless_trial_is_given_up_and_a_hopeful_one_is_not(tmp_path, monkeypatch, pruner):
    study = make_study(num_trials=30, sampler="random", pruner=pruner)
    numbers: dict[str, int] = {}

    def loss(experiment, step):
        # The later, the better, except every third, which is hopeless from its first step.
        number = numbers.setdefault(experiment.identity, len(numbers))
        return 100.0 + number if number >= 12 and number % 3 == 0 else 10.0 - number / 10

    monkeypatch.setattr(objective_module, "run", fake_run(loss))
    run_waiting_trials(study, make_objective(study, tmp_path))
    assert study.spec.pruner == pruner
    hopeless = [trial for trial in study.trials if trial.number >= 12 and trial.number % 3 == 0]
    hopeful = [trial for trial in study.trials if trial not in hopeless]
    assert len(hopeless) == 6
    assert {trial.state for trial in hopeful} == {TrialState.COMPLETE}
    # Hyperband runs some to their end on purpose.
    pruned = [trial for trial in hopeless if trial.state is TrialState.PRUNED]
    assert len(pruned) == 6 if pruner == "median" else len(pruned) >= 1
    assert all(len(trial.intermediate_values) < study.spec.budget.steps for trial in pruned)


def test_nothing_is_given_up_in_the_first_fifth_nor_among_the_first_five(tmp_path, monkeypatch):
    study = make_study(num_trials=8, sampler="random", budget=make_study().spec.budget.__class__(steps=20, log_every=1))
    seen = []

    def loss(experiment, step):
        seen.extend([experiment.identity] if experiment.identity not in seen else [])
        return float(len(seen))

    monkeypatch.setattr(objective_module, "run", fake_run(loss))
    run_waiting_trials(study, make_objective(study, tmp_path))
    lengths = [len(trial.intermediate_values) for trial in study.trials]
    assert lengths == [20] * 5 + [4] * 3


def test_two_objectives_are_never_given_up(tmp_path, monkeypatch):
    study = make_study(num_trials=8, objectives=("loss", "seconds"))
    number = iter(range(1000))
    monkeypatch.setattr(objective_module, "run", fake_run(lambda experiment, step: next(number)))
    run_waiting_trials(study, make_objective(study, tmp_path))
    assert {trial.state for trial in study.trials} == {TrialState.COMPLETE}


def test_diverged_trials_rank_below_all_others_for_the_estimator(tmp_path, monkeypatch):
    study = make_study(num_trials=6, sampler="tpe", startup_trials=2)
    count: dict[str, int] = {}

    def loss(experiment, step):
        return float(count.setdefault(experiment.identity, len(count)))

    normal = fake_run(loss)
    diverging = fake_run(lambda experiment, step: -1.0)

    def run(experiment, out, machine, **callbacks):
        count.setdefault(experiment.identity, len(count))
        if count[experiment.identity] == 2:
            finished = diverging(experiment, out, machine, **callbacks)
            finished.diverged, finished.result = True, {"diverged_at": 4, "validation": None}
            return finished
        return normal(experiment, out, machine, **callbacks)

    monkeypatch.setattr(objective_module, "run", run)
    monkeypatch.setattr(optuna.pruners.MedianPruner, "prune", lambda *args: count[list(count)[-1]] == 4)
    run_waiting_trials(study, make_objective(study, tmp_path))
    states = [trial.state for trial in study.trials]
    assert states[2] == states[4] == TrialState.PRUNED
    for num_better in range(1, 6):
        better, worse = _split_trials(study.optuna_study, study.trials, num_better)
        assert 2 in [trial.number for trial in worse], f"of the best {num_better}, one had diverged"
        assert len(better) == num_better


def test_the_estimator_sees_trials_in_the_order_of_their_slots():
    study = make_study(InMemoryStorage(), num_trials=3)
    for _ in range(3):
        trial = study.optuna_study.ask()
        study.optuna_study.tell(trial, state=TrialState.FAIL if trial.number == 1 else None, values=None
                          if trial.number == 1 else 1.0)  # fmt: skip
    fill_slots(study)
    study.optuna_study.tell(study.optuna_study.ask(), 2.0)
    assert isinstance(study.optuna_study, SlotOrderedStudy)
    trials = SlotNumberedStudy(study.optuna_study).get_trials(states=FINISHED_STATES)
    assert [(trial.number, trial.value) for trial in trials] == [(0, 1.0), (1, 2.0), (2, 1.0)]
    assert [trial.number for trial in study.trials] == [0, 1, 2, 3], "those of the store are unchanged"
    assert with_slot_number(create_trial(value=1.0)).number == -1
    assert not has_waiting_trial(study)


def test_retried_trials_come_first():
    study = make_study(InMemoryStorage(), num_trials=4)
    study.optuna_study.tell(study.optuna_study.ask(), 1.0)
    study.optuna_study.tell(study.optuna_study.ask(), state=TrialState.FAIL)
    fill_slots(study)
    assert [slot_of(study.trials[study.optuna_study.ask().number]) for _ in range(3)] == [1, 2, 3]

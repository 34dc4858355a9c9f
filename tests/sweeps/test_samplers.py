"""What is proposed, to whom, and what is given up."""

import optuna
import pytest
from optuna.samplers._tpe.sampler import _split_trials
from optuna.storages import InMemoryStorage
from optuna.trial import TrialState, create_trial

from sweeps import objective as trials
from sweeps.objective import InterruptedTrialError
from sweeps.trial_budget import FINISHED, SlotNumberedStudy, SlotOrderedStudy, slot_of, with_slot_number
from sweeps.worker import attempt
from tests.sweeps.small_sweeps import filled, narrowed, objective, pretended, study, waiting, work

ASKED = 24
"""More than the ten by chance."""
CONDITIONAL = {
    "num_layers": {"low": 1, "high": 3},
    "dropout": {"low": 0.0, "high": 0.5, "when": {"num_layers": {"low": 2}}},
    "clip": ["value", "norm", "none"],
    "clip_at": {"low": 0.1, "high": 10.0, "log": True, "when": {"clip": ["value", "norm"]}},
}


def rough(experiment, step):
    """A loss that no two configurations have in common, the lower the nearer the learning rate is to 0.01."""
    rate = experiment.optimization.learning_rate
    return abs(rate - 0.01) * 100 + experiment.architecture.options["hidden_size"] / 100 + 1 / step


def conditional(**changed):
    return study(asked=ASKED, space={"lstm": narrowed("lstm", **CONDITIONAL)}, architectures=("lstm",), **changed)


def by_place(opened):
    """The parameters of each place, in its order."""
    found = {slot_of(trial): (trial.state, trial.params) for trial in opened.trials if trial.state in FINISHED}
    assert sorted(found) == list(range(opened.asked))
    return [found[place] for place in range(opened.asked)]


@pytest.mark.parametrize("sampler", ["random", "tpe"])
@pytest.mark.parametrize("interrupted", [0, 3, 11, 14, 22])
def test_a_sweep_that_was_interrupted_proposes_what_one_that_was_not_does(tmp_path, monkeypatch, sampler, interrupted):
    monkeypatch.setattr(trials, "run", pretended(rough))
    whole = conditional(sampler=sampler)
    work(whole, objective(whole, tmp_path))
    cut = conditional(sampler=sampler)
    for rest in (interrupted, 1):
        for _ in range(rest):
            attempt(cut, objective(cut, tmp_path))
        with monkeypatch.context() as patch:
            # As if it had been stopped before its first row.
            patch.setattr(trials, "run", lambda *given, **told: None)
            with pytest.raises(InterruptedTrialError):
                attempt(cut, objective(cut, tmp_path))
        filled(cut)
    work(cut, objective(cut, tmp_path))
    assert len(cut.trials) == ASKED + 2
    assert by_place(cut) == by_place(whole)
    assert len({tuple(params.items()) for _, params in by_place(whole)}) == ASKED
    states = {state for state, _ in by_place(whole)}
    assert states == {TrialState.COMPLETE, TrialState.PRUNED}, "nothing was pruned, which proves less"


def test_what_is_proposed_by_chance_depends_on_the_place_alone():
    one, other = conditional(), conditional()
    space = one.spec.searched()
    expected = [space.choose(one.study.ask()) for _ in range(ASKED)]
    assert expected[0] == space.filled(one.spec.default())
    # Another order, as of other workers, some of whom are done before others begin.
    asked = [other.study.ask() for _ in range(ASKED)]
    for trial in [*asked[5:], *asked[:5]]:
        assert space.choose(trial) == expected[trial.number]
    # Another seed and another study are other streams.
    for changed in ({"sampler_seed": 1}, {"name": "other"}):
        different = conditional(**changed)
        assert [space.choose(different.study.ask()) for _ in range(ASKED)][1:] != expected[1:]


def test_parameters_of_one_trial_have_nothing_to_do_with_one_another():
    trial = study(sampler="random").study.ask()
    drawn = [trial.suggest_float(name, 0.0, 1.0) for name in ("x", "y", "z")]
    assert len(set(drawn)) == 3


def test_what_is_searched_first_is_found_by_the_estimator(tmp_path, monkeypatch):
    """By chance a learning rate lies within a factor of 3 of the best one in a third of all cases."""
    monkeypatch.setattr(trials, "run", pretended(rough))
    near = {}
    for sampler in ("random", "tpe"):
        opened = study(asked=40, sampler=sampler, pruner="none")
        work(opened, objective(opened, tmp_path))
        late = [trial.params["learning_rate"] for trial in opened.trials[20:]]
        near[sampler] = sum(0.01 / 3 < rate < 0.03 for rate in late)
    assert near["random"] <= 12 < near["tpe"]


@pytest.mark.parametrize("pruner", ["median", "hyperband"])
def test_a_hopeless_trial_is_given_up_and_a_hopeful_one_is_not(tmp_path, monkeypatch, pruner):
    opened = study(asked=30, sampler="random", pruner=pruner)
    best: dict[str, int] = {}

    def loss(experiment, step):
        # The later, the better, save every third, which is hopeless from its first step.
        number = best.setdefault(experiment.identity, len(best))
        return 100.0 + number if number >= 12 and number % 3 == 0 else 10.0 - number / 10

    monkeypatch.setattr(trials, "run", pretended(loss))
    work(opened, objective(opened, tmp_path))
    assert opened.spec.pruner == pruner
    hopeless = [trial for trial in opened.trials if trial.number >= 12 and trial.number % 3 == 0]
    hopeful = [trial for trial in opened.trials if trial not in hopeless]
    assert len(hopeless) == 6
    assert {trial.state for trial in hopeful} == {TrialState.COMPLETE}
    # Hyperband sees some through to their end on purpose.
    pruned = [trial for trial in hopeless if trial.state is TrialState.PRUNED]
    assert len(pruned) == 6 if pruner == "median" else len(pruned) >= 1
    assert all(len(trial.intermediate_values) < opened.spec.budget.steps for trial in pruned)


def test_nothing_is_given_up_in_the_first_fifth_nor_among_the_first_five(tmp_path, monkeypatch):
    opened = study(asked=8, sampler="random", budget=study().spec.budget.__class__(steps=20, log_every=1))
    seen = []

    def loss(experiment, step):
        seen.extend([experiment.identity] if experiment.identity not in seen else [])
        return float(len(seen))

    monkeypatch.setattr(trials, "run", pretended(loss))
    work(opened, objective(opened, tmp_path))
    lengths = [len(trial.intermediate_values) for trial in opened.trials]
    assert lengths == [20] * 5 + [4] * 3


def test_two_objectives_are_never_given_up(tmp_path, monkeypatch):
    opened = study(asked=8, objectives=("loss", "seconds"))
    number = iter(range(1000))
    monkeypatch.setattr(trials, "run", pretended(lambda experiment, step: next(number)))
    work(opened, objective(opened, tmp_path))
    assert {trial.state for trial in opened.trials} == {TrialState.COMPLETE}


def test_what_diverged_is_below_everything_for_the_estimator(tmp_path, monkeypatch):
    opened = study(asked=6, sampler="tpe", startup_trials=2)
    count: dict[str, int] = {}

    def loss(experiment, step):
        return float(count.setdefault(experiment.identity, len(count)))

    whole = pretended(loss)
    diverging = pretended(lambda experiment, step: -1.0)

    def run(experiment, out, machine, **told):
        count.setdefault(experiment.identity, len(count))
        if count[experiment.identity] == 2:
            found = diverging(experiment, out, machine, **told)
            found.diverged, found.result = True, {"diverged_at": 4, "validation": None}
            return found
        return whole(experiment, out, machine, **told)

    monkeypatch.setattr(trials, "run", run)
    monkeypatch.setattr(optuna.pruners.MedianPruner, "prune", lambda *given: count[list(count)[-1]] == 4)
    work(opened, objective(opened, tmp_path))
    states = [trial.state for trial in opened.trials]
    assert states[2] == states[4] == TrialState.PRUNED
    for below in range(1, 6):
        better, worse = _split_trials(opened.study, opened.trials, below)
        assert 2 in [trial.number for trial in worse], f"of the best {below}, one had diverged"
        assert len(better) == below


def test_the_estimator_sees_trials_by_their_places():
    opened = study(InMemoryStorage(), asked=3)
    for _ in range(3):
        trial = opened.study.ask()
        opened.study.tell(trial, state=TrialState.FAIL if trial.number == 1 else None, values=None
                          if trial.number == 1 else 1.0)  # fmt: skip
    filled(opened)
    opened.study.tell(opened.study.ask(), 2.0)
    assert isinstance(opened.study, SlotOrderedStudy)
    found = SlotNumberedStudy(opened.study).get_trials(states=FINISHED)
    assert [(trial.number, trial.value) for trial in found] == [(0, 1.0), (1, 2.0), (2, 1.0)]
    assert [trial.number for trial in opened.trials] == [0, 1, 2, 3], "the store's own are as they were"
    assert with_slot_number(create_trial(value=1.0)).number == -1
    assert not waiting(opened)


def test_trials_that_are_begun_again_come_first():
    opened = study(InMemoryStorage(), asked=4)
    opened.study.tell(opened.study.ask(), 1.0)
    opened.study.tell(opened.study.ask(), state=TrialState.FAIL)
    filled(opened)
    assert [slot_of(opened.trials[opened.study.ask().number]) for _ in range(3)] == [1, 2, 3]

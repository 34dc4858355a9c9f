"""What is written down of a study, who watches it, and who is trained anew."""

import pytest
from optuna.storages import InMemoryStorage
from optuna.trial import TrialState, create_trial

from sweeps import objective as trials
from sweeps.export import best_trial, export_study, importances, write_studies
from sweeps.final_runs import final_experiments, study_names, winning_trial
from sweeps.monitor import Monitor
from sweeps.trial_budget import DIVERGED, ENDED, ERROR, INTERRUPTED, PLACE, SURPLUS
from tests.sweeps.small_sweeps import objective, pretended, study, work
from workbench import study_files
from workbench.config import TUNING_SEED


def put(opened, value=None, state=TrialState.COMPLETE, place=0, **attributes):
    """A trial that somebody has had."""
    params, distributions = {}, {}
    for trial in opened.trials:
        if trial.params:
            params, distributions = trial.params, trial.distributions
    opened.study.add_trial(
        create_trial(
            state=state,
            value=value,
            params=params,
            distributions=distributions,
            user_attrs={PLACE: place, **attributes},
            intermediate_values={2: 0.5, 1: 0.75, 3: float("nan")},
        )
    )


def won(opened):
    """The number of the winner; `None` where there is none."""
    best = best_trial(opened.trials)
    return None if best is None else best.number


def test_a_study_is_written_down_with_every_state_in_the_benchs_words(tmp_path):
    opened = study(asked=2)
    opened.spec.searched().choose(opened.study.ask())
    for state, attributes in [
        (TrialState.PRUNED, {}),
        (TrialState.PRUNED, {ENDED: DIVERGED}),
        (TrialState.FAIL, {ENDED: INTERRUPTED}),
        (TrialState.FAIL, {ERROR: "bad"}),
        (TrialState.FAIL, {ENDED: SURPLUS}),
        (TrialState.FAIL, {}),
    ]:
        put(opened, state=state, **attributes)
    put(opened, 0.25, identity="abc")
    write_studies(tmp_path, opened, seeds=3)
    (read,) = study_files.read(tmp_path)
    assert read == export_study(opened, 3)
    states = [trial.state for trial in read.trials]
    assert states == ["running", "waiting", "pruned", "diverged", "interrupted", "failed", "interrupted", "complete"]
    assert [trial.number for trial in read.trials] == [0, 1, 2, 3, 4, 5, 7, 8]
    assert read.trials[2].intermediate == ((1, 0.75), (2, 0.5))
    assert read.trials[5].error == "bad"
    assert (read.winner, read.winner_identity, read.seeds, read.asked) == (8, "abc", 3, 2)
    assert read.default_identity == opened.spec.experiment({}, 0).identity


def test_the_winner_has_the_lowest_validation_loss_and_of_equals_the_lowest_number():
    opened = study(InMemoryStorage(), asked=1)
    assert won(opened) is None
    for place, value in enumerate([0.5, 0.25, 0.75, 0.25]):
        put(opened, value, place=place)
    put(opened, 0.0, place=-1)
    assert won(opened) == 2
    assert export_study(opened, 1).winner == 2
    assert all(trial.place >= 0 for trial in export_study(opened, 1).trials), "somebody else's are none of the budget"
    put(opened, state=TrialState.PRUNED, place=5)
    assert won(opened) == 2


def test_the_winner_and_the_untuned_are_trained_on_fresh_seeds_and_told_apart(tmp_path, monkeypatch):
    opened = study(asked=5)
    monkeypatch.setattr(trials, "run", pretended(lambda experiment, step: 1 / experiment.optimization.learning_rate))
    assert [experiment.identity for experiment in final_experiments([opened], 1)] == [
        opened.spec.experiment({}, 0).identity
    ]
    assert study_names([opened])(final_experiments([opened], 1)[0]) == "addition/rnn default seed 0"
    work(opened, objective(opened, tmp_path))
    best = min(opened.trials, key=lambda trial: trial.values[0])
    params = winning_trial(opened)
    assert params is not None
    assert best.params == {key: value for key, value in params.items() if key in best.params}
    made = final_experiments([opened], 2)
    untuned = opened.spec.experiment({}, 0)
    assert [(each.seed, each.identity) for each in made] == [
        (seed, identity) for seed in (0, 1) for identity in (best.user_attrs["identity"], untuned.identity)
    ]
    assert all(each.seed < TUNING_SEED for each in made)
    assert made[0].optimization.learning_rate == best.params["learning_rate"]
    assert [study_names([opened])(each) for each in made] == [
        f"addition/rnn {kind} seed {seed}" for seed in (0, 1) for kind in ("tuned", "default")
    ]


def test_a_default_that_wins_is_trained_once_and_called_both(tmp_path, monkeypatch):
    opened = study(asked=3)
    default = opened.spec.experiment({}, 0).identity
    monkeypatch.setattr(trials, "run", pretended(lambda experiment, step: float(experiment.identity != default)))
    work(opened, objective(opened, tmp_path))
    made = final_experiments([opened], 2)
    assert [each.seed for each in made] == [0, 1]
    assert study_names([opened])(made[1]) == "addition/rnn default = addition/rnn tuned seed 1"


def test_importances_add_up_and_need_differences(tmp_path, monkeypatch):
    opened = study(asked=3)
    monkeypatch.setattr(trials, "run", pretended(lambda experiment, step: experiment.optimization.learning_rate))
    work(opened, objective(opened, tmp_path))
    assert importances(opened) is None
    opened = study(asked=40, sampler="random", pruner="none")
    work(opened, objective(opened, tmp_path))
    found = importances(opened)
    assert found is not None
    assert sum(found.values()) == pytest.approx(1)
    assert found["learning_rate"] > 0.8


def test_what_has_ended_is_told_once_and_what_was_there_before_is_not(tmp_path, monkeypatch):
    opened = study(asked=2)
    now = [100.0]
    monkeypatch.setattr("sweeps.monitor.time.monotonic", lambda: now[0])
    opened.spec.searched().choose(opened.study.ask())
    put(opened, 0.5)
    told = []
    watch = Monitor(studies=[opened], out=tmp_path, seeds=1, ended=lambda of, trial: told.append(trial.state))
    assert [each.name for each in watch.begin()] == ["addition/rnn"]
    watch.look()
    assert told == []
    put(opened, 0.25)
    put(opened, state=TrialState.FAIL, **{ERROR: "bad"})
    put(opened, state=TrialState.FAIL, **{ENDED: INTERRUPTED})
    watch.look()
    assert told == [], "it looks at most once a second"
    now[0] += 1
    watch.look()
    watch.look()
    assert told == ["complete", "failed"]
    assert study_files.read(tmp_path)[0].winner == 2
    now[0] += 15
    watch.look()
    assert study_files.read(tmp_path)[0].winner == 3
    assert watch.end()[0].winner == 3
    assert told == ["complete", "failed"]

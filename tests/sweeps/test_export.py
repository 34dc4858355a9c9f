"""Exported studies, the monitor that writes them, and the final runs of their winners."""

import pytest
from optuna.storages import InMemoryStorage
from optuna.trial import TrialState, create_trial

from sweeps import objective as objective_module
from sweeps.export import best_trial, export_study, param_importances, write_study
from sweeps.final_runs import final_experiments, final_run_names, winning_params
from sweeps.monitor import Monitor
from sweeps.trial_budget import DIVERGED, DUPLICATE, ERROR, INTERRUPTED, OUTCOME, SLOT
from tests.sweeps.small_sweeps import fake_run, make_objective, make_study, run_waiting_trials
from workbench import study_files
from workbench.config import TUNING_SEED


def add_trial(study, value=None, state=TrialState.COMPLETE, slot=0, **attributes):
    """Adds a trial that has ended to the study."""
    params, distributions = {}, {}
    for trial in study.trials:
        if trial.params:
            params, distributions = trial.params, trial.distributions
    study.optuna_study.add_trial(
        create_trial(
            state=state,
            value=value,
            params=params,
            distributions=distributions,
            user_attrs={SLOT: slot, **attributes},
            intermediate_values={2: 0.5, 1: 0.75, 3: float("nan")},
        )
    )


def winner_number(study):
    """Returns the number of the winning trial; `None` if there is no winner."""
    best = best_trial(study.trials)
    return None if best is None else best.number


def test_a_study_is_exported_with_every_state(tmp_path):
    study = make_study(num_trials=2)
    study.spec.search_space().suggest(study.optuna_study.ask())
    for state, attributes in [
        (TrialState.PRUNED, {}),
        (TrialState.PRUNED, {OUTCOME: DIVERGED}),
        (TrialState.FAIL, {OUTCOME: INTERRUPTED}),
        (TrialState.FAIL, {ERROR: "bad"}),
        (TrialState.FAIL, {OUTCOME: DUPLICATE}),
        (TrialState.FAIL, {}),
    ]:
        add_trial(study, state=state, **attributes)
    add_trial(study, 0.25, identity="abc")
    write_study(tmp_path, study, seeds=3)
    (exported,) = study_files.read_studies(tmp_path)
    assert exported == export_study(study, 3)
    states = [trial.state for trial in exported.trials]
    assert states == ["running", "waiting", "pruned", "diverged", "interrupted", "failed", "interrupted", "complete"]
    assert [trial.number for trial in exported.trials] == [0, 1, 2, 3, 4, 5, 7, 8]
    assert exported.trials[2].intermediate == ((1, 0.75), (2, 0.5))
    assert exported.trials[5].error == "bad"
    assert (exported.winner, exported.winner_identity, exported.seeds, exported.asked) == (8, "abc", 3, 2)
    assert exported.default_identity == study.spec.experiment({}, 0).identity


def test_the_winner_has_the_lowest_validation_loss_and_of_equals_the_lowest_number():
    study = make_study(InMemoryStorage(), num_trials=1)
    assert winner_number(study) is None
    for slot, value in enumerate([0.5, 0.25, 0.75, 0.25]):
        add_trial(study, value, slot=slot)
    add_trial(study, 0.0, slot=-1)
    assert winner_number(study) == 2
    assert export_study(study, 1).winner == 2
    assert all(trial.place >= 0 for trial in export_study(study, 1).trials), "trials without a slot do not count"
    add_trial(study, state=TrialState.PRUNED, slot=5)
    assert winner_number(study) == 2


def test_the_winner_and_the_default_are_trained_on_fresh_seeds_and_named_apart(tmp_path, monkeypatch):
    study = make_study(num_trials=5)
    monkeypatch.setattr(
        objective_module, "run", fake_run(lambda experiment, step: 1 / experiment.optimization.learning_rate)
    )
    assert [experiment.identity for experiment in final_experiments([study], 1)] == [
        study.spec.experiment({}, 0).identity
    ]
    assert final_run_names([study])(final_experiments([study], 1)[0]) == "addition/rnn default seed 0"
    run_waiting_trials(study, make_objective(study, tmp_path))
    best = min(study.trials, key=lambda trial: trial.values[0])
    params = winning_params(study)
    assert params is not None
    assert best.params == {key: value for key, value in params.items() if key in best.params}
    experiments = final_experiments([study], 2)
    default = study.spec.experiment({}, 0)
    assert [(experiment.seed, experiment.identity) for experiment in experiments] == [
        (seed, identity) for seed in (0, 1) for identity in (best.user_attrs["identity"], default.identity)
    ]
    assert all(experiment.seed < TUNING_SEED for experiment in experiments)
    assert experiments[0].optimization.learning_rate == best.params["learning_rate"]
    assert [final_run_names([study])(experiment) for experiment in experiments] == [
        f"addition/rnn {role} seed {seed}" for seed in (0, 1) for role in ("tuned", "default")
    ]


def test_a_default_that_wins_is_trained_once_and_called_both(tmp_path, monkeypatch):
    study = make_study(num_trials=3)
    default = study.spec.experiment({}, 0).identity
    monkeypatch.setattr(
        objective_module, "run", fake_run(lambda experiment, step: float(experiment.identity != default))
    )
    run_waiting_trials(study, make_objective(study, tmp_path))
    experiments = final_experiments([study], 2)
    assert [experiment.seed for experiment in experiments] == [0, 1]
    assert final_run_names([study])(experiments[1]) == "addition/rnn default = addition/rnn tuned seed 1"


def test_importances_add_up_and_need_differences(tmp_path, monkeypatch):
    study = make_study(num_trials=3)
    monkeypatch.setattr(
        objective_module, "run", fake_run(lambda experiment, step: experiment.optimization.learning_rate)
    )
    run_waiting_trials(study, make_objective(study, tmp_path))
    assert param_importances(study) is None
    study = make_study(num_trials=40, sampler="random", pruner="none")
    run_waiting_trials(study, make_objective(study, tmp_path))
    shares = param_importances(study)
    assert shares is not None
    assert sum(shares.values()) == pytest.approx(1)
    assert shares["learning_rate"] > 0.8


def test_trials_that_end_are_reported_once_and_earlier_ones_are_not(tmp_path, monkeypatch):
    study = make_study(num_trials=2)
    now = [100.0]
    monkeypatch.setattr("sweeps.monitor.time.monotonic", lambda: now[0])
    study.spec.search_space().suggest(study.optuna_study.ask())
    add_trial(study, 0.5)
    ended = []
    monitor = Monitor(
        studies=[study], out=tmp_path, seeds=1, on_trial_end=lambda study, trial: ended.append(trial.state)
    )
    assert [study.name for study in monitor.start()] == ["addition/rnn"]
    monitor.poll()
    assert ended == []
    add_trial(study, 0.25)
    add_trial(study, state=TrialState.FAIL, **{ERROR: "bad"})
    add_trial(study, state=TrialState.FAIL, **{OUTCOME: INTERRUPTED})
    monitor.poll()
    assert ended == [], "it polls at most once a second"
    now[0] += 1
    monitor.poll()
    monitor.poll()
    assert ended == ["complete", "failed"]
    assert study_files.read_studies(tmp_path)[0].winner == 2
    now[0] += 15
    monitor.poll()
    assert study_files.read_studies(tmp_path)[0].winner == 3
    assert monitor.finish()[0].winner == 3
    assert ended == ["complete", "failed"]

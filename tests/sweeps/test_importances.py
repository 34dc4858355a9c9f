"""Importances of parameters in a study with two objectives."""

import pytest

from sweeps import objective as objective_module
from sweeps.export import param_importances
from tests.sweeps.small_sweeps import fake_run, make_objective, make_study, run_waiting_trials


def test_with_two_objectives_importances_are_of_the_loss_and_nothing_is_warned_of(tmp_path, monkeypatch):
    study = make_study(num_trials=40, sampler="random", objectives=("loss", "parameters"))
    monkeypatch.setattr(
        objective_module, "run", fake_run(lambda experiment, step: experiment.optimization.learning_rate)
    )
    run_waiting_trials(study, make_objective(study, tmp_path))
    # A warning would be an error here.
    shares = param_importances(study)
    assert shares is not None
    assert sum(shares.values()) == pytest.approx(1)
    assert shares["learning_rate"] > 0.8

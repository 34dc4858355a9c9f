"""What a sweep of two objectives says of its parameters: of those in the loss, and quietly."""

import pytest

from sweeps import objective as trials
from sweeps.export import importances
from tests.sweeps.small_sweeps import objective, pretended, study, work


def test_with_two_objectives_importances_are_of_the_loss_and_nothing_is_warned_of(tmp_path, monkeypatch):
    opened = study(asked=40, sampler="random", objectives=("loss", "parameters"))
    monkeypatch.setattr(trials, "run", pretended(lambda experiment, step: experiment.optimization.learning_rate))
    work(opened, objective(opened, tmp_path))
    # A warning would be an error here.
    found = importances(opened)
    assert found is not None
    assert sum(found.values()) == pytest.approx(1)
    assert found["learning_rate"] > 0.8

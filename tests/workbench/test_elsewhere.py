"""Training where the model is not on the CPU: the same numbers come of it, and nothing is left behind."""

from dataclasses import replace

import pytest
import torch

import architectures
from architectures.state import detach
from tests.elsewhere import ELSEWHERE, Away
from tests.workbench.experiments import small
from workbench import tasks
from workbench.learner import Learner

OPTIONS = {"multicopy": {"copies": 2}, "mnist": {"pool": 4}, "mnist-permuted": {"pool": 4}, "digits": {}}


def told(learner):
    """The losses of two batches, with what is carried over, whose gradients stay; then all scores of a fixed set."""
    state, found = None, []
    for step in range(2):
        scores, after = learner.scores(learner.training_batch(step), state)
        scores["loss"].backward()
        state = detach(after) if learner.task.stateful else None
        found.append(scores["loss"].item())
    return [*found, *learner.evaluate("validation").values()]


@pytest.mark.parametrize("name", architectures.names())
@pytest.mark.parametrize("task", tasks.names())
def test_the_same_comes_of_training_elsewhere(task, name, request, monkeypatch):
    # The compiled kernels round otherwise.
    monkeypatch.setenv("WORKBENCH_BACKEND", "eager")
    experiment = small(name, task, task_options=OPTIONS.get(task, {"length": 8}))
    experiment = replace(experiment, budget=replace(experiment.budget, evaluation_size=4))
    here, there = Learner(experiment), Learner(experiment)
    expected = told(here)
    request.getfixturevalue("elsewhere")
    there.to(ELSEWHERE)
    assert told(there) == pytest.approx(expected, rel=1e-4, abs=1e-5)
    for (label, one), other in zip(here.named_parameters(), there.parameters(), strict=True):
        assert isinstance(other.grad, Away), label
        torch.testing.assert_close(other.grad.held, one.grad, rtol=1e-3, atol=1e-5, msg=label)

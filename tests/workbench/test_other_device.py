"""Training where the model is not on the CPU: the same numbers come of it, and nothing is left behind."""

from dataclasses import replace

import pytest
import torch

import architectures
from architectures.state import detach, map_state
from tests.other_device import ELSEWHERE, Away
from tests.workbench.experiments import small
from workbench import tasks
from workbench.config import Numerics
from workbench.lightning_module import SequenceModule

OPTIONS = {"multicopy": {"copies": 2}, "mnist": {"pool": 4}, "mnist-permuted": {"pool": 4}, "digits": {}}


@pytest.fixture(autouse=True)
def _plain(monkeypatch):
    # The compiled kernels round otherwise.
    monkeypatch.setenv("WORKBENCH_BACKEND", "eager")


def made(name, task, draw="cpu"):
    experiment = small(name, task, task_options=OPTIONS.get(task, {"length": 8}))
    return replace(experiment, budget=replace(experiment.budget, evaluation_size=4), numerics=Numerics(draw=draw))


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
def test_the_same_comes_of_training_elsewhere(task, name, request):
    experiment = made(name, task)
    here, there = SequenceModule(experiment), SequenceModule(experiment)
    expected = told(here)
    request.getfixturevalue("elsewhere")
    there.to(ELSEWHERE)
    assert told(there) == pytest.approx(expected, rel=1e-4, abs=1e-5)
    for (label, one), other in zip(here.named_parameters(), there.parameters(), strict=True):
        assert isinstance(other.grad, Away), label
        torch.testing.assert_close(other.grad.held, one.grad, rtol=1e-3, atol=1e-5, msg=label)


@pytest.mark.parametrize("task", tasks.names())
def test_what_is_drawn_elsewhere_is_there(task, request):
    """The pretended device draws what the CPU draws."""
    here = SequenceModule(made("gru", task))
    expected = here.training_batch(3)
    request.getfixturevalue("elsewhere")
    there = SequenceModule(made("gru", task, draw="device")).to(ELSEWHERE)
    found = there.training_batch(3)
    for label in ("x", "target", "lengths", "recall", "source"):
        one, other = getattr(expected, label), getattr(found, label)
        assert (one is None) == (other is None), label
        if one is not None:
            assert isinstance(other, Away), label
            assert torch.equal(other.held, one), label
    assert there.scores(found)[0]["loss"].item() == pytest.approx(here.scores(expected)[0]["loss"].item(), rel=1e-4)


def test_what_a_checkpoint_carries_over_goes_to_the_model(request, monkeypatch):
    """It is read to the CPU."""
    experiment = made("gru", "text")
    here = SequenceModule(experiment)
    carried = detach(here.scores(here.training_batch(0))[1])
    monkeypatch.setattr(SequenceModule, "global_step", 1)
    here.carried = carried
    expected = here.training_step(None, 1)["loss"].item()
    here.carried = map_state(torch.zeros_like, carried)
    assert here.training_step(None, 1)["loss"].item() != expected
    request.getfixturevalue("elsewhere")
    there = SequenceModule(experiment).to(ELSEWHERE)
    there.carried = carried
    assert there.training_step(None, 1)["loss"].item() == pytest.approx(expected, rel=1e-5)

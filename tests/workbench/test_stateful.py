"""A task that goes on where it stopped: what is carried over, and that a stop on the way changes nothing."""

import itertools

import pytest
import torch

import architectures
from tests.workbench.experiments import finish, small
from workbench.errors import UserError
from workbench.lightning_module import SequenceModule
from workbench.run import run
from workbench.run_folder import run_folder
from workbench.tasks.text import NextCharacter

TEXT = {"length": 20}
CAUSAL = [name for name in architectures.names() if name != "han-bidirectional"]


def experiment(architecture="gru", steps=6, log_every=1, **more):
    return small(architecture, "text", steps=steps, log_every=log_every, task_options=TEXT, **more)


def at(monkeypatch, step):
    """Has learners be at a step."""
    monkeypatch.setattr(SequenceModule, "global_step", property(lambda self: step))


def stopped(what, out, rows):
    """Runs an experiment until it has so many rows."""
    seen: list[dict[str, float]] = []
    return run(what, out, stop=lambda: len(seen) >= rows, watch=seen.append)


def test_each_step_goes_on_from_the_last_and_gradients_do_not(monkeypatch):
    learner = SequenceModule(experiment())
    seen = []
    forward = learner.model.forward

    def watch(x, lengths=None, state=None):
        y, after = forward(x, lengths, state)
        seen.append((state, after))
        return y, after

    monkeypatch.setattr(learner.model, "forward", watch)
    optimizer = torch.optim.SGD(learner.parameters(), lr=0.1)
    for step in range(3):
        at(monkeypatch, step)
        loss = learner.training_step(None, step)["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert seen[0][0] is None
    for (_, after), (before, _) in itertools.pairwise(seen):
        for left, taken in zip(architectures.state.tensors(after), architectures.state.tensors(before), strict=True):
            assert torch.equal(left, taken)
            assert not taken.requires_grad


def test_an_epoch_begins_from_nothing(monkeypatch):
    learner = SequenceModule(experiment())
    assert isinstance(learner.task, NextCharacter)
    count = learner.task.stretches(4)
    learner.carried = torch.full((1, 4, 5), 1e3)
    at(monkeypatch, count)
    begun = learner.training_step(None, 0)["loss"]
    scores, _ = learner.scores(learner.training_batch(count))
    torch.testing.assert_close(begun, scores["loss"])


@pytest.mark.parametrize("name", CAUSAL)
def test_evaluation_in_pieces_is_that_of_the_whole(name):
    learner = SequenceModule(small(name, "text", task_options={"length": 8})).double().eval()
    batch = learner.fixed("test")
    assert batch.x.shape[1] == 8, "the ten of the budget make ten streams"
    longer = learner.task.fixed("test", 60, torch.device("cpu"))
    assert longer.x.shape == (20, 24)
    learner._fixed["test", torch.device("cpu")] = longer
    with torch.no_grad():
        prediction, _ = learner.model(longer.x)
        whole = learner.task.loss(prediction, longer)
    assert learner.evaluate("test")["loss"] == pytest.approx(float(whole), abs=1e-9)


@pytest.mark.parametrize("name", ["gru", "lstm", "rwa", "rda-exp-tanh", "tcn", "han"])
def test_a_run_that_was_stopped_ends_with_the_same_bits(tmp_path, name):
    whole = finish(experiment(name), tmp_path / "whole")
    for stop in (2, 4):
        assert stopped(experiment(name), tmp_path / "cut", stop) is None
    cut = finish(experiment(name), tmp_path / "cut")
    assert cut.result == whole.result
    assert (cut.folder / "metrics.csv").read_bytes() == (whole.folder / "metrics.csv").read_bytes()
    weights = [torch.load(each.folder / "last.ckpt", weights_only=True) for each in (whole, cut)]
    for key, value in weights[0]["state_dict"].items():
        assert torch.equal(value, weights[1]["state_dict"][key])


def test_an_architecture_that_looks_ahead_is_refused(tmp_path):
    ahead = experiment("han-bidirectional")
    with pytest.raises(UserError, match="NextCharacter is read piece by piece, and han-bidirectional looks ahead"):
        run(ahead, tmp_path)
    assert not (run_folder(tmp_path, ahead) / "result.json").exists()

"""Stateful tasks: the state that is carried from batch to batch, and runs that are stopped on the way."""

import itertools

import pytest
import torch

import architectures
from architectures.registry import ARCHITECTURES
from tests.workbench.experiments import finish, module_and_data, small
from workbench.errors import UserError
from workbench.run import run
from workbench.run_folder import run_folder
from workbench.tasks.text import NextCharacter

TEXT = {"length": 20}
CAUSAL = [name for name, entry in ARCHITECTURES.items() if entry.causal]


def experiment(architecture="gru", steps=6, log_every=1, **more):
    return small(architecture, "text", steps=steps, log_every=log_every, task_options=TEXT, **more)


def run_until_rows(stateful, out, count):
    """Runs an experiment until it has `count` rows."""
    rows: list[dict[str, float]] = []
    return run(stateful, out, stop=lambda: len(rows) >= count, on_row=rows.append)


def test_each_step_continues_from_the_last_without_its_gradients(monkeypatch):
    module, data = module_and_data(experiment())
    module.logs_steps = False
    states = []
    forward = module.model.forward

    def recorded(x, lengths=None, state=None):
        y, after = forward(x, lengths, state)
        states.append((state, after))
        return y, after

    monkeypatch.setattr(module.model, "forward", recorded)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    for step in range(3):
        loss = module.training_step(data.training_batch(step), step)["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert states[0][0] is None
    for (_, after), (before, _) in itertools.pairwise(states):
        for left, received in zip(
            architectures.state.iter_tensors(after), architectures.state.iter_tensors(before), strict=True
        ):
            assert torch.equal(left, received)
            assert not received.requires_grad


def test_an_epoch_begins_from_nothing():
    module, data = module_and_data(experiment())
    module.logs_steps = False
    assert isinstance(module.task, NextCharacter)
    count = module.task.steps_per_epoch(4)
    module.carried_states.by_part = {0: torch.full((1, 4, 5), 1e3)}
    begun = module.training_step(data.training_batch(count), 0)["loss"]
    scores, _ = module.compute_scores(data.training_batch(count))
    torch.testing.assert_close(begun, scores["loss"])


@pytest.mark.parametrize("name", CAUSAL)
def test_evaluation_in_pieces_is_that_of_the_whole(name):
    module, data = module_and_data(small(name, "text", task_options={"length": 8}))
    module.double().eval()
    batch = data.fixed_set("test")
    assert batch.x.shape[1] == 8, "the ten of the budget make ten streams"
    longer = module.task.fixed("test", 60, torch.device("cpu"))
    assert longer.x.shape == (20, 24)
    with torch.no_grad():
        prediction, _ = module.model(longer.x)
        whole = module.task.loss(prediction, longer)
    assert module.evaluate(longer)["loss"] == pytest.approx(float(whole), abs=1e-9)


@pytest.mark.parametrize("name", ["gru", "lstm", "rwa", "rda-exp-tanh", "tcn", "han"])
def test_a_run_that_was_stopped_ends_with_the_same_bits(tmp_path, name):
    whole = finish(experiment(name), tmp_path / "whole")
    for stop in (2, 4):
        assert run_until_rows(experiment(name), tmp_path / "cut", stop) is None
    cut = finish(experiment(name), tmp_path / "cut")
    assert cut.result == whole.result
    assert (cut.folder / "metrics.csv").read_bytes() == (whole.folder / "metrics.csv").read_bytes()
    weights = [torch.load(finished.folder / "last.ckpt", weights_only=True) for finished in (whole, cut)]
    for key, value in weights[0]["state_dict"].items():
        assert torch.equal(value, weights[1]["state_dict"][key])


def test_an_architecture_that_looks_ahead_is_refused(tmp_path):
    ahead = experiment("han-bidirectional")
    with pytest.raises(UserError, match="NextCharacter is read piece by piece, and han-bidirectional looks ahead"):
        run(ahead, tmp_path)
    assert not (run_folder(tmp_path, ahead) / "result.json").exists()

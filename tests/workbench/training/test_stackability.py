"""What can be trained as one stacked model, and the lines that say why something cannot."""

import os
import random
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.workbench.experiments import small
from workbench.config import Numerics
from workbench.seeds_at_once import choose_seeds_at_once
from workbench.training.stackability import find_obstacle

CUSTOM = """
import numpy as np
import torch
from architectures.gru import GRU


class Draws(GRU):
    def encode(self, x, state, lengths):
        y, after = super().encode(x, state, lengths)
        return y * np.random.rand(), after


class Counts(GRU):
    def __init__(self, input_size, hidden_size=5):
        super().__init__(input_size, hidden_size)
        self.register_buffer("count", torch.zeros(()))

    def encode(self, x, state, lengths):
        self.count = self.count + 1
        return super().encode(x, state, lengths)


class Looks(GRU):
    def encode(self, x, state, lengths):
        y, after = super().encode(x, state, lengths)
        return (y if y.sum() > 0 else -y), after


class ByHand(torch.autograd.Function):
    @staticmethod
    def forward(ctx, y):
        return 2 * y

    @staticmethod
    def backward(ctx, grad):
        return 2 * grad


class Doubles(GRU):
    def encode(self, x, state, lengths):
        y, after = super().encode(x, state, lengths)
        return ByHand.apply(y), after
"""


@pytest.mark.parametrize(
    ("name", "options", "reason"),
    [
        ("lstm", {"num_layers": 2, "dropout": 0.5}, "draws random numbers"),
        ("rnn", {"zoneout": 0.5}, "draws random numbers"),
        ("han-memory", {}, "writes into its tensors"),
        ("rda", {"attention": "relu"}, "the gradient of the relu attention is written by hand"),
        ("Draws", {}, "other numbers than alone"),
        ("Counts", {}, "changes buffers"),
        ("Looks", {}, "depends on the values of its data"),
        ("Doubles", {}, "gradient that is written by hand"),
        ("lstm", {"num_layers": 2, "peepholes": True, "learn_initial_state": True}, None),
        ("rda", {"attention": "softplus"}, None),
        ("tcn", {"block": "wavenet"}, None),
        ("transformer", {"window": 3}, None),
    ],
)
def test_an_obstacle_is_found_before_anything_is_trained(name, options, reason, on_path):
    name = f"{on_path('customs', CUSTOM)}:{name}" if name[0].isupper() else name
    obstacle = find_obstacle(small(name, architecture_options=options))
    assert obstacle is None if reason is None else reason in str(obstacle), obstacle


@pytest.mark.parametrize(("task", "options"), [("classify-length", {"length": 8}), ("text", {"length": 6})])
def test_lengths_and_carried_states_are_tried_too(task, options):
    assert find_obstacle(small("gru", task, task_options=options)) is None


def test_what_a_stack_would_make_another_experiment_is_trained_alone():
    experiment = small()
    timed = replace(experiment, budget=replace(experiment.budget, seconds=5.0))
    assert "time" in str(find_obstacle(timed))
    assert "bf16" in str(find_obstacle(replace(experiment, numerics=Numerics(precision="bf16"))))


def numpy_state():
    name, keys, *rest = np.random.get_state(legacy=True)
    return name, np.asarray(keys).tolist(), rest


def test_to_try_leaves_no_trace():
    backend = os.environ.get("WORKBENCH_BACKEND")
    states = torch.get_rng_state(), numpy_state(), random.getstate()
    assert find_obstacle(small("gru")) is None
    assert torch.equal(states[0], torch.get_rng_state())
    assert states[1:] == (numpy_state(), random.getstate())
    assert os.environ.get("WORKBENCH_BACKEND") == backend


def test_only_configurations_with_several_seeds_are_tried_and_each_obstacle_is_said_once():
    lines: list[str] = []
    experiments = [small(name, seed=seed) for seed in range(3) for name in ("rnn", "han-memory")]
    experiments.append(small("gru"))
    at_once = choose_seeds_at_once(experiments, 8, lines.append)
    assert at_once == {experiments[0].identity: 3}
    assert lines == ["han-memory on addition is trained one seed at a time: it writes into its tensors"]
    assert choose_seeds_at_once(experiments, 2, lines.append) == {experiments[0].identity: 2}
    assert choose_seeds_at_once(experiments, 1, lines.append) == {}

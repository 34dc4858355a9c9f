"""One seed means one run, also where custom parts draw from NumPy's or Python's generators, or are edited meanwhile."""

import pytest

from tests.workbench.experiments import finish, small
from workbench.errors import UserError
from workbench.files import read_json
from workbench.run import run
from workbench.run_folder import run_folder

ENCODER = """
import random
import numpy as np
import torch
from architectures.gru import GRU


class Own(GRU):
    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.add_(0.1 * %s)
"""
TASK = """
from dataclasses import dataclass, replace
import random
import numpy as np
import torch
from workbench.tasks.addition import Addition


@dataclass(frozen=True, kw_only=True)
class Own(Addition):
    def sample(self, size, generator):
        batch = super().sample(size, generator)
        return replace(batch, target=batch.target + 0.1 * %s)
"""
GLOBAL = ["np.random.rand()", "random.random()", "torch.rand(())"]
UNSEEDED = ["np.random.default_rng().random()", "random.Random().random()", "random.SystemRandom().random()"]


def results(experiment, tmp_path):
    """Returns the result of an experiment that is run twice, after other numbers have been drawn in between."""
    return [read_json(finish(experiment, tmp_path / name).folder / "result.json") for name in ("one", "other")]


@pytest.mark.parametrize("draw", GLOBAL)
def test_global_generators_are_seeded_for_weights_and_data(draw, tmp_path, on_path):
    encoder, task = on_path("own_encoder", ENCODER % draw), on_path("own_task", TASK % draw)
    one, other = results(small(f"{encoder}:Own", f"{task}:Own", task_options={"length": 8}), tmp_path)
    assert one == other


@pytest.mark.parametrize("draw", UNSEEDED)
def test_weights_that_differ_each_time_are_refused_before_training(draw, tmp_path, on_path):
    name = on_path("own_encoder", ENCODER % draw)
    message = "^own_encoder:Own starts with other weights each time .*; draw from torch's, NumPy's or Python's global"
    with pytest.raises(UserError, match=message):
        finish(small(f"{name}:Own"), tmp_path)
    assert not list(tmp_path.rglob("metrics.csv"))


@pytest.mark.parametrize("draw", UNSEEDED)
def test_data_that_differs_each_time_is_refused_before_training(draw, tmp_path, on_path):
    name = on_path("own_task", TASK % draw)
    with pytest.raises(UserError, match=r"^the training batch of Own is another one each time .*global generator"):
        finish(small(task=f"{name}:Own", task_options={"length": 8}), tmp_path)
    assert not list(tmp_path.rglob("metrics.csv"))


@pytest.mark.parametrize("kind", ["architecture", "task"])
def test_code_that_is_edited_while_a_comparison_runs_is_not_trained_under_the_old_hash(kind, tmp_path, on_path):
    text = (ENCODER if kind == "architecture" else TASK) % "0.0"
    name = on_path(f"edited_{kind}", text)
    if kind == "architecture":
        experiments = [small(f"{name}:Own", seed=seed) for seed in (0, 1)]
    else:
        experiments = [small(task=f"{name}:Own", task_options={"length": 8}, seed=seed) for seed in (0, 1)]
    finish(experiments[0], tmp_path)
    on_path(name, text.replace("0.1 *", "0.3 *"))
    with pytest.raises(UserError, match=f"of {kind} {name}:Own is not what the experiment was made with; put it back"):
        run(experiments[1], tmp_path)
    assert not (run_folder(tmp_path, experiments[1]) / "result.json").exists()

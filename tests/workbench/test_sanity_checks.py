"""A task and an architecture that do not fit each other are refused before anything is trained."""

import math

import pytest
import torch

from tests.workbench.experiments import finish, small
from workbench.errors import UserError
from workbench.tasks import Batch, build
from workbench.training.sanity_checks import check_finite

TASK = """
import torch
from dataclasses import dataclass
from torch.nn.functional import mse_loss
from workbench.tasks import Batch, Criterion, Task


@dataclass(frozen=True, kw_only=True)
class Wrong(Task):
    readout = "last"
    input_size = output_size = 1
    how: str = ""

    @property
    def steps(self):
        return 6

    @property
    def trivial_loss(self):
        return float("inf") if self.how == "trivial" else 1.0

    @property
    def solved(self):
        return Criterion(metric="accuracy" if self.how == "metric" else "loss", bound=0.1, above=False)

    def sample(self, size, generator):
        x = torch.randn(size, 6, 1, generator=generator)
        lengths = torch.zeros(size, dtype=torch.long) if self.how == "lengths" else None
        if self.how == "tuple":
            return x, x[:, 0]
        if self.how == "rows":
            x = x[:-1]
        if self.how == "flat":
            return Batch(x=x[:, :, 0], target=x[:, 0])
        return Batch(x=x, target=x[:, 0, 0] if self.how == "target" else x[:, 0], lengths=lengths)

    def loss(self, prediction, batch):
        return mse_loss(prediction, batch.target, reduction="none" if self.how == "loss" else "mean")

    def metrics(self, prediction, batch):
        error = (prediction - batch.target).abs().mean()
        return {"error": error / 0 if self.how == "infinite" else error}
"""


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("trivial", "trivial_loss of Wrong is inf"),
        ("metric", "solved by 'accuracy', but its metrics are loss, error"),
        ("lengths", "lengths of shape"),
        ("tuple", "is a tuple, not a workbench.tasks.Batch"),
        ("rows", "it has to be 4 of"),
        ("flat", "features"),
        ("target", r"targets of Wrong are of shape \(2,\) where the predictions are of shape \(2, 1\)"),
        ("loss", "loss of Wrong is of shape"),
    ],
)
def test_a_task_that_would_give_meaningless_numbers_is_refused(tmp_path, on_path, how, message):
    name = on_path("wrong_task", TASK) + ":Wrong"
    experiment = small(task=name, task_options={"how": how})
    with pytest.raises(UserError, match=message):
        finish(experiment, tmp_path)
    assert not list(tmp_path.glob("runs/**/metrics.csv"))


def test_a_metric_that_is_no_number_is_no_crash(tmp_path, on_path):
    name = on_path("wrong_task", TASK) + ":Wrong"
    result = finish(small(task=name, task_options={"how": "infinite"}), tmp_path).result
    assert result["status"] == "finished"
    assert result["test"]["error"] is None
    assert result["test"]["loss"] > 0


def test_outputs_of_another_shape_are_refused(tmp_path, on_path):
    text = """
from architectures.gru import GRU


class Short(GRU):
    def encode(self, x, state, lengths):
        y, state = super().encode(x, state, lengths)
        return y[:, :-3], state
"""
    with pytest.raises(ValueError, match=r"Short returned an output of shape \(2, 5, 5\), not \(2, 8, 5\)"):
        finish(small(on_path("short", text) + ":Short"), tmp_path)


def test_what_is_not_finite_behind_a_sequence_is_no_fault_of_the_data():
    x, lengths = torch.zeros(2, 4, 1), torch.tensor([2, 4])
    x[0, 2:] = math.nan
    check_finite(Batch(x=x, target=torch.zeros(2, 1), lengths=lengths), "the test set", build("addition"))
    x[0, 1] = math.inf
    with pytest.raises(UserError, match=r"^the test set of Addition holds NaN or infinity in its x"):
        check_finite(Batch(x=x, target=torch.zeros(2, 1), lengths=lengths), "the test set", build("addition"))

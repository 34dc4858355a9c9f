"""A task and an architecture that do not fit each other are refused before anything is trained."""

import math
import re

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
    def floors(self):
        return {"bag of values": 2.0} if self.how == "floors" else {}

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
        ("floors", r"floors of Wrong are {'bag of values': 2.0}; they have to be workbench.tasks.Floor by name, as in"),
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


TYPES = """
import numpy as np
import torch
from dataclasses import dataclass
from torch.nn.functional import cross_entropy, mse_loss
from workbench.tasks import Batch, Task


@dataclass(frozen=True, kw_only=True)
class Typed(Task):
    readout = "every"
    how: str = "right"
    kind: str = "classes"
    steps = 6
    trivial_loss = 1.0

    @property
    def symbols(self):
        return 4 if self.kind == "symbols" else None

    @property
    def input_size(self):
        return 4 if self.kind == "symbols" else 1

    @property
    def output_size(self):
        return 1 if self.kind == "values" else 3

    def sample(self, size, generator):
        x = torch.randn(size, 6, 1, generator=generator)
        if self.kind == "symbols":
            x = torch.randint(4, (size, 6), generator=generator)
        target = torch.randint(3, (size, 6), generator=generator)
        if self.kind == "values":
            target = torch.randn(size, 6, 1, generator=generator)
        fields = {"x": x, "target": target}
        CHANGES[self.how](fields)
        return fields if self.how == "dict" else Batch(**fields)

    def loss(self, prediction, batch):
        if self.kind == "values":
            return mse_loss(prediction, batch.target)
        return cross_entropy(prediction.flatten(0, 1), batch.target.flatten())


def put(name, value):
    return lambda fields: fields.update({name: value(fields)})


CHANGES = {
    "right": lambda fields: None,
    "dict": lambda fields: None,
    "x float64": put("x", lambda f: f["x"].double()),
    "x whole": put("x", lambda f: f["x"].long()),
    "x numpy": put("x", lambda f: f["x"].numpy()),
    "x int32": put("x", lambda f: f["x"].int()),
    "x above": put("x", lambda f: f["x"] + 1),
    "x below": put("x", lambda f: f["x"] - 1),
    "x behind": lambda f: f.update(x=f["x"].index_fill(1, torch.tensor([5]), 9), lengths=torch.full((len(f["x"]),), 5)),
    "x list": put("x", lambda f: f["x"].tolist()),
    "target numpy": put("target", lambda f: f["target"].numpy()),
    "target float64": put("target", lambda f: f["target"].double()),
    "target int32": put("target", lambda f: f["target"].int()),
    "target bool": put("target", lambda f: f["target"] > 0),
    "target above": put("target", lambda f: f["target"] + 1),
    "target below": put("target", lambda f: f["target"] - 1),
    "target ignored": put("target", lambda f: f["target"].index_fill(1, torch.tensor([0]), -100)),
    "lengths float": put("lengths", lambda f: torch.full((len(f["x"]),), 4.0)),
    "lengths list": put("lengths", lambda f: [4] * len(f["x"])),
    "recall whole": put("recall", lambda f: torch.ones(len(f["x"]), 6)),
    "recall short": put("recall", lambda f: torch.ones(len(f["x"]), 5, dtype=torch.bool)),
    "recall right": lambda f: f.update(
        recall=torch.tensor([True] * 5 + [False]).expand(len(f["x"]), 6),
        target=f["target"],
    ),
    "source float": put("source", lambda f: torch.zeros(len(f["x"]), 6)),
}
"""


@pytest.mark.parametrize(
    ("kind", "how", "message"),
    [
        ("classes", "dict", "is a dict, not a workbench.tasks.Batch: return Batch"),
        ("classes", "x float64", "the x of the training batch of Typed is float64; features are float32: x.float()"),
        ("classes", "x whole", "the x of the training batch of Typed is int64; features are float32"),
        ("classes", "x numpy", "the x of the training batch of Typed is a NumPy array; torch.from_numpy makes it"),
        ("classes", "x list", "the x of the training batch of Typed is a list; it has to be a tensor"),
        ("symbols", "x int32", "the x of the training batch of Typed is int32; symbols are int64: x.long()"),
        ("symbols", "x above", "the x of the training batch of Typed holds 1 .. 4; symbols are 0 .. 3"),
        ("symbols", "x below", "the x of the training batch of Typed holds -1 .. 2; symbols are 0 .. 3"),
        ("classes", "target numpy", "the target of the training batch of Typed is a NumPy array"),
        ("values", "target float64", "the target of the training batch of Typed is float64; classes are int64, values"),
        ("classes", "target int32", "the target of the training batch of Typed is int32; classes are int64"),
        ("classes", "target bool", "the target of the training batch of Typed is bool; classes are int64"),
        ("classes", "target above", "the target of the training batch of Typed holds 1 .. 3; classes are 0 .. 2"),
        ("classes", "target below", "the target of the training batch of Typed holds -1 .. 1; classes are 0 .. 2"),
        ("classes", "lengths float", "the lengths of the training batch of Typed is float32; lengths are int64"),
        ("classes", "lengths list", "the lengths of the training batch of Typed is a list; it has to be a tensor"),
        ("classes", "recall whole", r"is float32 of shape (4, 6); it has to be bool of shape (4, 6)"),
        ("classes", "recall short", r"is bool of shape (4, 5); it has to be bool of shape (4, 6)"),
        ("classes", "source float", r"is float32 of shape (4, 6); it has to be int64 of shape (4, 6)"),
    ],
)
def test_data_of_another_type_or_out_of_range_is_refused_in_a_line(tmp_path, on_path, kind, how, message):
    name = on_path("typed_task", TYPES) + ":Typed"
    with pytest.raises(UserError, match=re.escape(message)):
        finish(small(task=name, task_options={"how": how, "kind": kind}), tmp_path)
    assert not list(tmp_path.glob("runs/**/metrics.csv"))


@pytest.mark.parametrize(
    ("kind", "how"),
    [
        *((kind, "right") for kind in ("classes", "symbols", "values")),
        ("symbols", "x behind"),
        ("classes", "target ignored"),
        ("classes", "recall right"),
    ],
)
def test_data_of_the_right_types_is_trained_on(tmp_path, on_path, kind, how):
    name = on_path("typed_task", TYPES) + ":Typed"
    assert finish(small(task=name, task_options={"how": how, "kind": kind}, steps=2), tmp_path).result["steps"] == 2

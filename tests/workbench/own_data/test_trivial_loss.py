"""The trivial loss is that of the best answer without memory, computed here from what the model is given."""

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy, one_hot

from tests.workbench.own_data.own_files import long_table, own, series, write_csv, write_npz
from workbench.seeding import CPU


def everything(task, part):
    return task.make_batch(part, np.arange(len(task.loaded.parts[part])), CPU)


def scored_answers(task, batch):
    """Returns every answer with its weight: each sequence counts the same."""
    if batch.recall is None:
        return batch.target.flatten(0, 1 if task.at == "every" else 0), None
    weights = (batch.recall / batch.recall.sum(1, keepdim=True))[batch.recall]
    return batch.target[batch.recall], weights / weights.sum()


@pytest.mark.parametrize("at", ["end", "every"])
def test_classes(tmp_path, at):
    table = long_table()
    if at == "every":
        table["label"] = np.where(table.time < 3, "early", np.where(table.u > 1, "high", "low"))
    task = own(write_csv(tmp_path, table))
    assert task.at == at
    train, weights = scored_answers(task, everything(task, "train"))
    weights = torch.full((len(train),), 1 / len(train)) if weights is None else weights
    shares = (one_hot(train, task.output_size) * weights.unsqueeze(1)).sum(0)
    test = everything(task, "test")
    shape = test.target.shape
    constant = shares.log().expand(*shape, -1)
    assert float(task.loss(constant, test)) == pytest.approx(task.trivial_loss, rel=1e-5)
    # Any other constant answer does worse where it was fitted.
    whole = everything(task, "train")
    best = float(task.loss(shares.log().expand(*whole.target.shape, -1), whole))
    for tilt in (0.3, -0.3):
        other = shares.log() + torch.tensor([tilt] + [0.0] * (task.output_size - 1))
        assert float(task.loss(other.expand(*whole.target.shape, -1), whole)) > best


@pytest.mark.parametrize("at", ["end", "every"])
def test_numbers(tmp_path, at):
    rng = np.random.default_rng(0)
    y = rng.normal(3, 2, size=(50, 2) if at == "end" else (50, 6, 2))
    task = own(write_npz(tmp_path, x=rng.normal(size=(50, 6, 3)), y=y, lengths=rng.integers(3, 7, size=50)))
    train, weights = scored_answers(task, everything(task, "train"))
    mean = train.mean(0) if weights is None else (train * weights.unsqueeze(1)).sum(0)
    test = everything(task, "test")
    assert float(task.loss(mean.expand_as(test.target), test)) == pytest.approx(task.trivial_loss, rel=1e-5)


def test_a_wandering_forecast_is_the_present_value(tmp_path):
    task = own(write_csv(tmp_path, series()), target="price", features="price", horizon=3, window=10)
    test = everything(task, "test")
    assert float(task.loss(test.x, test)) == pytest.approx(task.trivial_loss, rel=1e-5)
    assert task.loaded.trivial_answer == "the present value"
    price = series().price.to_numpy()
    starts = task.loaded.parts["test"].starts[:, None] + np.arange(10)
    expected = np.abs(price[starts + 3] - price[starts]).mean()
    assert float(task.metrics(test.x, test)["absolute_error"]) == pytest.approx(expected, rel=1e-4), "in its own units"


def test_a_forecast_of_noise_is_its_mean(tmp_path):
    task = own(write_csv(tmp_path, series()), target="volume", features="volume", window=10)
    assert task.loaded.trivial_answer == "the mean"
    train, test = everything(task, "train"), everything(task, "test")
    # Windows overlap: a step in the middle of the part is in as many as a window has steps.
    mean = train.target.double().mean()
    assert float(task.loss(mean.expand_as(test.target), test)) == pytest.approx(task.trivial_loss, rel=1e-4)
    assert float(task.loss(test.x, test)) > task.trivial_loss


def test_metrics_are_means_over_sequences_in_the_data_s_own_units(tmp_path):
    rng = np.random.default_rng(0)
    y = rng.normal(30, 20, size=(50, 2))
    task = own(write_npz(tmp_path, x=rng.normal(size=(50, 6, 3)), y=y))
    test = everything(task, "test")
    scores = task.metrics(torch.zeros_like(test.target), test)
    assert {*scores} == {"absolute_error_y0", "absolute_error_y1"}
    train, right = y[task.loaded.parts["train"].sequences], y[task.loaded.parts["test"].sequences]
    expected = np.abs(right - train.mean(0)).mean(0)
    np.testing.assert_allclose([float(value) for value in scores.values()], expected, rtol=1e-5)


def test_the_loss_of_a_long_and_a_short_sequence_count_the_same(tmp_path):
    table = long_table()
    table["label"] = np.where(table.time % 2 == 0, "even", "odd")
    task = own(write_csv(tmp_path, table))
    test = everything(task, "test")
    prediction = torch.randn(*test.target.shape, 2, generator=torch.Generator().manual_seed(0))
    assert test.lengths is not None
    by_hand = [
        cross_entropy(prediction[index, :length], test.target[index, :length])
        for index, length in enumerate(test.lengths.tolist())
    ]
    assert float(task.loss(prediction, test)) == pytest.approx(float(torch.stack(by_hand).mean()), rel=1e-6)
    right = [
        (prediction[index, :length].argmax(-1) == test.target[index, :length]).float().mean()
        for index, length in enumerate(test.lengths.tolist())
    ]
    accuracy = float(task.metrics(prediction, test)["accuracy"])
    assert accuracy == pytest.approx(float(torch.stack(right).mean()), rel=1e-6)

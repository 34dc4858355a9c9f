"""MNIST as sequences, from files that the tests write."""

import math
from collections import Counter

import numpy as np
import pytest
import torch

from tests import idx_files
from workbench.tasks import build
from workbench.tasks.mnist import Mnist, MnistPermuted

CPU = torch.device("cpu")


def image_numbers(x):
    """Returns the number of each image in its file, which is written into its pixels."""
    return [round(float(row[1] * 255)) * 256 + round(float(row[2] * 255)) for row in x.squeeze(2)]


def test_an_image_is_read_row_by_row_in_shares_of_white():
    batch = Mnist().make_batch("test", torch.arange(3))
    pixels, labels = idx_files.make_images("test")
    expected = pixels[:3].reshape(3, 784).astype(np.float32) / 255
    assert batch.x.shape == (3, 784, 1)
    np.testing.assert_allclose(batch.x.squeeze(2).numpy(), expected, rtol=1e-6)
    assert batch.target.tolist() == labels[:3].tolist()


def test_pooled_pixels_are_means_of_squares():
    batch = Mnist(pool=2).make_batch("test", torch.arange(2))
    pixels, _ = idx_files.make_images("test")
    means = pixels[:2].astype(float).reshape(2, 14, 2, 14, 2).mean((2, 4)).reshape(2, 196) / 255
    assert batch.x.shape == (2, 196, 1)
    np.testing.assert_allclose(batch.x.squeeze(2).numpy(), means, rtol=1e-5)
    assert build("mnist", pool=4).steps == 49


def test_fewer_images_than_there_are_are_a_random_choice_that_is_the_same_for_every_run():
    chosen = image_numbers(build("mnist").fixed("test", 50, CPU).x)
    assert len(set(chosen)) == 50
    assert set(chosen) < set(range(120))
    # Of 120, the mean is 59.5; four standard errors of 50 that are drawn without replacement are 15.
    assert abs(np.mean(chosen) - 59.5) < 15
    assert chosen != sorted(chosen)
    assert chosen == image_numbers(build("mnist").fixed("test", 50, CPU).x)
    assert set(image_numbers(build("mnist").fixed("validation", 50, CPU).x)) < set(range(200, 5200))


def test_splits_share_no_image_and_leave_none_out():
    task = build("mnist")
    assert image_numbers(task.fixed("validation", 10_000, CPU).x) == list(range(200, 5200))
    assert image_numbers(task.fixed("test", 10_000, CPU).x) == list(range(120))
    # An epoch of 200 in batches of 50, then the next one in another order.
    epochs = [[p for step in range(4) for p in image_numbers(task.train(4 * e + step, 50, 7, CPU).x)] for e in range(2)]
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(200))
    assert epochs[0] != epochs[1]


def test_the_permuted_task_has_the_same_pixels_in_one_order_for_all():
    plain, permuted = build("mnist"), build("mnist-permuted")
    one, other = plain.fixed("test", 50, CPU).x.squeeze(2), permuted.fixed("test", 50, CPU).x.squeeze(2)
    assert not torch.equal(one, other)
    torch.testing.assert_close(one.sort(1).values, other.sort(1).values)
    # The order is that of a row of distinct numbers.
    assert isinstance(permuted, MnistPermuted)
    order = permuted.reorder(torch.arange(784).unsqueeze(0)).squeeze(0)
    assert sorted(order.tolist()) == list(range(784))
    torch.testing.assert_close(other, one[:, order])
    torch.testing.assert_close(permuted.train(0, 9, 3, CPU).x, plain.train(0, 9, 3, CPU).x[:, order])
    again = MnistPermuted(order=2).reorder(torch.arange(784).unsqueeze(0)).squeeze(0)
    assert again.tolist() != order.tolist()
    # Neighbours do not stay neighbours: about 2 of 783 pairs do by chance.
    assert ((order[1:] - order[:-1]).abs() == 1).sum() < 15


def test_the_trivial_loss_is_that_of_the_shares_of_the_digits():
    labels = Counter(idx_files.make_images("train")[1][:200].tolist())
    expected = -sum(count / 200 * math.log(count / 200) for count in labels.values())
    assert build("mnist").trivial_loss == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("pool", [3, 5, 29, 56])
def test_a_pool_that_does_not_divide_the_side_is_refused(pool):
    with pytest.raises(ValueError, match="pool must divide 28"):
        build("mnist", pool=pool)

"""The digits, their three splits, and their order in training."""

from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits

from workbench.tasks import Batch, build, make_generator
from workbench.tasks.epochs import batch_indices, epoch_permutation

CPU = torch.device("cpu")
Example = tuple[tuple[float, ...], int]


def examples(batch: Batch) -> list[Example]:
    """Returns the pixels and the label of each example."""
    return [(tuple(x), label) for x, label in zip(batch.x.squeeze(2).tolist(), batch.target.tolist(), strict=True)]


@pytest.fixture(scope="module")
def splits() -> dict[str, list[Example]]:
    task = build("digits")
    return {
        "train": examples(task.train(0, 1078, 0, CPU)),
        "validation": examples(task.fixed("validation", 10_000, CPU)),
        "test": examples(task.fixed("test", 10_000, CPU)),
    }


def test_the_splits_are_the_data_and_share_nothing(splits: dict[str, list[Example]]) -> None:
    pixels, labels = load_digits(return_X_y=True)
    data = [(tuple(row), label) for row, label in zip((pixels / 16).tolist(), labels.tolist(), strict=True)]
    assert Counter(data) == Counter(splits["train"] + splits["validation"] + splits["test"])
    assert len(set(data)) == len(data)  # no digit is there twice, so none is in two splits
    assert [len(split) for split in splits.values()] == [1078, 359, 360]


def test_the_splits_are_stratified(splits: dict[str, list[Example]]) -> None:
    everywhere = Counter(label for split in splits.values() for _, label in split)
    for split in splits.values():
        for digit, count in Counter(label for _, label in split).items():
            assert abs(count - everywhere[digit] * len(split) / 1797) <= 1


def test_the_splits_never_change(splits: dict[str, list[Example]]) -> None:
    """Another release of scikit-learn must not move an example from one split to another."""
    for split, ink in (
        ("validation", [338, 351, 262, 313, 306, 268, 356, 353]),
        ("test", [331, 319, 315, 292, 365, 344, 341, 342]),
    ):
        assert [16 * sum(pixels) for pixels, _ in splits[split][:8]] == ink


def test_fixed_gives_no_more_than_it_is_asked_for(splits: dict[str, list[Example]]) -> None:
    assert examples(build("digits").fixed("test", 100, CPU)) == splits["test"][:100]


def test_samples_are_drawn_from_the_training_split(splits: dict[str, list[Example]]) -> None:
    counts = Counter(examples(build("digits").sample(5000, make_generator(CPU, "drawn"))))
    assert set(counts) <= set(splits["train"])
    # 5000 draws with replacement leave out 1078 exp(-5000 / 1078) = 10 examples.
    assert 1040 < len(counts) < 1078


def test_training_goes_through_the_split_epoch_by_epoch(splits: dict[str, list[Example]]) -> None:
    task = build("digits")
    seen = [example for step in range(22) for example in examples(task.train(step, 100, 3, CPU))]
    first, second = seen[:1078], seen[1078 : 2 * 1078]
    assert Counter(first) == Counter(second) == Counter(splits["train"])
    assert first != second


@settings(max_examples=50, deadline=None)
@given(count=st.integers(1, 12), step=st.integers(0, 40), size=st.integers(1, 30), seed=st.integers(0, 5))
def test_batches_are_slices_of_the_endless_row_of_epochs(count: int, step: int, size: int, seed: int) -> None:
    row: list[int] = []
    epoch = 0
    while len(row) < (step + 1) * size:
        order = epoch_permutation(count, seed, epoch).tolist()
        assert sorted(order) == list(range(count))
        row += order
        epoch += 1
    assert batch_indices(count, step, size, seed).tolist() == row[step * size : (step + 1) * size]


def test_epochs_and_seeds_have_orders_of_their_own() -> None:
    orders = {tuple(epoch_permutation(50, seed, epoch).tolist()) for seed in range(4) for epoch in range(4)}
    assert len(orders) == 16


def test_an_epoch_is_shuffled_once() -> None:
    epoch_permutation.cache_clear()
    for step in range(10):
        batch_indices(1000, step, 100, 0)
    assert epoch_permutation.cache_info().misses == 1

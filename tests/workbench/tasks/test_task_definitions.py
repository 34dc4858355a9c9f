"""Each task against its definition, one example and one step at a time."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from torch import Tensor

from workbench.tasks import make_generator
from workbench.tasks.addition import Addition
from workbench.tasks.alternation import Alternation
from workbench.tasks.classify_length import ClassifyLength
from workbench.tasks.copy import Copy
from workbench.tasks.copy_memory import CopyMemory
from workbench.tasks.multicopy import MultiCopy

CPU = torch.device("cpu")

few = hypothesis_settings(max_examples=25, deadline=None)
seeds = st.integers(0, 10**6)
small = st.integers(1, 5)


def rows(tensor: Tensor | None) -> list[Any]:
    """Returns a tensor of examples as lists of numbers."""
    assert tensor is not None
    return tensor.tolist()


def assert_uniform(values: Tensor, low: int, high: int) -> None:
    """Asserts that every whole number from low to high is equally frequent, within five standard deviations."""
    assert low <= values.min() <= values.max() <= high
    expected = values.numel() / (high - low + 1)
    counts = (values.flatten() - low).bincount(minlength=high - low + 1)
    assert ((counts - expected).abs() < 5 * expected**0.5).all()


@few
@given(length=st.integers(2, 9), seed=seeds)
def test_addition(length: int, seed: int) -> None:
    batch = Addition(length=length).sample(8, make_generator(CPU, seed))
    for example, (target,) in zip(batch.x.tolist(), batch.target.tolist(), strict=True):
        total, marks = 0.0, 0
        for number, mark in example:
            assert 0 <= number <= 1
            assert mark in (0, 1)
            if mark:
                total, marks = total + number, marks + 1
        assert marks == 2
        assert abs(total - target) < 1e-6


def test_addition_marks_any_two_steps_and_numbers_are_uniform() -> None:
    x = Addition(length=5).sample(10_000, make_generator(CPU, "uniform")).x
    steps = x[:, :, 1].nonzero()[:, 1].view(-1, 2)
    pairs = {(i, j): rank for rank, (i, j) in enumerate((i, j) for j in range(5) for i in range(j))}
    assert_uniform(torch.tensor([pairs[first, second] for first, second in steps.tolist()]), 0, 9)
    assert_uniform((x[:, :, 0] * 20).long(), 0, 19)


@few
@given(length=st.integers(2, 9), seed=seeds)
def test_classify_length(length: int, seed: int) -> None:
    batch = ClassifyLength(length=length).sample(8, make_generator(CPU, seed))
    for example, target, given_length in zip(batch.x.tolist(), rows(batch.target), rows(batch.lengths), strict=True):
        elements = [value for (value,) in example]
        while elements[-1] == 0:
            elements.pop()
        assert 0 not in elements
        assert given_length == len(elements)
        assert target == [1 if len(elements) > length / 2 else 0]


@pytest.mark.parametrize(("elements", "quantiles"), [("uniform", torch.clone), ("normal", torch.special.ndtr)])
def test_classify_length_draws_every_length_and_elements_of_its_distribution(
    elements: Any, quantiles: Callable[[Tensor], Tensor]
) -> None:
    batch = ClassifyLength(length=7, elements=elements).sample(10_000, make_generator(CPU, "uniform"))
    assert batch.lengths is not None
    assert_uniform(batch.lengths, 1, 7)
    assert_uniform((quantiles(batch.x[batch.x != 0]) * 20).long(), 0, 19)


@few
@given(length=st.integers(1, 9), items=small, categories=st.integers(2, 5), seed=seeds)
def test_copy(length: int, items: int, categories: int, seed: int) -> None:
    batch = Copy(length=length, items=items, categories=categories).sample(8, make_generator(CPU, seed))
    blank, mark = categories, categories + 1
    for x, target, recall in zip(rows(batch.x), rows(batch.target), rows(batch.recall), strict=True):
        assert len(x) == items + length + items
        assert all(symbol < categories for symbol in x[:items])
        where = x.index(mark)
        assert items <= where < items + length
        assert all(symbol == blank for step, symbol in enumerate(x) if step >= items and step != where)
        expected = [blank] * len(x)
        for item in range(items):
            expected[where + 1 + item] = x[item]
        assert target == expected
        assert recall == [symbol != blank for symbol in expected]


def test_copy_recalls_at_any_step_and_draws_every_symbol() -> None:
    x = Copy(length=10, items=3, categories=6).sample(10_000, make_generator(CPU, "uniform")).x
    assert_uniform((x == 7).nonzero()[:, 1], 3, 12)
    for item in range(3):
        assert_uniform(x[:, item], 0, 5)


@few
@given(length=st.integers(1, 9), items=small, categories=st.integers(2, 5), seed=seeds)
def test_copy_memory(length: int, items: int, categories: int, seed: int) -> None:
    batch = CopyMemory(length=length, items=items, categories=categories).sample(8, make_generator(CPU, seed))
    blank, mark = categories, categories + 1
    for x, target, recall in zip(rows(batch.x), rows(batch.target), rows(batch.recall), strict=True):
        symbols = x[:items]
        assert all(symbol < categories for symbol in symbols)
        assert x == symbols + [blank] * (length - 1) + [mark] * (items + 1)
        assert target == [blank] * (length + items) + symbols
        assert recall == [False] * (length + items) + [True] * items


def test_copy_memory_at_its_defaults_is_the_papers() -> None:
    batch = CopyMemory(length=1000).sample(2000, make_generator(CPU, "uniform"))
    assert batch.x.shape == (2000, 1020)
    assert (batch.x[:, 10:1009] == 8).all()
    assert (batch.x[:, 1009:] == 9).all()
    for item in range(10):
        assert_uniform(batch.x[:, item], 0, 7)


@few
@given(copies=small, items=small, gap=small, categories=st.integers(2, 5), seed=seeds)
def test_multicopy(copies: int, items: int, gap: int, categories: int, seed: int) -> None:
    batch = MultiCopy(copies=copies, items=items, gap=gap, categories=categories).sample(8, make_generator(CPU, seed))
    blank, mark = categories, categories + 1
    for x, target, recall in zip(rows(batch.x), rows(batch.target), rows(batch.recall), strict=True):
        shown: list[int] = []
        recalling: list[int] = []
        marks = []
        for step, (symbol, answer) in enumerate(zip(x, target, strict=True)):
            assert answer == (recalling.pop(0) if recalling else blank)
            assert recall[step] == (answer != blank)
            if symbol < categories:
                assert not recalling
                shown.append(symbol)
            elif symbol == mark:
                assert len(shown) == items
                shown, recalling = [], shown
                marks.append(step)
        assert not shown
        assert not recalling
        assert marks == [unit * (2 * items + gap + 1) + items + gap for unit in range(copies)]


def test_multicopy_at_its_defaults_is_fifty_copies_in_a_thousand_steps() -> None:
    batch = MultiCopy().sample(40, make_generator(CPU, "uniform"))
    assert batch.x.shape == (40, 1000)
    assert ((batch.x == 9).sum(1) == 50).all()
    assert_uniform(batch.x[batch.x < 8], 0, 7)


@few
@given(length=st.integers(2, 9), amplitude=st.floats(0.01, 0.99), seed=seeds)
def test_alternation(length: int, amplitude: float, seed: int) -> None:
    batch = Alternation(length=length, amplitude=amplitude).sample(2, make_generator(CPU, seed))
    for x, target in zip(batch.x.tolist(), batch.target.tolist(), strict=True):
        assert x == [[1]] * length
        for t in range(1, length + 1):
            assert abs(target[t - 1][0] - amplitude * (-1) ** t) < 1e-6

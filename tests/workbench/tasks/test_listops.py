"""ListOps against its definition, and the law of its values against data and against all trees of a small grammar."""

import math
from collections import defaultdict
from collections.abc import Callable
from itertools import product
from statistics import median

import pytest
import torch

from workbench.tasks.guessing import best_accuracy, conditional_entropy
from workbench.tasks.listops import CLOSE, OPERATOR_SHARE, OPERATORS, ListOps
from workbench.tasks.listops_law import value_shares

CPU = torch.device("cpu")
FUNCTIONS: tuple[Callable[[list[int]], int], ...] = (
    min,
    max,
    lambda values: int(median(values)),
    lambda values: sum(values) % 10,
)


def evaluate(symbols: list[int]) -> tuple[int, int]:
    """Returns the value of an expression, and its depth."""
    stack: list[tuple[int | None, list[int], int]] = [(None, [], 0)]
    for symbol in symbols:
        if symbol < 10:
            stack[-1][1].append(symbol)
        elif symbol < CLOSE:
            stack.append((symbol - 10, [], 0))
        else:
            operator, values, depth = stack.pop()
            assert operator is not None
            assert len(values) >= 2
            outer, before, outer_depth = stack[-1]
            stack[-1] = (outer, [*before, FUNCTIONS[operator](values)], max(outer_depth, depth + 1))
    ((_, (value,), depth),) = stack
    return value, depth


@pytest.mark.parametrize(
    "task", [ListOps(), ListOps(length=9, depth=1, arguments=7), ListOps(length=40, depth=3, arguments=4)]
)
def test_a_target_is_the_value_of_the_expression(task: ListOps) -> None:
    batch = task.train(0, 150, 0, CPU)
    assert batch.lengths is not None
    for x, length, target in zip(batch.x.tolist(), batch.lengths.tolist(), batch.target.tolist(), strict=True):
        assert task.length / 4 <= length <= task.length
        assert x[0] >= 10
        value, depth = evaluate(x[:length])
        assert value == target
        assert depth <= task.depth
        assert x[length:] == [0] * (task.length - length)


def all_trees(depth: int, arguments: int, root: bool = False) -> dict[tuple[int, int, int], float]:
    """Returns the probability of each (operator, value, length), -1 for no operator, over all trees, one by one."""
    law: dict[tuple[int, int, int], float] = defaultdict(float)
    share = 1.0 if root else OPERATOR_SHARE
    if depth == 0:
        return {(-1, digit, 1): 1 / 10 for digit in range(10)}
    if not root:
        for digit in range(10):
            law[-1, digit, 1] += (1 - share) / 10
    inner: dict[tuple[int, int], float] = defaultdict(float)
    for (_, value, length), weight in all_trees(depth - 1, arguments).items():
        inner[value, length] += weight
    for count in range(2, arguments + 1):
        for children in product(inner.items(), repeat=count):
            weight = math.prod(child[1] for child in children) * share / (arguments - 1) / len(OPERATORS)
            values, length = [child[0][0] for child in children], 2 + sum(child[0][1] for child in children)
            for operator, function in enumerate(FUNCTIONS):
                law[operator, function(values), length] += weight
    return law


@pytest.mark.parametrize(("depth", "arguments", "shortest", "longest"), [(1, 4, 2, 8), (1, 3, 5, 5), (2, 2, 4, 9)])
def test_the_law_is_that_of_all_trees(depth: int, arguments: int, shortest: int, longest: int) -> None:
    expected = torch.zeros(4, 10, dtype=torch.double)
    for (operator, value, length), weight in all_trees(depth, arguments, root=True).items():
        if shortest <= length <= longest:
            expected[operator, value] += weight
    law = value_shares(depth, arguments, OPERATOR_SHARE, shortest, longest)
    assert law.ravel().tolist() == pytest.approx((expected / expected.sum()).ravel().tolist(), abs=1e-12)


def test_the_losses_are_those_of_data() -> None:
    task = ListOps(length=60, arguments=4)
    batch = task.train(0, 12_000, 0, CPU)
    counts = torch.zeros(4, 10, dtype=torch.double)
    one = torch.ones((), dtype=torch.double)
    counts.index_put_((batch.x[:, 0] - 10, batch.target), one, accumulate=True)
    joint = (counts / counts.sum()).numpy()
    floor = task.floors["first operator"]
    assert conditional_entropy(joint.sum(0, keepdims=True)) == pytest.approx(task.trivial_loss, abs=3e-3)
    assert conditional_entropy(joint) == pytest.approx(floor.loss, abs=6e-3)
    assert best_accuracy(joint) == pytest.approx(floor.accuracy, abs=0.012)
    assert floor.loss < task.trivial_loss < math.log(10)

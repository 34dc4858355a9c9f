"""Tasks of finite automata against their definitions, one step at a time, and their losses against data."""

import math
from collections.abc import Sequence
from itertools import pairwise, permutations
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from workbench.tasks import Task, build, make_generator
from workbench.tasks.groups import generators, multiplication_table
from workbench.tasks.guessing import best_accuracy, conditional_entropy

CPU = torch.device("cpu")
EXAMPLES = 20_000
ORDERS = {"Z60": 60, "A4xZ5": 60, "A5": 60, "S3": 6, "S5": 120}


def listen(name: str, options: dict[str, Any], x: list[int]) -> Sequence[int | None]:
    """Returns the answer of the definition at every step; `None` where nothing is asked."""
    if name == "parity":
        return [sum(x[: step + 1]) % 2 for step in range(len(x))]
    if name == "cycle":
        moves = [(0, 1, -1)[letter] for letter in x]
        return [sum(moves[: step + 1]) % options.get("places", 5) for step in range(len(x))]
    if name == "even-pairs":
        return [int(sum(a != b for a, b in pairwise(x[: step + 1])) % 2 == 0) for step in range(len(x))]
    if name == "modular":
        modulus = options.get("modulus", 5)
        signs = {modulus: "+", modulus + 1: "-", modulus + 2: "*", modulus + 3: "="}
        text = "".join(str(symbol) if symbol < modulus else signs[symbol] for symbol in x)
        assert set(text[-1:]) == {"="}
        # Python's precedence is the one that is meant.
        return [None] * (len(x) - 1) + [eval(text.rstrip("=")) % modulus]
    if name == "flip-flop":
        bit, answers = None, []
        for instruction, shown in zip(x[::2], [*x[1::2], None], strict=False):
            if instruction == 2:
                bit = shown
            if instruction == 3:
                assert shown in (bit, None)
            answers += [bit if instruction == 3 else None, None]
        return answers[: len(x)]
    table = multiplication_table(options["group"])
    letters = generators(options["group"]) if options.get("letters") == "generators" else range(len(table))
    product = 0
    products: list[int] = []
    for letter in x:
        product = int(table[product, letters[letter]])
        products.append(product)
    return products


CASES: list[tuple[str, dict[str, Any]]] = [
    ("parity", {"length": 2}),
    ("parity", {"length": 50}),
    ("word-problem", {"group": "S3", "length": 17}),
    ("word-problem", {"group": "A5", "length": 9}),
    ("word-problem", {"group": "Z60", "length": 9, "letters": "generators"}),
    ("word-problem", {"group": "S5", "length": 30, "letters": "generators", "readout": "last"}),
    ("cycle", {"length": 12, "places": 7, "readout": "every"}),
    ("cycle", {"length": 40}),
    ("even-pairs", {"length": 2}),
    ("even-pairs", {"length": 11}),
    ("modular", {"length": 4}),
    ("modular", {"length": 11, "modulus": 3}),
    ("modular", {"length": 40}),
    ("flip-flop", {"length": 3}),
    ("flip-flop", {"length": 20, "ignore": 0.3}),
    ("flip-flop", {"length": 21, "ignore": 0.0}),
]


@pytest.mark.parametrize(("name", "options"), CASES)
def test_the_answers_are_those_of_the_definition(name: str, options: dict[str, Any]) -> None:
    task = build(name, **options)
    batch = task.sample(30, make_generator(CPU, name))
    for index, x in enumerate(batch.x.tolist()):
        expected = listen(name, options, x)
        if task.readout == "last":
            assert batch.target[index] == expected[-1]
            continue
        for step, answer in enumerate(expected):
            if batch.recall is not None:
                assert bool(batch.recall[index, step]) == (answer is not None)
            if answer is not None:
                assert batch.target[index, step] == answer


@pytest.mark.parametrize("name", sorted(ORDERS))
def test_the_groups_are_groups(name: Any) -> None:
    table = multiplication_table(name)
    order, numbers = ORDERS[name], np.arange(ORDERS[name])
    assert table.shape == (order, order)
    assert (table[0] == numbers).all()
    assert (table[:, 0] == numbers).all()
    assert (np.sort(table, axis=0) == numbers[:, None]).all()
    assert (np.sort(table, axis=1) == numbers).all()
    some = np.random.default_rng(0).integers(order, size=(3, 500))
    a, b, c = some
    assert (table[table[a, b], c] == table[a, table[b, c]]).all()
    assert (table == table.T).all() == (name == "Z60")
    # All products of a number of generators that is large enough are all of the group.
    reached = {0}
    for _ in range(200):
        reached = {int(table[element, letter]) for element in reached for letter in generators(name)}
    assert len(reached) == order
    if name.startswith(("A5", "S")):
        assert len(list(permutations(range(int(name[1]))))) == order * (2 if name == "A5" else 1)


def test_a5_is_not_solvable_and_a4xz5_is() -> None:
    """The derived series: commutators of commutators."""
    for name, ends in (("A5", 60), ("A4xZ5", 1)):
        table = multiplication_table(name)
        inverse = (table == 0).argmax(1)
        group = {*range(60)}
        for _ in range(4):
            found = {int(table[table[a, b], table[inverse[a], inverse[b]]]) for a in group for b in group}
            while True:
                more = found | {int(table[a, b]) for a in found for b in found}
                if more == found:
                    break
                found = more
            group = found
        assert len(group) == ends


def best_guess(known: Tensor, target: Tensor, answers: int) -> tuple[float, float]:
    """Returns the loss and the accuracy of the best answer to the data itself of one who knows a number."""
    counts = torch.zeros(int(known.max()) + 1, answers, dtype=torch.double)
    counts.index_put_((known.flatten(), target.flatten()), torch.ones((), dtype=torch.double), accumulate=True)
    joint = (counts / counts.sum()).numpy()
    return conditional_entropy(joint), best_accuracy(joint)


def automaton_data(task: Task) -> tuple[Tensor, Tensor, Tensor]:
    """Returns the present letter at each answer, its step, and the answer."""
    batch = task.sample(EXAMPLES, make_generator(CPU, "losses"))
    clock = torch.arange(task.steps).expand_as(batch.x)
    if batch.recall is not None:
        return batch.x[batch.recall], clock[batch.recall], batch.target[batch.recall]
    if task.readout == "last":
        return batch.x[:, -1], clock[:, -1], batch.target
    return batch.x, clock, batch.target


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("parity", {}),
        ("parity", {"readout": "last", "length": 3}),
        ("word-problem", {"group": "S3"}),
        ("word-problem", {"group": "S3", "letters": "generators"}),
        ("word-problem", {"group": "A4xZ5", "letters": "generators"}),
        ("word-problem", {"group": "S3", "readout": "last"}),
        ("cycle", {"length": 5}),
        ("cycle", {"readout": "every"}),
        ("even-pairs", {}),
        ("modular", {"length": 7}),
        ("modular", {}),
        ("flip-flop", {}),
    ],
)
def test_trivial_losses_and_what_the_time_adds(name: str, options: dict[str, Any]) -> None:
    task = build(name, **options)
    letter, clock, target = automaton_data(task)
    loss, _ = best_guess(letter, target, task.output_size)
    assert loss == pytest.approx(task.trivial_loss, rel=3e-3)
    floor = task.floors.get("knows the time")
    assert (floor is not None) == (task.readout == "every" and name != "flip-flop")
    if floor is not None:
        loss, accuracy = best_guess(clock * task.input_size + letter, target, task.output_size)
        assert loss == pytest.approx(floor.loss, rel=1e-2)
        assert accuracy == pytest.approx(floor.accuracy, abs=1e-2)


def test_closed_forms() -> None:
    assert build("word-problem", group="S3", length=16).trivial_loss == pytest.approx(1.7827, abs=5e-5)
    assert build("parity", length=20).trivial_loss == pytest.approx(0.6919, abs=5e-5)
    for group, n in ORDERS.items():
        for length in (2, 16, 100):
            p, q = 1 / length + (1 - 1 / length) / n, (1 - 1 / length) / n
            task = build("word-problem", group=group, length=length)
            assert task.trivial_loss == pytest.approx(-p * math.log(p) - (n - 1) * q * math.log(q), abs=1e-9)
            assert task.floors["knows the time"].loss == pytest.approx((length - 1) / length * math.log(n), abs=1e-9)
    assert build("parity", readout="last").trivial_loss == pytest.approx(math.log(2), abs=1e-12)
    assert build("cycle").trivial_loss == pytest.approx(math.log(5), abs=1e-6)
    assert build("modular").trivial_loss == pytest.approx(math.log(5), abs=1e-6)
    # The start is forgotten long before the end, and no loop runs to it.
    assert build("parity", length=10**9).trivial_loss == pytest.approx(math.log(2), abs=1e-8)


@pytest.mark.parametrize("options", [{"length": 72}, {"length": 63}, {"length": 6}, {"length": 40, "ignore": 0.3}])
def test_the_last_bit_seen_of_a_flip_flop(options: dict[str, Any]) -> None:
    task = build("flip-flop", **options)
    batch = task.sample(EXAMPLES, make_generator(CPU, "last seen"))
    assert batch.recall is not None
    example, step = batch.recall.nonzero(as_tuple=True)
    instruction, bit = batch.x[example, step - 2], batch.x[example, step - 1]
    loss, accuracy = best_guess(2 * instruction + bit, batch.target[example, step], 2)
    floor = task.floors["last seen"]
    assert loss == pytest.approx(floor.loss, abs=5e-3)
    assert accuracy == pytest.approx(floor.accuracy, abs=5e-3)


def test_the_last_bit_seen_comes_to_the_share_that_is_published() -> None:
    assert build("flip-flop", length=72).floors["last seen"].accuracy == pytest.approx(0.609, abs=5e-4)
    assert build("flip-flop", length=64).floors["last seen"].accuracy == pytest.approx(0.610, abs=5e-4)
    assert build("flip-flop", length=10**6).floors["last seen"].accuracy == pytest.approx(0.6, abs=1e-4)
    assert build("flip-flop", length=3).floors == {}


@pytest.mark.parametrize("length", [2, 5, 30])
def test_a_bag_of_even_pairs(length: int) -> None:
    task = build("even-pairs", length=length)
    batch = task.sample(EXAMPLES, make_generator(CPU, "bag"))
    known = 2 * batch.x[:, :-1].sum(1) + batch.x[:, -1]
    loss, accuracy = best_guess(known, batch.target, 2)
    floor = task.floors["bag of values"]
    assert loss == pytest.approx(floor.loss, abs=5e-3)
    assert accuracy == pytest.approx(floor.accuracy, abs=1e-2)


def test_instructions_of_a_flip_flop_have_their_shares() -> None:
    x = build("flip-flop", ignore=0.8, length=40).sample(EXAMPLES, make_generator(CPU, "shares")).x
    instructions, bits = x[:, 2:-2:2], x[:, 1::2]
    shares = [float((instructions == symbol).float().mean()) for symbol in (2, 3, 4)]
    assert shares == pytest.approx([0.1, 0.1, 0.8], abs=5e-3)
    assert float(bits.float().mean()) == pytest.approx(0.5, abs=5e-3)
    assert (x[:, 0] == 2).all()
    assert (x[:, 38] == 3).all()

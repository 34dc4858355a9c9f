"""Floors and trivial losses of tasks of recall, compared with the strategies' answers to many examples."""

import math
from collections import Counter
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor

from workbench.tasks import Batch, Floor, Task, build, make_generator
from workbench.tasks.agreement import NOUNS
from workbench.tasks.guessing import bag_floor

CPU = torch.device("cpu")
EXAMPLES = 6000

BAGS: list[tuple[str, dict[str, Any]]] = [
    ("mqar", {}),
    ("mqar", {"pairs": 3, "noise": 5, "vocabulary": 9, "random_non_queries": True}),
    ("forgetting-recall", {"keys": 3, "writes": 3}),
    ("selective-copy", {"length": 20, "items": 5, "categories": 3}),
    ("induction", {"length": 12, "vocabulary": 5}),
    ("phone", {"segments": (1, 4), "length": 3}),
    ("phone", {"segments": (2, 4), "recall": "segment", "length": 3, "separators": False}),
    ("copy", {"length": 5, "items": 4, "categories": 3}),
    ("copy-memory", {"length": 5, "items": 4, "categories": 3}),
]


def counts_of(values: Tensor, classes: int) -> Tensor:
    """Returns how often each class is in each row, (batch, classes); other values count for nothing."""
    return torch.stack([(values == label).sum(1) for label in range(classes)], dim=1).double()


def shown_counts(task: Any, name: str, batch: Batch) -> Tensor:
    """Returns how often each answer was shown in each example, before anything is asked."""
    x, options = batch.x, task
    if name in ("mqar", "forgetting-recall"):
        half = options.vocabulary // 2
        pairs = options.pairs if name == "mqar" else options.keys * options.writes
        shown = x[:, : 2 * pairs + getattr(options, "noise", 0)]
        return counts_of(shown - half, task.output_size)
    return counts_of(x, task.output_size)


def score(shares: Tensor, batch: Batch) -> tuple[float, float]:
    """Returns the loss and the accuracy, at the steps that ask, of answers that are the same at all of them."""
    assert batch.recall is not None
    example, step = batch.recall.nonzero(as_tuple=True)
    target = batch.target[example, step]
    p, best = shares[example, target], shares.max(1).values[example]
    # Among several likeliest answers any is as good.
    ties = (shares == shares.max(1, keepdim=True).values).double()
    right = (ties / ties.sum(1, keepdim=True))[example, target]
    assert (best > 0).all()
    return float(-p.log().mean()), float(right.mean())


@pytest.mark.parametrize(("name", "options"), BAGS)
def test_a_bag_of_values(name: str, options: dict[str, Any]) -> None:
    task: Any = build(name, **options)
    batch = task.sample(EXAMPLES, make_generator(CPU, "bag"))
    counts = shown_counts(task, name, batch)
    if name.startswith("copy"):
        counts = counts[:, : task.categories]
    loss, accuracy = score(counts / counts.sum(1, keepdim=True), batch)
    floor = task.floors["bag of values"]
    if name.startswith("copy"):
        loss *= task.recalled / task.steps
    assert loss == pytest.approx(floor.loss, rel=0.02)
    assert accuracy == pytest.approx(floor.accuracy, abs=0.015)


@pytest.mark.parametrize(("name", "options"), [case for case in BAGS if not case[0].startswith("copy")])
def test_trivial_losses(name: str, options: dict[str, Any]) -> None:
    task = build(name, **options)
    batch = task.sample(EXAMPLES // 4, make_generator(CPU, "trivial"))
    assert batch.recall is not None
    shares = batch.target[batch.recall].bincount(minlength=task.output_size) / batch.recall.sum()
    prediction = shares.log().expand(*batch.x.shape, -1)
    assert float(task.loss(prediction, batch)) == pytest.approx(task.trivial_loss, rel=0.01)
    # What is predicted at other steps is not judged.
    other = torch.where(batch.recall.unsqueeze(2), prediction, 7 * torch.rand(prediction.shape))
    assert float(task.loss(other, batch)) == pytest.approx(float(task.loss(prediction, batch)), rel=1e-5)


def test_values_that_hold() -> None:
    task = build("mqar", vocabulary=64, pairs=8)
    assert task.trivial_loss == pytest.approx(math.log(32), abs=1e-12)
    assert task.floors["bag of values"] == Floor(loss=math.log(8), accuracy=1 / 8)
    assert build("mqar", vocabulary=8192).trivial_loss == pytest.approx(math.log(4096), abs=1e-12)
    assert build("mqar", pairs=1).floors == {}


@pytest.mark.parametrize("shares", [(0.5, 0.5), (1 / 3,) * 3, (0.5, 0.3, 0.2), (1 / 6, 1 / 6, 1 / 6, 0.5)])
@pytest.mark.parametrize("draws", [1, 2, 5])
def test_a_bag_counted_out(draws: int, shares: tuple[float, ...]) -> None:
    """Over all sequences of draws, one by one."""
    loss = accuracy = 0.0
    for values in product(range(len(shares)), repeat=draws):
        weight = math.prod(shares[value] for value in values)
        parts = [count / draws for count in Counter(values).values()]
        loss -= weight * sum(part * math.log(part) for part in parts)
        accuracy += weight * max(parts)
    floor = bag_floor(draws, shares)
    assert floor.loss == pytest.approx(loss, abs=1e-12)
    assert floor.accuracy == pytest.approx(accuracy, abs=1e-9)


def test_a_large_bag() -> None:
    draws = torch.distributions.Multinomial(400, torch.ones(7) / 7)
    torch.manual_seed(0)
    shares = draws.sample((5000,)) / 400
    floor = bag_floor(400, (1 / 7,) * 7)
    assert float(torch.special.entr(shares).sum(1).mean()) == pytest.approx(floor.loss, abs=3e-4)
    assert float(shares.max(1).values.mean()) == pytest.approx(floor.accuracy, abs=1e-3)
    assert bag_floor(10_000, (1 / 7,) * 7).accuracy is None


def test_values_of_a_key_that_is_written_again() -> None:
    task: Any = build("forgetting-recall", keys=3, writes=3)
    batch = task.sample(EXAMPLES, make_generator(CPU, "key"))
    example, step = batch.recall.nonzero(as_tuple=True)
    pairs = batch.x[example, : 2 * 9].view(-1, 9, 2)
    of_key = pairs[:, :, 0] == batch.x[example, step].unsqueeze(1)
    assert (of_key.sum(1) == 3).all()
    answer = pairs[:, :, 1] == 32 + batch.target[example, step].unsqueeze(1)
    newest = of_key & (of_key.flip(1).cumsum(1).flip(1) == 1)
    assert torch.equal(answer, newest)
    assert task.floors["values of the key"] == Floor(loss=math.log(3), accuracy=1 / 3)
    # To guess any of them is right in a third of all cases.
    guess = pairs[:, :, 1].masked_fill(~of_key, 0)[torch.arange(len(of_key)), of_key.double().multinomial(1).flatten()]
    right = (guess - 32 == batch.target[example, step]).double().mean()
    assert float(right) == pytest.approx(1 / 3, abs=0.01)


def agreement_nouns(batch: Batch, sentences: int, span: int) -> Tensor:
    """Returns the nouns of each sentence, (sentences, nouns)."""
    words = batch.x[:, : sentences * span].reshape(-1, span)
    return words[words < len(NOUNS)].view(len(words), -1)


@pytest.mark.parametrize("attractors", [1, 3])
def test_strategies_of_agreement(attractors: int) -> None:
    task = build("agreement", attractors=attractors, length=45, sentences=2)
    batch = task.sample(EXAMPLES, make_generator(CPU, "nouns"))
    assert batch.recall is not None
    nouns = agreement_nouns(batch, 2, 22)
    numbers = (nouns >= 6).long()
    pronouns = torch.where(numbers > 0, 5, 2 + nouns % 6 // 2)
    verb, pronoun = batch.target[batch.recall].view(-1, 2).unbind(1)
    assert torch.equal(verb, numbers[:, 0])
    assert torch.equal(pronoun, pronouns[:, 0])
    losses, rights, entropies = [], [], []
    for values, target in ((numbers, verb), (pronouns, pronoun)):
        shares = counts_of(values, 6) / values.shape[1]
        ties = (shares == shares.max(1, keepdim=True).values).double()
        rows = torch.arange(len(target))
        losses.append(float(-shares[rows, target].log().mean()))
        rights.append(float((ties / ties.sum(1, keepdim=True))[rows, target].mean()))
        frequency = target.bincount(minlength=6) / len(target)
        entropies.append(float(torch.special.entr(frequency).sum()))
    assert sum(entropies) / 2 == pytest.approx(task.trivial_loss, rel=2e-3)
    bag, last = task.floors["bag of nouns"], task.floors["last noun"]
    assert sum(losses) / 2 == pytest.approx(bag.loss, rel=0.015)
    assert sum(rights) / 2 == pytest.approx(bag.accuracy, abs=0.01)
    follows_last = ((numbers[:, -1] == verb).double().mean() + (pronouns[:, -1] == pronoun).double().mean()) / 2
    assert float(follows_last) == pytest.approx(last.accuracy, abs=0.01)
    assert last.loss == task.trivial_loss
    assert build("agreement", attractors=0).floors == {}


@pytest.mark.parametrize(("length", "options"), [(2, {}), (5, {}), (40, {"depth": 0.3})])
def test_strategies_of_a_needle(length: int, options: dict[str, Any]) -> None:
    task = build("needle", length=length, **options)
    batch = task.sample(EXAMPLES, make_generator(CPU, "needle"))
    total = batch.x[:, :, :-1].sum(1)
    assert float(task.loss(total / length, batch)) == pytest.approx(task.floors["mean of the inputs"].loss, rel=0.02)
    assert float(task.loss(torch.zeros_like(batch.target), batch)) == pytest.approx(task.trivial_loss, rel=0.02)


def test_strategies_of_stills() -> None:
    task: Any = build("stills", length=30, frames=3, features=4, noise=0.5)
    batch = task.sample(EXAMPLES, make_generator(CPU, "stills"))
    assert float(task.loss(torch.zeros_like(batch.target), batch)) == pytest.approx(task.trivial_loss, rel=0.03)
    asked = batch.x[:, -1, 4:].argmax(1)
    seen = batch.x[:, -2, :4] / (1 + 0.25) * (asked == 2).unsqueeze(1)
    assert float(task.loss(seen, batch)) == pytest.approx(task.floors["last seen"].loss, rel=0.03)
    assert task.floors["bag of values"].loss == pytest.approx(2 / 3)


@pytest.mark.parametrize("length", [2, 8])
def test_strategies_of_addition(length: int) -> None:
    task = build("addition", length=length)
    batch = task.sample(10 * EXAMPLES, make_generator(CPU, "addition"))
    last, mark = batch.x[:, -1, :1], batch.x[:, -1, 1:]
    present = torch.where(mark > 0, last + 0.5, torch.ones_like(last))
    assert float(task.loss(present, batch)) == pytest.approx(task.floors["present step"].loss, rel=0.02)
    numbers = batch.x[:, :, :1].sum(1)
    if length == 2:
        assert list(task.floors) == ["present step"]
        return
    linear = 1 + 2 / length * (numbers - length / 2)
    assert float(task.loss(linear, batch)) == pytest.approx(task.floors["sum of the numbers"].loss, rel=0.02)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("copy", {}),
        ("copy", {"length": 2, "items": 10, "categories": 2}),
        ("copy-memory", {"length": 6, "items": 3, "categories": 4}),
        ("multicopy", {"copies": 3, "items": 2, "gap": 4, "categories": 5}),
    ],
)
def test_the_present_step_of_a_copy(name: str, options: dict[str, Any]) -> None:
    task: Task = build(name, **options)
    batch = task.sample(EXAMPLES, make_generator(CPU, "present"))
    assert batch.recall is not None
    counts = torch.zeros(task.input_size, task.output_size, dtype=torch.double)
    ones = torch.ones((), dtype=torch.double)
    counts.index_put_((batch.x.flatten(), batch.target.flatten()), ones, accumulate=True)
    shares = counts / counts.sum(1, keepdim=True)
    floor = task.floors["present step"]
    assert float(task.loss(shares.log()[batch.x], batch)) == pytest.approx(floor.loss, rel=0.01)
    assert float(task.metrics(shares[batch.x], batch)["accuracy"]) == pytest.approx(floor.accuracy, abs=0.01)
    assert floor.loss >= task.trivial_loss

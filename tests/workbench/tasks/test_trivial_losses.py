"""The closed form of each trivial loss, compared with the best such answer to many examples."""

import math

import pytest
import torch
from torch import Tensor

from workbench.tasks import Task, build, make_generator, names

CPU = torch.device("cpu")
EXAMPLES = 20_000


def test_every_task_is_here() -> None:
    here = {"addition", "classify-length", "copy", "copy-memory", "multicopy", "alternation", "digits"}
    # Tested with their floors: test_automata, test_floors, test_listops.
    here |= {"parity", "word-problem", "flip-flop", "cycle", "even-pairs", "modular", "listops"}
    here |= {"mqar", "forgetting-recall", "selective-copy", "induction", "needle", "agreement", "phone", "stills"}
    # Tested in test_translate, test_one_to_many.
    here |= {"translate", "one-to-many"}
    # Tested with files that the tests write: test_mnist, test_text, test_series.
    here |= {"mnist", "mnist-permuted", "text", "series"}
    assert set(names()) == here


@pytest.mark.parametrize("length", [2, 50])
def test_addition(length: int) -> None:
    task = build("addition", length=length)
    batch = task.sample(EXAMPLES, make_generator(CPU, "trivial"))
    # The mean of the targets is the constant with the least squared error.
    constant = batch.target.mean().expand_as(batch.target)
    assert constant[0] == pytest.approx(1, abs=0.01)
    assert task.loss(constant, batch) == pytest.approx(task.trivial_loss, abs=0.005)


@pytest.mark.parametrize("length", [2, 3, 5, 100])
def test_classify_length(length: int) -> None:
    task = build("classify-length", length=length)
    batch = task.sample(EXAMPLES, make_generator(CPU, "trivial"))
    share = batch.target.mean()
    assert task.loss((share / (1 - share)).log().expand_as(batch.target), batch) == pytest.approx(
        task.trivial_loss, abs=0.01
    )
    longer = sum(2 * n > length for n in range(1, length + 1)) / length
    entropy = -sum(p * math.log(p) for p in (longer, 1 - longer))
    assert task.trivial_loss == pytest.approx(entropy, abs=1e-12)


def best_prediction(target: Tensor, when: Tensor, classes: int) -> Tensor:
    """Returns the log frequency of each class for each value of `when`: the best answer that knows only `when`."""
    counts = torch.zeros(int(when.max()) + 1, classes, dtype=torch.double)
    counts.index_put_((when.flatten(), target.flatten()), torch.ones((), dtype=torch.double), accumulate=True)
    return (counts / counts.sum(1, keepdim=True)).log()[when]


def since_mark(task: Task, x: Tensor) -> Tensor:
    """Returns how many steps ago the mark was; 0 before it."""
    assert task.symbols is not None
    return (x == task.symbols - 1).cumsum(1).cumsum(1)


@pytest.mark.parametrize("options", [{}, {"length": 7, "items": 3, "categories": 5}])
def test_copy(options: dict[str, int]) -> None:
    task = build("copy", **options)
    batch = task.sample(EXAMPLES // 4, make_generator(CPU, "trivial"))
    loss = task.loss(best_prediction(batch.target, since_mark(task, batch.x), task.output_size), batch)
    assert loss == pytest.approx(task.trivial_loss, rel=0.005)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("copy-memory", {}),
        ("copy-memory", {"length": 7, "items": 3, "categories": 5}),
        ("multicopy", {"copies": 10}),
        ("multicopy", {"copies": 3, "items": 2, "gap": 4, "categories": 5}),
    ],
)
def test_recall_at_known_steps(name: str, options: dict[str, int]) -> None:
    task = build(name, **options)
    batch = task.sample(EXAMPLES // 4, make_generator(CPU, "trivial"))
    clock = torch.arange(task.steps).expand_as(batch.x)
    loss = task.loss(best_prediction(batch.target, clock, task.output_size), batch)
    assert loss == pytest.approx(task.trivial_loss, rel=0.005)


def test_copy_memory_has_the_published_baseline() -> None:
    task = build("copy-memory", length=1000)
    assert task.trivial_loss == pytest.approx(0.0204, abs=5e-5)
    assert task.solved is not None
    assert task.solved.met(0.00203)
    assert not task.solved.met(0.00205)


@pytest.mark.parametrize("length", [2, 3, 100, 101])
@pytest.mark.parametrize("amplitude", [0.5, 0.9])
def test_alternation(length: int, amplitude: float) -> None:
    task = build("alternation", length=length, amplitude=amplitude)
    batch = task.sample(1, make_generator(CPU, "trivial"))
    constant = batch.target.mean().expand_as(batch.target)
    assert task.loss(constant, batch) == pytest.approx(task.trivial_loss, abs=1e-6)


def test_digits() -> None:
    task = build("digits")
    # 1078 examples make one epoch of training.
    batch = task.train(0, 1078, 0, CPU)
    constant = best_prediction(batch.target, torch.zeros_like(batch.target), 10)
    assert task.loss(constant, batch) == pytest.approx(task.trivial_loss, abs=1e-6)
    assert 0 < math.log(10) - task.trivial_loss < 1e-3

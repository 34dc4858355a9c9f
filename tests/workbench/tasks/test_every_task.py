"""Properties of every task in the catalogue."""

import copy
import dataclasses
import pickle
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from workbench.tasks import Batch, Task, build, make_generator, names, options

CPU = torch.device("cpu")
# Tasks whose examples are all the same.
CONSTANT = {"alternation"}
VARIED = [name for name in names() if name not in CONSTANT]

# The best values of metrics that are not shares of right answers.
BEST = {"bits_per_character": 0.0}

# For each option, or that of a task, a value that is not its default; 7 for all others.
OTHER: dict[object, object] = {
    "amplitude": 0.125,
    "file": "other",
    "elements": "normal",
    "group": "S3",
    "letters": "generators",
    "ignore": 0.5,
    "power": 1.0,
    "random_non_queries": True,
    ("needle", "depth"): 0.5,
    "segments": (1, 2),
    "separators": False,
    "recall": "segment",
    ("stills", "noise"): 0.5,
    ("translate", "order"): "reversed",
    ("stills", "length"): 99,
    ("listops", "length"): 99,
    ("mqar", "length"): 99,
    ("mqar", "vocabulary"): 20,
    ("forgetting-recall", "length"): 99,
    ("forgetting-recall", "vocabulary"): 20,
    ("selective-copy", "length"): 99,
    ("agreement", "length"): 99,
    ("agreement", "sentences"): 1,
    **{(name, "readout"): "last" for name in ("parity", "word-problem")},
    ("cycle", "readout"): "every",
    ("series", "dataset"): "JapaneseVowels",
    ("series", "scale"): "minmax",
    ("series", "validation"): 0.4,
}

every_task = pytest.mark.parametrize("name", names())


def batches_equal(a: Batch, b: Batch) -> bool:
    """Returns whether two batches agree in every number."""
    for field in dataclasses.fields(Batch):
        one, other = getattr(a, field.name), getattr(b, field.name)
        if (one is None) != (other is None) or (one is not None and not torch.equal(one, other)):
            return False
    return True


def perfect_prediction(task: Task, batch: Batch) -> Tensor:
    """Returns the prediction that is the target; for a class, with hardly any doubt."""
    if batch.target.dtype == torch.int64:
        return 100.0 * one_hot(batch.target, task.output_size)
    if "accuracy" in task.metrics(batch.target, batch):
        return 200 * batch.target - 100
    return batch.target


def test_only_the_named_tasks_are_constant() -> None:
    for name in names():
        batch = build(name).train(0, 40, 0, CPU)
        assert bool((batch.x == batch.x[0]).all()) == (name in CONSTANT), name


@every_task
def test_a_training_batch_is_a_function_of_seed_and_step(name: str) -> None:
    first = build(name).train(3, 6, 5, CPU)
    build(name).train(4, 6, 5, CPU)
    build(name).train(900, 6, 6, CPU)
    torch.manual_seed(1)
    assert batches_equal(first, build(name).train(3, 6, 5, CPU))


@pytest.mark.parametrize("name", VARIED)
def test_other_steps_and_seeds_have_other_batches(name: str) -> None:
    task = build(name)
    batches = [task.train(step, 6, seed, CPU) for step in range(3) for seed in range(3)]
    batches += [task.fixed("validation", 6, CPU), task.fixed("test", 6, CPU)]
    for i, one in enumerate(batches):
        for other in batches[:i]:
            assert not torch.equal(one.x, other.x)
            assert not torch.equal(one.target, other.target) or name in {
                "classify-length",
                "digits",
                "even-pairs",
                "series",
            }


@every_task
def test_fixed_examples_are_the_same_for_every_run(name: str) -> None:
    before = build(name).fixed("test", 6, CPU)
    build(name).train(0, 6, 7, CPU)
    build(name).fixed("validation", 6, CPU)
    torch.manual_seed(7)
    assert batches_equal(before, build(name).fixed("test", 6, CPU))
    assert len(before.x) == 6


@every_task
def test_a_batch_may_be_written_to(name: str) -> None:
    task = build(name)
    draws: list[Callable[[], Batch]] = [lambda: task.train(0, 3, 0, CPU), lambda: task.fixed("test", 3, CPU)]
    for draw in draws:
        before, spoilt = copy.deepcopy(draw()), draw()
        spoilt.x.fill_(3)
        spoilt.target.fill_(3)
        assert batches_equal(before, draw())


@every_task
def test_the_global_generator_is_left_alone(name: str) -> None:
    before = torch.get_rng_state()
    task = build(name)
    task.train(0, 3, 0, CPU)
    task.fixed("test", 3, CPU)
    task.sample(3, make_generator(CPU, "sample"))
    assert torch.equal(before, torch.get_rng_state())


@every_task
def test_the_data_are_as_the_task_says(name: str) -> None:
    task = build(name)
    batch = task.sample(7, make_generator(CPU, "shapes"))
    if task.symbols is None:
        assert batch.x.shape == (7, task.steps, task.input_size)
        assert batch.x.dtype == torch.float32
        assert batch.x.isfinite().all()
    else:
        assert task.input_size == task.symbols
        assert batch.x.shape == (7, task.steps)
        assert batch.x.dtype == torch.int64
        assert 0 <= batch.x.min() <= batch.x.max() < task.symbols
    answers = (7,) if task.readout == "last" else (7, task.steps)
    if batch.target.dtype == torch.int64:
        assert batch.target.shape == answers
        assert 0 <= batch.target.min() <= batch.target.max() < task.output_size
    else:
        assert batch.target.dtype == torch.float32
        assert batch.target.shape == (*answers, task.output_size)
    if batch.lengths is not None:
        assert batch.lengths.shape == (7,)
        assert 1 <= batch.lengths.min() <= batch.lengths.max() <= task.steps
    if batch.recall is not None:
        assert batch.recall.shape == answers
        assert batch.recall.dtype == torch.bool


@every_task
def test_all_classes_and_symbols_are_used(name: str) -> None:
    task = build(name)
    batch = task.sample(200, make_generator(CPU, "alphabet"))
    if task.symbols is not None:
        assert batch.x.unique().tolist() == list(range(task.symbols))
    if batch.target.dtype == torch.int64:
        assert batch.target.unique().tolist() == list(range(task.output_size))


@every_task
def test_a_perfect_answer_has_no_loss_and_solves_the_task(name: str) -> None:
    task = build(name)
    batch = task.train(0, 9, 0, CPU)
    prediction = perfect_prediction(task, batch)
    loss, metrics = task.loss(prediction, batch), task.metrics(prediction, batch)
    assert loss.shape == ()
    assert 0 <= loss < 1e-6
    assert {key: float(value) for key, value in metrics.items()} == {
        key: pytest.approx(BEST.get(key, 1.0), abs=1e-6) for key in metrics
    }
    if task.solved is not None:
        assert task.solved.met(float({"loss": loss, **metrics}[task.solved.metric]))


@every_task
def test_a_wrong_answer_does_not_solve_the_task(name: str) -> None:
    task = build(name)
    batch = task.train(0, 9, 0, CPU)
    prediction = -perfect_prediction(task, batch)
    loss, metrics = task.loss(prediction, batch), task.metrics(prediction, batch)
    assert loss > task.trivial_loss
    assert all(float(value) < 0.01 for key, value in metrics.items() if key not in BEST)
    if task.solved is not None:
        assert not task.solved.met(float({"loss": loss, **metrics}[task.solved.metric]))


@every_task
def test_the_loss_teaches(name: str) -> None:
    """From an undecided answer, a step against the gradient makes the loss smaller."""
    task = build(name)
    batch = task.train(0, 9, 0, CPU)
    right = perfect_prediction(task, batch)
    prediction = torch.zeros_like(right, requires_grad=True)
    (gradient,) = torch.autograd.grad(task.loss(prediction, batch), prediction)
    assert task.loss(-0.1 * gradient / gradient.abs().max(), batch) < task.loss(prediction, batch)


@pytest.mark.parametrize("name", ["copy", "copy-memory", "multicopy"])
def test_blanks_earn_no_accuracy(name: str) -> None:
    task = build(name)
    batch = task.train(0, 9, 0, CPU)
    blanks = torch.full_like(batch.target, task.output_size - 1)
    prediction = one_hot(blanks, task.output_size).float()
    assert task.metrics(prediction, batch)["accuracy"] == 0
    assert batch.recall is not None
    half = batch.target.clone()
    recalled = batch.recall.nonzero()[::2]
    half[recalled[:, 0], recalled[:, 1]] = task.output_size - 1
    accuracy = task.metrics(one_hot(half, task.output_size).float(), batch)["accuracy"]
    assert accuracy == pytest.approx(0.5, abs=0.01)


@every_task
def test_examples_are_made_on_the_generators_device(name: str) -> None:
    generator = make_generator(CPU, "device")
    # A tensor made without naming its device would be on this one, where nothing has a value.
    with torch.device("meta"):
        batches = [build(name).sample(3, generator), build(name).train(0, 3, 0, CPU), build(name).fixed("test", 3, CPU)]
    for batch in batches:
        for field in dataclasses.fields(Batch):
            tensor = getattr(batch, field.name)
            assert tensor is None or tensor.device == CPU


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
@every_task
def test_examples_are_made_on_a_gpu(name: str) -> None:
    device = torch.device("cuda", 0)
    task = build(name)
    batch = task.train(0, 9, 0, device)
    tensors = [getattr(batch, field.name) for field in dataclasses.fields(Batch)]
    assert {tensor.device for tensor in tensors if tensor is not None} == {device}
    assert task.loss(perfect_prediction(task, batch), batch) < 1e-6


@every_task
def test_a_task_is_a_value(name: str) -> None:
    task = build(name)
    assert task == build(name) == pickle.loads(pickle.dumps(task))
    assert hash(task) == hash(build(name))
    for key in options(name):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(task, key, 5)
        other = OTHER.get(key, OTHER.get((name, key), 7))
        assert build(name, **{key: other}) != task

"""The model of an experiment, at the ends of its sequences: what lies behind them, and those that have no steps."""

import math
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy

import architectures
from tests.workbench.experiments import finish, small
from workbench import tasks
from workbench.config import Part
from workbench.errors import UserError
from workbench.model import Model
from workbench.seeding import CPU
from workbench.tasks import Task
from workbench.training import SequenceModule

LENGTHS = [6, 1, 4]
TIME = 6


@dataclass(frozen=True, kw_only=True)
class Letters(Task):
    """Classes of sequences of three symbols; only its shape matters here."""

    readout = "last"
    symbols = input_size = 3
    output_size = 2

    @property
    def steps(self):
        return TIME

    @property
    def trivial_loss(self):
        return math.log(2)

    def sample(self, size, generator):
        raise NotImplementedError

    def loss(self, prediction, batch):
        return cross_entropy(prediction, batch.target)


def build(task, name="gru", **options):
    torch.manual_seed(0)
    return Model(task, Part(name=name, options={"hidden_size": 4}), **options)


def padded(filler):
    symbols = torch.randint(3, (len(LENGTHS), TIME), generator=torch.Generator().manual_seed(0))
    return torch.where(torch.arange(TIME) < torch.tensor(LENGTHS).unsqueeze(1), symbols, filler)


@pytest.mark.parametrize("embedding_size", [None, 5])
@pytest.mark.parametrize("name", architectures.names())
def test_a_symbol_behind_a_sequence_need_not_be_one_of_the_alphabet(name, embedding_size):
    """The answers and the gradients of every parameter are those over any symbol there."""
    model, lengths = build(Letters(), name, embedding_size=embedding_size), torch.tensor(LENGTHS)
    outcomes = []
    for filler in (2, -1, -100, 3):
        answers, _ = model(padded(filler), lengths)
        grads = torch.autograd.grad(answers.square().sum(), list(model.parameters()), allow_unused=True)
        outcomes.append((answers, grads))
    for row, length in enumerate(LENGTHS):
        alone, _ = model(padded(0)[row : row + 1, :length])
        torch.testing.assert_close(outcomes[0][0][row : row + 1], alone)
    for outcome in outcomes[1:]:
        torch.testing.assert_close(outcome, outcomes[0], rtol=0, atol=0)


@pytest.mark.parametrize("embedding_size", [None, 5])
def test_a_symbol_within_a_sequence_has_to_be_one_of_the_alphabet(embedding_size):
    model = build(Letters(), embedding_size=embedding_size)
    for wrong in (-1, 3):
        symbols = padded(0)
        symbols[2, 3] = wrong
        with pytest.raises((RuntimeError, IndexError)):
            model(symbols, torch.tensor(LENGTHS))


@pytest.mark.parametrize("filler", [math.nan, math.inf, 3e38])
def test_features_behind_a_sequence_change_nothing(filler):
    """Finite ones may overflow."""
    model, lengths = build(tasks.build("classify-length", length=TIME), "han"), torch.tensor(LENGTHS)
    x = torch.randn(len(LENGTHS), TIME, 1, generator=torch.Generator().manual_seed(0))
    x = torch.where((torch.arange(TIME) < lengths.unsqueeze(1)).unsqueeze(2), x, filler)
    answers, _ = model(x, lengths)
    answers.sum().backward()
    for row, length in enumerate(LENGTHS):
        torch.testing.assert_close(answers[row : row + 1], model(x[row : row + 1, :length])[0])
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


@pytest.mark.parametrize(
    ("task", "x"),
    [
        (Letters(), padded(0)),
        (tasks.build("copy-memory"), padded(0)),
        (tasks.build("classify-length", length=TIME), torch.zeros(len(LENGTHS), TIME, 1)),
    ],
    ids=["symbols", "answers at every step", "features"],
)
def test_a_sequence_without_steps_is_refused(task, x):
    expected = r"^a batch of \w+ has a sequence of length 0, number 2 of 3; lengths have to lie in 1 \.\. 6$"
    with pytest.raises(UserError, match=expected):
        build(task)(x, torch.tensor([6, 0, 4]))


@pytest.mark.parametrize(
    "wrong", [torch.tensor([6, 7, 4]), torch.tensor([6, -1, 4]), torch.tensor([6, 4]), torch.tensor([[6, 1, 4]])]
)
def test_other_lengths_that_do_not_fit_are_refused_as_lengths(wrong):
    for model, x in [
        (build(Letters()), padded(0)),
        (build(tasks.build("classify-length", length=TIME)), torch.zeros(len(LENGTHS), TIME, 1)),
    ]:
        with pytest.raises(ValueError, match=r"^lengths must"):
            model(x, wrong)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int16, torch.int32])
def test_lengths_of_every_integer_type_are_read_alike(dtype):
    model = build(Letters())
    expected, _ = model(padded(0), torch.tensor(LENGTHS))
    assert torch.equal(model(padded(0), torch.tensor(LENGTHS, dtype=dtype))[0], expected)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
@pytest.mark.parametrize("name", architectures.names())
def test_on_a_gpu_a_sequence_without_steps_is_one_step_of_zeros(name):
    """There its length is not known without waiting, so the answer is at least the same whatever the padding."""
    model = build(tasks.build("classify-length", length=TIME), name).cuda()
    x, lengths = torch.randn(2, TIME, 1, device="cuda"), torch.tensor([0, TIME], device="cuda")
    x[0] = math.nan
    answers, _ = model(x, lengths)
    torch.testing.assert_close(answers[:1], model(torch.zeros(1, 1, 1, device="cuda"))[0])


EMPTY_LATER = """
import torch
from dataclasses import dataclass
from torch.nn.functional import mse_loss
from workbench.seeding import make_generator
from workbench.tasks import Batch, Task


@dataclass(frozen=True, kw_only=True)
class EmptyLater(Task):
    readout = "last"
    input_size = output_size = 1

    @property
    def steps(self):
        return 6

    @property
    def trivial_loss(self):
        return 1.0

    def sample(self, size, generator):
        x = torch.randn(size, 6, 1, generator=generator)
        return Batch(x=x, target=x[:, 0], lengths=torch.full((size,), 3))

    def train(self, step, size, seed, device):
        batch = self.sample(size, make_generator(device, "train", seed, step))
        if step == 2:
            batch.lengths[1] = 0
        return batch

    def loss(self, prediction, batch):
        return mse_loss(prediction, batch.target)
"""


def test_a_later_batch_with_a_sequence_without_steps_is_refused_in_a_line(tmp_path, on_path):
    experiment = small(task=on_path("empty_later", EMPTY_LATER) + ":EmptyLater")
    with pytest.raises(UserError, match=r"^a batch of EmptyLater has a sequence of length 0, number 2 of 4; "):
        finish(experiment, tmp_path)


def test_a_penalty_is_trained_on_and_not_reported():
    """The loss is that of the task, its gradient that of both; in evaluation there is none."""
    experiment = small("act", architecture_options={"ponder_cost": 10.0})
    module: Any = SequenceModule.from_experiment(experiment)
    batch = module.task.train(0, 8, 0, CPU)
    scores, _ = module.compute_scores(batch)
    weight = module.model.encoder.halt.weight
    (gradient,) = torch.autograd.grad(scores["loss"], weight)
    prediction, _ = module.predict(batch.x)
    loss, penalty = module.task.loss(prediction, batch), module.model.encoder.penalty
    assert scores["loss"].item() == pytest.approx(loss.item(), rel=1e-6)
    assert penalty.item() > 10
    (expected,) = torch.autograd.grad(loss + penalty, weight)
    assert torch.allclose(gradient, expected, rtol=1e-4, atol=1e-6)
    module.eval()
    scores, _ = module.compute_scores(batch)
    (alone,) = torch.autograd.grad(scores["loss"], weight)
    assert not torch.allclose(alone, expected, rtol=1e-2, atol=1e-3)

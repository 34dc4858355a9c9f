"""Training steps without synchronisation: waiting for a number would keep a GPU from working ahead."""

from dataclasses import replace

import lightning.pytorch as pl
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import architectures
from tests.workbench.experiments import TASK_OPTIONS, finish, module_and_data, small, task_architecture_pairs
from workbench import devices, tasks
from workbench import run as runs
from workbench.config import Numerics
from workbench.training.callbacks.metrics_file import MetricsFile
from workbench.training.callbacks.record import RunRecord
from workbench.training.trainer import make_trainer, run_callbacks

pytestmark = pytest.mark.filterwarnings("ignore:.*LeafSpec.*")

SYNCHRONIZING = ("_local_scalar_dense", "nonzero", "masked_select", "unique", "equal")
"""Operations whose result, or its size, Python has to know; `.item()` is the first of them."""
STEPS = 6
ADAPTIVE = frozenset({"act"})
"""The names that wait, as what they compute tells when to stop: at most once for each of their micro-steps."""


class SynchronizationCounter(TorchDispatchMode):
    """Counter of the operations for which Python would wait for a GPU."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += func.overloadpacket.__name__ in SYNCHRONIZING
        return func(*args, **(kwargs or {}))


class CountAtStepStart(pl.Callback):
    """The count at the start of each step, after the callbacks of the step before."""

    def __init__(self, counter):
        self.counter, self.counts = counter, []

    def on_train_batch_start(self, *_):
        self.counts.append(self.counter.count)


def synchronizations_per_step(experiment, folder):
    """Returns the number of synchronisations of each step between the first and the last."""
    counter, (module, data) = SynchronizationCounter(), module_and_data(experiment)
    module.logs_steps = False
    starts = CountAtStepStart(counter)
    callbacks = [starts, *run_callbacks(RunRecord(experiment, data), folder)]
    trainer = make_trainer(callbacks, steps=STEPS, device="cpu", folder=folder)
    with counter:
        trainer.fit(module, data)
    return [after - before for before, after in zip(starts.counts[1:-1], starts.counts[2:], strict=True)]


@pytest.mark.parametrize(
    ("task", "name"),
    # A wait is a task's fault or an architecture's: every one of both is here, in a quick pair and a slow one.
    [
        pytest.param(*pair, marks=() if index < len(task_architecture_pairs()) / 2 else pytest.mark.slow)
        for index, pair in enumerate(task_architecture_pairs())
    ],
)
def test_a_step_waits_for_no_number(task, name, tmp_path, monkeypatch):
    # As on any device but the CPU.
    monkeypatch.setattr("architectures.novelty.may_stop_early", lambda device: False)
    options = TASK_OPTIONS.get(task, {"length": 8})
    experiment = small(name, task, steps=STEPS, log_every=100, task_options=options, clip="norm")
    # On the CPU, and nowhere else, two look whether numbers are in their range, at the least and the largest: PyTorch's
    # `one_hot`, which turns symbols into vectors, and an encoder that is told lengths.
    on_cpu = 2 * (tasks.build(task, **options).symbols is not None) + 2 * (task in ("classify-length", "listops"))
    counts = synchronizations_per_step(experiment, tmp_path)
    if name in ADAPTIVE:
        asked = tasks.build(task, **options).steps * (experiment.architecture.options["max_ponder"] - 1)
        assert all(0 < count - on_cpu <= asked for count in counts)
    else:
        assert counts == [on_cpu] * (STEPS - 2)


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "rmsprop", "sgd"])
@pytest.mark.parametrize("clip", ["value", "norm"])
def test_no_optimizer_and_no_clipping_waits(optimizer, clip, tmp_path):
    experiment = small(steps=STEPS, log_every=100, optimizer=optimizer, clip=clip, schedule="cosine", weight_decay=0.1)
    for numerics in (Numerics(), Numerics(precision="bf16", draw="device")):
        assert synchronizations_per_step(replace(experiment, numerics=numerics), tmp_path) == [0] * (STEPS - 2)


def test_the_numbers_of_a_row_are_fetched_together(tmp_path, monkeypatch):
    """One transfer for the steps since the last row, one for the validation set, one for the test set."""
    fetched = []

    def count(scores):
        fetched.append(len(scores))
        return devices.to_floats(scores)

    for module in ("workbench.training.callbacks.record", "workbench.training.sequence_module"):
        monkeypatch.setattr(f"{module}.to_floats", count)
    experiment = small("gru", "digits", steps=12, log_every=5)
    experiment = replace(experiment, budget=replace(experiment.budget, evaluation_size=250))
    finish(experiment, tmp_path)
    # At the end a checkpoint is saved too, for which nothing is left to fetch.
    assert [size for size in fetched if size] == [5, 3, 5, 3, 2, 3, 3]


def test_numbers_are_exactly_those_of_the_tensors():
    generator = torch.Generator().manual_seed(0)
    values = torch.rand(50, generator=generator).tolist()
    scores = [{"loss": torch.tensor(value), "right": torch.tensor(step)} for step, value in enumerate(values)]
    scores += [{"loss": torch.tensor([0.1], dtype=torch.float64), "right": torch.tensor(True)}]
    expected = [{name: float(value) for name, value in tensors.items()} for tensors in scores]
    assert devices.to_floats(scores) == expected
    assert devices.to_floats([]) == []


@pytest.mark.gpu
@pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype")
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
@pytest.mark.parametrize("draw", ["cpu", "device"])
@pytest.mark.parametrize("name", [name for name in architectures.names() if name not in ADAPTIVE])
@pytest.mark.parametrize("task", ["addition", "classify-length", "copy", "digits", "text"])
def test_a_gpu_is_waited_for_at_no_step(task, name, draw, tmp_path, monkeypatch):
    """PyTorch itself refuses to wait, from the third step to the one before the row."""

    class Guard(MetricsFile):
        def on_train_batch_start(self, trainer, *rest):
            torch.cuda.set_sync_debug_mode("error" if 2 <= trainer.global_step < STEPS - 1 else "default")
            super().on_train_batch_start(trainer, *rest)

    monkeypatch.setattr("workbench.training.trainer.MetricsFile", Guard)
    experiment = small(name, task, steps=STEPS, log_every=100, task_options=TASK_OPTIONS.get(task, {"length": 8}))
    try:
        finish(replace(experiment, numerics=Numerics(draw=draw)), tmp_path, machine=runs.RunDevice(device="cuda"))
    finally:
        torch.cuda.set_sync_debug_mode("default")

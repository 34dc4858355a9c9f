"""Training on a GPU, through the bench: what comes out, and what it waits for."""

import dataclasses
import warnings
from contextlib import contextmanager

import lightning.pytorch as pl
import pytest
import torch
from torch.profiler import ProfilerActivity, profile

import architectures
from tests.gpu.beside import together
from tests.gpu.devices import GPU, each_device, largest
from tests.workbench.experiments import finish, small
from workbench.lightning_module import SequenceModule
from workbench.run import RunDevice, silence_lightning

STEPS = 20
SETTLED = 5
"""Steps after which all is made that is made once."""
every_architecture = pytest.mark.parametrize("architecture", architectures.names())
# Of Lightning's trees, of a GPU that a run on the CPU leaves idle, and of the debug mode itself.
pytestmark = pytest.mark.filterwarnings(
    "ignore:.*LeafSpec.*", "ignore:GPU available but not used.*", "ignore:.*prototype feature.*"
)


@contextmanager
def waiting(device, mode):
    """What PyTorch does where the processor waits for the GPU: warn, error, or default."""
    if device == "cuda":
        torch.cuda.set_sync_debug_mode(mode)
    try:
        yield
    finally:
        if device == "cuda":
            torch.cuda.set_sync_debug_mode("default")


@every_architecture
@pytest.mark.parametrize("device", [pytest.param("cuda", marks=GPU)])
def test_every_architecture_trains_as_on_the_cpu(architecture, device, tmp_path, monkeypatch, record_property):
    """The same weights and data, and twenty steps later nearly the same loss on the test set."""
    experiment = small(architecture, steps=STEPS, task_options={"length": 60}, learning_rate=0.01)
    there = finish(experiment, tmp_path / device, machine=RunDevice(device=device))
    monkeypatch.setenv("WORKBENCH_BACKEND", "eager")
    here = finish(experiment, tmp_path / "cpu", machine=RunDevice(device="cpu"))
    found, expected = (each.result["test"]["loss"] for each in (there, here))
    record_property("off by", abs(found - expected) / expected)
    assert there.result["status"] == "finished"
    assert found == pytest.approx(expected, rel=1e-2)


@every_architecture
@each_device
def test_a_step_of_the_model_waits_for_nothing(architecture, device):
    """Loss, gradients and update of data that is on the device already: the processor only hands out work."""
    learner = SequenceModule(small(architecture, task_options={"length": 12})).to(device)
    found = learner.configure_optimizers()
    assert isinstance(found, dict)
    optimizer = found["optimizer"]
    batch = learner.training_batch(0)

    def step():
        optimizer.zero_grad()
        learner.scores(batch)[0]["loss"].backward()
        optimizer.step()

    for _ in range(SETTLED):
        step()
    before = [parameter.detach().clone() for parameter in learner.parameters()]
    with waiting(device, "error"):
        step()
    assert any(not torch.equal(a, b) for a, b in zip(before, learner.parameters(), strict=True))


@each_device
def test_a_training_step_waits_for_its_data_at_most(device, record_property):
    """Under Lightning, clipping and all. What is drawn on the CPU is copied; nothing comes back."""
    experiment = small("rda-exp-tanh", steps=STEPS, task_options={"length": 12})
    learner, counts = SequenceModule(experiment), []
    batch = learner.training_batch(0)
    copied = sum(isinstance(getattr(batch, field.name), torch.Tensor) for field in dataclasses.fields(batch))

    class Count(pl.Callback):
        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            if device == "cuda" and batch_idx >= SETTLED:
                torch.cuda.set_sync_debug_mode("warn")
            self.before = len(said)

        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            if batch_idx >= SETTLED:
                counts.append(sum("called a synchronizing" in str(each.message) for each in said[self.before :]))

    silence_lightning()
    trainer = pl.Trainer(
        accelerator="gpu" if device == "cuda" else "cpu",
        devices=1,
        max_steps=STEPS,
        gradient_clip_val=1.0,
        callbacks=[Count()],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    with warnings.catch_warnings(record=True) as said, waiting(device, "default"):
        warnings.simplefilter("always")
        trainer.fit(learner)
    record_property("synchronisations by step", counts)
    record_property("tensors copied", copied)
    assert len(counts) == STEPS - SETTLED
    assert max(counts) <= copied


@each_device
def test_the_profiler_sees_no_copy_back(device, record_property):
    """In steps of the model."""
    learner = SequenceModule(small("rda-exp-tanh", task_options={"length": 12})).to(device)
    batch = learner.training_batch(0)
    for _ in range(SETTLED):
        learner.scores(batch)[0]["loss"].backward()
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if device == "cuda" else [])]
    with profile(activities=activities) as seen:
        learner.scores(batch)[0]["loss"].backward()
    counts = {each.key: each.count for each in seen.key_averages()}
    launched = sum(number for name, number in counts.items() if "Launch" in name)
    back = {name: number for name, number in counts.items() if "DtoH" in name or "StreamSynchronize" in name}
    record_property("launches", launched)
    record_property("waits", back)
    assert not back
    assert launched if device == "cuda" else any(name.startswith("aten::") for name in counts)


@pytest.mark.parametrize("precision", ["float32", "bf16"])
@pytest.mark.parametrize("device", [pytest.param("cuda", marks=GPU)])
def test_what_the_baseline_runs_is_written_down(device, precision, record_property):
    """The kernels of an LSTM, forward and backward, by the time that they take."""
    from tests.gpu.measured import Configuration

    configuration = Configuration(batch_size=128, hidden_size=256, length=100, precision=precision)
    subject = next(iter(configuration.subjects(device).values()))
    _, job = subject.jobs(subject.build())
    job.run()
    with profile(activities=[ProfilerActivity.CUDA]) as seen:
        job.run()
        torch.cuda.synchronize()
    kernels = sorted(seen.key_averages(), key=lambda each: -each.device_time_total)[:6]
    record_property("kernels", {each.key[:90]: [each.count, round(each.device_time_total, 1)] for each in kernels})
    assert kernels


@pytest.mark.parametrize("device", [pytest.param("cpu", marks=pytest.mark.slow), pytest.param("cuda", marks=GPU)])
def test_processes_side_by_side_come_to_the_same(device, tmp_path):
    """Each has the device to itself in turns, and none the other's memory."""
    number = largest(device, cpu=2, cuda=4)
    answers = together(number, device, "rda-exp-tanh", largest(device, cpu=3, cuda=60), tmp_path)
    assert len(answers) == number
    assert len(set(answers)) == 1
    assert 0 < float(answers[0]) < 10

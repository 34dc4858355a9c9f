"""Tests of training on a GPU: its results, and its synchronisation with the CPU."""

import dataclasses
import warnings
from contextlib import contextmanager

import lightning.pytorch as pl
import pytest
import torch
from torch.profiler import ProfilerActivity, profile

import architectures
from tests.gpu.devices import GPU, each_device, size_for
from tests.gpu.side_by_side import train_side_by_side
from tests.workbench.experiments import finish, module_and_data, small
from workbench.run import RunDevice
from workbench.training.trainer import silence_lightning

STEPS = 20
SETTLED = 5
"""Steps after which everything that is set up once is set up."""
every_architecture = pytest.mark.parametrize("architecture", architectures.names())
# Warnings about Lightning's trees, a GPU that a run on the CPU leaves idle, and the debug mode itself.
pytestmark = pytest.mark.filterwarnings(
    "ignore:.*LeafSpec.*", "ignore:GPU available but not used.*", "ignore:.*prototype feature.*"
)


@contextmanager
def sync_debug_mode(device, mode):
    """Sets PyTorch's reaction when the processor waits for the GPU: warn, error, or default."""
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
    """The same weights and data give, twenty steps later, nearly the same loss on the test set."""
    experiment = small(architecture, steps=STEPS, task_options={"length": 60}, learning_rate=0.01)
    gpu_run = finish(experiment, tmp_path / device, machine=RunDevice(device=device))
    monkeypatch.setenv("WORKBENCH_BACKEND", "eager")
    cpu_run = finish(experiment, tmp_path / "cpu", machine=RunDevice(device="cpu"))
    loss, expected = (finished.result["test"]["loss"] for finished in (gpu_run, cpu_run))
    record_property("off by", abs(loss - expected) / expected)
    assert gpu_run.result["status"] == "finished"
    assert loss == pytest.approx(expected, rel=1e-2)


@every_architecture
@each_device
def test_a_step_of_the_model_waits_for_nothing(architecture, device):
    """Loss, gradients and update of data that is on the device already: the processor never waits."""
    module, data = module_and_data(small(architecture, task_options={"length": 12}))
    module.to(device)
    optimizers = module.configure_optimizers()
    assert isinstance(optimizers, dict)
    optimizer = optimizers["optimizer"]
    batch = data.training_batch(0).to(module.device)

    def step():
        optimizer.zero_grad()
        module.compute_scores(batch)[0]["loss"].backward()
        optimizer.step()

    for _ in range(SETTLED):
        step()
    before = [parameter.detach().clone() for parameter in module.parameters()]
    with sync_debug_mode(device, "error"):
        step()
    assert any(not torch.equal(a, b) for a, b in zip(before, module.parameters(), strict=True))


@each_device
def test_a_training_step_waits_for_its_data_at_most(device, record_property):
    """With Lightning and clipping, data that is drawn on the CPU is copied; nothing is copied back."""
    experiment = small("rda-exp-tanh", steps=STEPS, task_options={"length": 12})
    (module, data), counts = module_and_data(experiment), []
    batch = data.training_batch(0)
    copied = sum(isinstance(getattr(batch, field.name), torch.Tensor) for field in dataclasses.fields(batch))

    class SyncCounter(pl.Callback):
        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            if device == "cuda" and batch_idx >= SETTLED:
                torch.cuda.set_sync_debug_mode("warn")
            self.before = len(messages)

        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            if batch_idx >= SETTLED:
                counts.append(
                    sum("called a synchronizing" in str(message.message) for message in messages[self.before :])
                )

    silence_lightning()
    trainer = pl.Trainer(
        accelerator="gpu" if device == "cuda" else "cpu",
        devices=1,
        max_steps=STEPS,
        gradient_clip_val=1.0,
        callbacks=[SyncCounter()],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    with warnings.catch_warnings(record=True) as messages, sync_debug_mode(device, "default"):
        warnings.simplefilter("always")
        trainer.fit(module, data)
    record_property("synchronisations by step", counts)
    record_property("tensors copied", copied)
    assert len(counts) == STEPS - SETTLED
    assert max(counts) <= copied


@each_device
def test_the_profiler_sees_no_copy_back(device, record_property):
    """A step of the model copies nothing back."""
    module, data = module_and_data(small("rda-exp-tanh", task_options={"length": 12}))
    module.to(device)
    batch = data.training_batch(0).to(module.device)
    for _ in range(SETTLED):
        module.compute_scores(batch)[0]["loss"].backward()
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if device == "cuda" else [])]
    with profile(activities=activities) as profiled:
        module.compute_scores(batch)[0]["loss"].backward()
    counts = {event.key: event.count for event in profiled.key_averages()}
    launched = sum(number for name, number in counts.items() if "Launch" in name)
    waits = {name: number for name, number in counts.items() if "DtoH" in name or "StreamSynchronize" in name}
    record_property("launches", launched)
    record_property("waits", waits)
    assert not waits
    assert launched if device == "cuda" else any(name.startswith("aten::") for name in counts)


@pytest.mark.parametrize("precision", ["float32", "bf16"])
@pytest.mark.parametrize("device", [pytest.param("cuda", marks=GPU)])
def test_the_kernels_of_the_baseline_are_recorded(device, precision, record_property):
    """Records the slowest kernels of an LSTM, forward and backward."""
    from tests.gpu.measurement import Configuration

    configuration = Configuration(batch_size=128, hidden_size=256, length=100, precision=precision)
    baseline = next(iter(configuration.benchmark_cases(device).values()))
    _, workload = baseline.workloads(baseline.build())
    workload.run()
    with profile(activities=[ProfilerActivity.CUDA]) as profiled:
        workload.run()
        torch.cuda.synchronize()
    kernels = sorted(profiled.key_averages(), key=lambda kernel: -kernel.device_time_total)[:6]
    record_property(
        "kernels", {kernel.key[:90]: [kernel.count, round(kernel.device_time_total, 1)] for kernel in kernels}
    )
    assert kernels


@pytest.mark.parametrize("device", [pytest.param("cpu", marks=pytest.mark.slow), pytest.param("cuda", marks=GPU)])
def test_processes_side_by_side_have_equal_results(device, tmp_path):
    """They share the device, but not memory."""
    number = size_for(device, cpu=2, cuda=4)
    answers = train_side_by_side(number, device, "rda-exp-tanh", size_for(device, cpu=3, cuda=60), tmp_path)
    assert len(answers) == number
    assert len(set(answers)) == 1
    assert 0 < float(answers[0]) < 10

"""Peak memory of every probe on sequences of 20,000 steps, as the growth of a process that runs nothing else."""

import ctypes
import gc
import math
import weakref
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Generator, Tensor

from analysis.measures import gradients
from analysis.measures.memory_capacity import memory_capacity
from analysis.probes import memory_length
from analysis.probes.models import untrained_model
from analysis.probes.registry import PROBES, load_probe
from analysis.probes.settings import ProbeSettings
from analysis.profile.memory import RESET, STATUS, read_status
from architectures.state import State
from tests.analysis.memory_toys import ToyEncoder, toy_model
from tests.forked_command import forked_command
from workbench.config import Experiment
from workbench.resolve import resolve_architecture, resolve_task

pytestmark = pytest.mark.skipif(not STATUS.exists(), reason="the system does not report memory")
STEPS, WIDTH = 20_000, 8


def reset_peak() -> int:
    """Returns the resident memory of this process, in bytes, from which its peak counts from now on."""
    torch.set_num_threads(1)
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    RESET.write_text("5")
    return read_status("VmRSS")


def print_growth_of_capacity(sequences: int, samples: int, lags: int) -> None:
    """Prints the growth while memory capacity is measured; the inputs were there before."""
    u = torch.rand(sequences, lags - 1 + samples, generator=Generator().manual_seed(0))
    states = u[:, -samples:].unsqueeze(2).clone()
    memory_capacity(states, u[:, -samples - 9 :], Generator().manual_seed(0))
    before = reset_peak()
    memory_capacity(states, u, Generator().manual_seed(0))
    print(read_status("VmHWM") - before, flush=True)


def print_growth_of_probe(probe: str, architecture: str) -> None:
    """Prints the growth while a probe measures a model."""
    task = {"alternation": "alternation"}.get(probe, "copy")
    resolved, built = resolve_task(task, {"length": STEPS if task == "alternation" else STEPS - 20})
    part = resolve_architecture(architecture, {}, built, hidden_size=WIDTH)
    loaded = replace(untrained_model(Experiment(task=resolved, architecture=part)), trained=True)
    module = load_probe(probe)
    # What is loaded at the first use only is no memory of the probe.
    small_task, small_built = resolve_task(task, {"length": 30})
    small_part = resolve_architecture(architecture, {}, small_built, hidden_size=WIDTH)
    module.measure(
        replace(untrained_model(Experiment(task=small_task, architecture=small_part)), trained=True),
        ProbeSettings(sequences=2, directions=2, longest=100),
    )
    before = reset_peak()
    module.measure(loaded, ProbeSettings())
    print(read_status("VmHWM") - before, flush=True)


def growth(tmp_path: Path, function: object, *arguments: object) -> int:
    with forked_command(function, *arguments, folder=tmp_path) as process:  # type: ignore[arg-type]
        assert process.wait(600) == 0, process.errors
        return int(process.output)


def test_memory_capacity_copies_a_block_of_lags_at_a_time(tmp_path: Path) -> None:
    sequences, samples, lags = 64, 50, STEPS
    whole = 8 * sequences * samples * lags
    # Two results for each held-out sequence and lag, and some ten blocks.
    bound = 2 * 8 * (sequences // 2) * lags + 10 * 8 * 2**20
    assert whole > 4 * bound
    assert growth(tmp_path, print_growth_of_capacity, sequences, samples, lags) < bound


class NumpyEncoder(ToyEncoder):
    """An encoder that remembers, weakly, the memory of everything that it has returned."""

    def __init__(self, input_size: int) -> None:
        super().__init__(input_size)
        self.output_size = 2
        self.outputs: list[weakref.ref[np.ndarray]] = []

    def encode(self, x: Tensor, state: State, lengths: Tensor | None) -> tuple[Tensor, State]:
        array = x[:, :, :2].numpy().copy()
        self.outputs.append(weakref.ref(array))
        return torch.from_numpy(array), None


def test_memory_capacity_keeps_the_last_steps_alone_of_what_an_encoder_returns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("analysis.probes.predictions.MAX_STEPS", 500)
    encoder = NumpyEncoder(10)
    loaded = toy_model("copy", {"length": 100}, encoder)
    alive = []

    def count_outputs(states: Tensor, inputs: Tensor, generator: Generator) -> None:
        alive.append(sum(output() is not None for output in encoder.outputs))
        raise InterruptedError

    monkeypatch.setattr(memory_length, "memory_capacity", count_outputs)
    with pytest.raises(InterruptedError):
        memory_length.measure_memory_capacity(loaded, ProbeSettings())
    assert len(encoder.outputs) > 50
    assert alive[0] <= 1


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("probe", "architecture"),
    [
        ("memory_length", "gru"),
        ("memory_length", "tcn"),
        ("gradient_decay", "lstm"),
        ("gradient_decay", "han"),
        ("discount_dynamics", "rda"),
        ("discount_dynamics", "han"),
        ("alternation", "rwa"),
        ("signal_survival", "gru"),
        ("alignment", "han"),
        ("alignment", "han-memory"),
    ],
)
def test_every_probe_is_bounded(probe: str, architecture: str, tmp_path: Path) -> None:
    # The most sequences that a probe reads are those of memory capacity: symbols, numbers, and one copy of each.
    sequences = 2 * math.ceil(memory_length.MIN_SAMPLES / memory_length.MAX_SAMPLES_PER_SEQUENCE)
    read = 24 * sequences * (STEPS + memory_length.MAX_SAMPLES_PER_SEQUENCE)
    # Two dozen tensors of the largest pass: what PyTorch keeps of an LSTM's gates, products and states.
    bound = read + 24 * 4 * gradients.MAX_ELEMENTS
    assert bound < 10**9
    assert growth(tmp_path, print_growth_of_probe, probe, architecture) < bound


def test_every_probe_is_among_them() -> None:
    (mark,) = [mark for mark in test_every_probe_is_bounded.pytestmark if mark.name == "parametrize"]  # type: ignore[attr-defined]
    assert {probe for probe, _ in mark.args[1]} == set(PROBES)

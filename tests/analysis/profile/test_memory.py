"""Peak memory, measured."""

from dataclasses import replace

import pytest
import torch

from analysis.profile.cases import BenchmarkCase
from analysis.profile.memory import STATUS, on_cuda, resident


@pytest.mark.skipif(not STATUS.exists(), reason="the system does not tell")
def test_peak_memory_holds_what_backward_needs() -> None:
    # An RNN saves its output at least: 4 bytes a unit and step, for each of 8 sequences.
    subject = BenchmarkCase(
        name="rnn",
        time=300,
        batch=8,
        input_size=2,
        hidden_size=256,
        device="cpu",
        options={"hidden_size": 256},
    )
    output = 4 * 300 * 8 * 256
    small, large = resident([subject, replace(subject, batch=24)], threads=1)
    assert small is not None
    assert large is not None
    assert output < small < 20 * output
    # Three sequences for one, three numbers for one, save what does not grow with them.
    assert 2 < large / small < 4


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_peak_memory_on_a_gpu_holds_what_backward_needs() -> None:
    subject = BenchmarkCase(
        name="rnn", time=300, batch=8, input_size=2, hidden_size=256, device="cuda", options={"hidden_size": 256}
    )
    assert on_cuda(subject.jobs(subject.build())[1]) > 4 * 300 * 8 * 256

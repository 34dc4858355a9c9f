"""Measurement of peak memory."""

from dataclasses import replace

import pytest
import torch

from analysis.profile.cases import BenchmarkCase
from analysis.profile.memory import STATUS, peak_on_cpu, peak_on_cuda


@pytest.mark.slow
@pytest.mark.skipif(not STATUS.exists(), reason="the system does not report memory")
def test_peak_memory_holds_what_backward_needs() -> None:
    # An RNN saves at least its output: 4 bytes per unit and step, for each of 8 sequences.
    case = BenchmarkCase(
        name="rnn",
        time=300,
        batch=8,
        input_size=2,
        hidden_size=256,
        device="cpu",
        options={"hidden_size": 256},
    )
    output = 4 * 300 * 8 * 256
    small, large = peak_on_cpu([case, replace(case, batch=24)], threads=1)
    assert small is not None
    assert large is not None
    assert output < small < 20 * output
    # Three times the sequences need three times the numbers, except for those that do not depend on the batch.
    assert 2 < large / small < 4


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_peak_memory_on_a_gpu_holds_what_backward_needs() -> None:
    case = BenchmarkCase(
        name="rnn", time=300, batch=8, input_size=2, hidden_size=256, device="cuda", options={"hidden_size": 256}
    )
    assert peak_on_cuda(case.workloads(case.build())[1]) > 4 * 300 * 8 * 256

"""Denormal numbers: where they are taken for 0, and that no gradient of a weight depends on it."""

import platform
from contextlib import nullcontext

import pytest
import torch

from architectures.kernels import linear_scan, native
from architectures.registry import build
from tests.workbench.experiments import small
from workbench.denormals import are_flushed, flushed_denormals
from workbench.run import run

pytestmark = pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64"), reason="PyTorch flushes denormal numbers on x86 processors alone"
)


def test_denormal_numbers_are_zero_inside_and_are_not_outside():
    least = {dtype: torch.full((3,), torch.finfo(dtype).tiny, dtype=dtype) for dtype in (torch.float32, torch.float64)}
    assert not are_flushed()
    with flushed_denormals():
        with flushed_denormals():
            assert are_flushed()
        assert are_flushed()
        for tiny in least.values():
            assert (tiny / 4).eq(0).all()
            assert tiny.mul(1).eq(tiny).all()
    assert not are_flushed()
    for tiny in least.values():
        assert (tiny / 4 * 4).eq(tiny).all()


def test_they_are_denormal_numbers_again_after_an_error():
    with pytest.raises(ZeroDivisionError), flushed_denormals():
        raise ZeroDivisionError
    assert not are_flushed()


def test_a_run_trains_without_denormal_numbers(tmp_path):
    seen = []
    run(small(steps=3), tmp_path, on_progress=lambda step: seen.append(are_flushed()))
    assert seen
    assert all(seen)
    assert not are_flushed()


@pytest.mark.skipif(native.unavailable_reason() is not None, reason="the compiled kernels are not available")
@pytest.mark.parametrize("flushes", [False, True])
def test_threads_that_share_a_kernel_s_work_flush_as_the_calling_one_does(flushes):
    """PyTorch sets it for the calling thread alone, and those of its pool may be from before."""
    tiny, threads = torch.finfo(torch.float32).tiny, torch.get_num_threads()
    half, nothing, start = torch.full((6, 8, 16), 0.5), torch.zeros(6, 8, 16), torch.full((6, 16), tiny)
    expected = nothing if flushes else tiny * half.cumprod(1)
    try:
        torch.set_num_threads(3)
        torch.ones(2**20).exp_()
        with flushed_denormals() if flushes else nullcontext():
            h = linear_scan(half, nothing, start, backend="compiled")
    finally:
        torch.set_num_threads(threads)
    assert h.equal(expected)


@pytest.mark.parametrize("name", ["gru", "rda", "mut1"])
def test_gradients_of_weights_are_the_same_where_they_vanish_over_time(name):
    """The gradient of the first features comes to denormal numbers, which add nothing to those of the weights."""

    def gradients() -> tuple[torch.Tensor, list[torch.Tensor]]:
        torch.manual_seed(0)
        encoder = build(name, 2, hidden_size=8)
        x = torch.randn(2, 700, 2, requires_grad=True)
        encoder(x)[0][:, -1].sum().backward()
        assert x.grad is not None
        return x.grad, [weight.grad for weight in encoder.parameters() if weight.grad is not None]

    of_inputs, of_weights = gradients()
    with flushed_denormals():
        flushed_inputs, flushed_weights = gradients()
    tiny = torch.finfo(torch.float32).tiny
    assert (of_inputs.abs().lt(tiny) & of_inputs.ne(0)).any()
    assert not (flushed_inputs.abs().lt(tiny) & flushed_inputs.ne(0)).any()
    assert of_weights
    for weight, flushed in zip(of_weights, flushed_weights, strict=True):
        assert weight.equal(flushed)

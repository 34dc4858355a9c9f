"""Denormal numbers: where they are taken for 0, and that no weight depends on it."""

import subprocess
import sys
from contextlib import nullcontext

import pytest
import torch

from architectures.kernels import linear_scan, native
from architectures.registry import build
from tests.workbench.experiments import small
from workbench.denormals import are_flushed, flushed_denormals
from workbench.run import run

CAN_FLUSH = torch.set_flush_denormal(True)
torch.set_flush_denormal(False)
pytestmark = pytest.mark.skipif(not CAN_FLUSH, reason="PyTorch cannot flush denormal numbers on this processor")

POOL = """
import torch

from workbench.denormals import flushed_denormals

torch.set_num_threads(2)
with flushed_denormals():
    torch.ones(2**18).exp_()
assert torch.full((2**18,), torch.finfo(torch.float32).tiny).div(2).ne(0).all()
"""


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


def test_no_thread_of_the_pool_goes_on_flushing():
    """A thread takes the mode of the one that starts it, and keeps it; a new process has no pool yet."""
    subprocess.run([sys.executable, "-c", POOL], check=True)


def gradients(encoder, x):
    """Returns those of x and of all weights, from the last output."""
    inputs = x.clone().requires_grad_()
    encoder.zero_grad()
    encoder(inputs)[0][:, -1].sum().backward()
    return inputs.grad, [weight.grad.clone() for weight in encoder.parameters() if weight.grad is not None]


def has_denormals(x):
    return bool((x.abs().lt(torch.finfo(x.dtype).tiny) & x.ne(0)).any())


@pytest.mark.parametrize("name", ["gru", "rda", "mut1"])
def test_gradients_that_vanish_over_time_leave_those_of_weights_as_they_are(name):
    """Those of the first features come to denormal numbers, which add nothing to sums over all steps."""
    torch.manual_seed(0)
    encoder, x = build(name, 2, hidden_size=8), torch.randn(2, 700, 2)
    of_inputs, of_weights = gradients(encoder, x)
    with flushed_denormals():
        flushed_inputs, flushed_weights = gradients(encoder, x)
    assert has_denormals(of_inputs)
    assert not has_denormals(flushed_inputs)
    assert of_weights
    assert all(map(torch.equal, of_weights, flushed_weights))


@pytest.mark.parametrize("name", ["lstm", "gru", "rda"])
def test_weights_are_trained_as_with_denormal_numbers_where_their_gradients_are_such(name):
    """What is shown at the first steps alone leaves weights whose whole gradient is denormal, or 0 then."""
    shown = torch.nn.functional.one_hot(torch.randint(4, (4, 600), generator=torch.Generator().manual_seed(0)), 5)
    shown[:, 10:] = torch.tensor([0, 0, 0, 0, 1])
    trained, small_ones = [], []
    for scope in (nullcontext(), flushed_denormals()):
        torch.manual_seed(0)
        encoder = build(name, 5, hidden_size=16)
        optimizer = torch.optim.Adam(encoder.parameters(), lr=0.01)
        with scope:
            for _ in range(3):
                _, of_weights = gradients(encoder, shown.float())
                small_ones.append(any(map(has_denormals, of_weights)))
                optimizer.step()
        trained.append([weight.detach().clone() for weight in encoder.parameters()])
    assert any(small_ones[:3])
    assert not any(small_ones[3:])
    assert all(map(torch.equal, *trained))

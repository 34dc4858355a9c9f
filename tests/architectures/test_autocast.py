"""Tests under autocast: matrix products may be in half precision, sums over time and levels may not."""

import torch

from architectures import build
from architectures.state import iter_tensors
from tests.architectures.cases import assert_close, noise


def test_averages_stay_in_single_precision_under_autocast() -> None:
    """After 500 steps, during which a bfloat16 sum would have stopped growing, r, l and the output are float32 and near
    their values without autocast; the gradients are float32 and finite."""
    x = noise(2, 500, 3, dtype=torch.float32)
    for name in ("rwa", "rda-exp-tanh", "rda-sigmoid-id"):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            encoder = build(name, 3, hidden_size=6)
        expected, _ = encoder(x)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            y, state = encoder(x)
        assert y.dtype == torch.float32
        assert {tensor.dtype for tensor in iter_tensors(state)} == {torch.float32}
        assert_close(y, expected, 0.05)
        y.sum().backward()
        for parameter in encoder.parameters():
            assert parameter.grad is not None
            assert parameter.grad.dtype == torch.float32
            assert parameter.grad.isfinite().all()


def test_gradients_under_autocast_are_in_single_precision() -> None:
    x = noise(3, 20, 3, dtype=torch.float32)
    encoder = build("rda", 3, hidden_size=6)
    y, _ = encoder(x)
    loss = y.square().sum()
    expected = torch.autograd.grad(loss, list(encoder.parameters()), retain_graph=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        grads = torch.autograd.grad(loss, list(encoder.parameters()))
    for a, b in zip(grads, expected, strict=True):
        assert torch.equal(a, b)


def test_sums_over_levels_stay_in_single_precision() -> None:
    """These are the hierarchy's vectors, to which every level adds; and no norm gets weights of another type, for which
    PyTorch would warn."""
    x = noise(2, 30, 3, dtype=torch.float32)
    encoder = build("han", 3, hidden_size=8, window=3, reach=27)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y, _ = encoder(x)
        trace = encoder.trace(x)
    assert {level.dtype for level in trace.levels or ()} == {torch.float32}
    assert y.dtype == torch.float32
    exact, y = encoder(x)[0].detach(), y.detach()
    assert 1e-4 < float((y - exact).norm() / exact.norm()) < 0.05

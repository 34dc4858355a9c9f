"""Tests of attention over sliding windows, against explicit loops and within a memory limit."""

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from architectures.kernels import sliding_attention as kernel
from architectures.kernels.sliding_attention import apply_rotary, sliding_attention, sliding_weights
from tests.architectures.cases import assert_close, noise

HEADS, SIZE = 2, 3


def naive_sliding_attention(q: Tensor, k: Tensor, v: Tensor, window: int, spacing: int) -> tuple[Tensor, Tensor]:
    """Computes sliding attention and its weights, step by step."""
    batch, time = q.shape[:2]
    past = k.shape[1] - time
    outputs, maps = [], []
    for t in range(time):
        visible = [past + t - j * spacing for j in range(window) if past + t - j * spacing >= 0]
        scores = [(q[:, t] * k[:, s]).sum(2, keepdim=True) / math.sqrt(SIZE) for s in visible]
        total = sum((score.exp() for score in scores), start=torch.zeros_like(scores[0]))
        weights = [score.exp() / total for score in scores]
        outputs.append(
            sum((w * v[:, s] for w, s in zip(weights, visible, strict=True)), start=torch.zeros_like(v[:, 0]))
        )
        nothing = [torch.zeros_like(total)] * (window - len(visible))
        maps.append(torch.cat([*weights, *nothing], dim=2))
    return torch.stack(outputs, dim=1), torch.stack(maps, dim=2).view(batch, HEADS, time, window)


def check_against_loop(time: int, past: int, window: int, spacing: int, *, of_gradients: bool = True) -> None:
    q = noise(2, time, HEADS, SIZE).requires_grad_()
    k, v = (noise(2, past + time, HEADS, SIZE, seed=seed).requires_grad_() for seed in (1, 2))
    out = sliding_attention(q, k, v, window=window, spacing=spacing)
    expected, maps = naive_sliding_attention(q, k, v, window, spacing)
    assert_close(out, expected)
    assert_close(sliding_weights(q, k, window=window, spacing=spacing), maps)
    if of_gradients:
        probe = noise(*out.shape, seed=3)
        assert_close(
            torch.autograd.grad((out * probe).sum(), (q, k, v)),
            torch.autograd.grad((expected * probe).sum(), (q, k, v)),
        )


@pytest.mark.parametrize("spacing", [1, 2, 3, 7])
@pytest.mark.parametrize("window", [1, 2, 3, 5])
def test_sliding_attention_is_an_explicit_loop(window: int, spacing: int) -> None:
    """For times below, at and above a block, and pasts from none over part of the window to all of it."""
    span = (window - 1) * spacing
    for time in (1, 2, window, spacing, window * spacing, window * spacing + 1, 2 * window * spacing + 3):
        for past in sorted({0, 1, spacing, span // 2, max(0, span - 1), span}):
            if past <= span:
                check_against_loop(time, past, window, spacing, of_gradients=time < 12)


@pytest.mark.parametrize("largest", [1, 2, 3, 5])
def test_a_folded_batch_may_be_split(monkeypatch: pytest.MonkeyPatch, largest: int) -> None:
    """Batches above `MAX_ATTENTION_BATCH` are split, with the same results, also for masks that differ by residue."""
    sizes: list[int] = []

    def counted(*args: Tensor, **options: Any) -> Tensor:
        sizes.append(len(args[0]))
        return scaled_dot_product_attention(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(kernel, "scaled_dot_product_attention", counted)
    for time, past in ((1, 0), (5, 0), (17, 0), (17, 3), (17, 4), (4, 4), (1, 5)):
        check_against_loop(time, past, 3, 3)
    in_one, batches = len(sizes), max(sizes)
    monkeypatch.setattr(kernel, "MAX_ATTENTION_BATCH", largest)
    for time, past in ((1, 0), (5, 0), (17, 0), (17, 3), (17, 4), (4, 4), (1, 5)):
        check_against_loop(time, past, 3, 3)
    assert max(sizes[in_one:]) == largest < batches
    assert len(sizes) > 2 * in_one


def test_rotation_turns_each_pair_and_keeps_products_of_equal_distance() -> None:
    """The angle is position * 10000^(-i / half); an odd last component is left as it is."""
    x = noise(2, 4, HEADS, 5)
    positions = torch.tensor([0, 3, -2, 10_000])
    turned = apply_rotary(x, positions)
    for t, position in enumerate(positions.tolist()):
        for i in range(2):
            angle = position * 10_000 ** (-i / 2)
            pair = complex(math.cos(angle), math.sin(angle)) * torch.complex(x[:, t, :, i], x[:, t, :, i + 2])
            assert_close(turned[:, t, :, i], pair.real)
            assert_close(turned[:, t, :, i + 2], pair.imag)
    assert torch.equal(turned[..., 4], x[..., 4])
    shifted = apply_rotary(x, positions + 77)
    assert_close(turned @ turned.transpose(2, 3), shifted @ shifted.transpose(2, 3))
    assert_close((turned[:, 0] * turned[:, 1]).sum(2), (shifted[:, 0] * shifted[:, 1]).sum(2))


def test_late_positions_lose_no_precision() -> None:
    """In single precision, products of neighbours a million steps later are those at the start."""
    x = noise(1, 2, 1, 8, dtype=torch.float32)
    products = [
        (apply_rotary(x, torch.tensor([at, at + 1]))[:, 0] * apply_rotary(x, torch.tensor([at, at + 1]))[:, 1]).sum()
        for at in (0, 1_000_000)
    ]
    assert_close(products[1], products[0], 1e-5)


MEASURE = """
import resource, sys, torch, architectures
time, options = int(sys.argv[1]), {"hidden_size": 8, "num_heads": 1, "reach": int(sys.argv[1])}
encoder, x = architectures.build("han", 1, **options), torch.randn(1, time, 1)
torch.set_num_threads(1)
with torch.no_grad():
    encoder(x[:, :500])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert encoder(x)[0].isfinite().all()
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**20)
"""


@pytest.mark.parametrize(
    ("time", "gigabytes"), [(20_000, 0.5), pytest.param(100_000, 4.0, marks=pytest.mark.slow)], ids=str
)
def test_memory_grows_with_time_and_window_alone(time: int, gigabytes: float) -> None:
    """A map of time x time in single precision would take 1.6 and 40 GB. Reach and time are the same here, so that no
    past is left out."""
    root = Path(__file__).parents[2]
    completed = subprocess.run(
        [sys.executable, "-c", MEASURE, str(time)], cwd=root, capture_output=True, text=True, check=False
    )
    assert completed.returncode == 0, completed.stderr
    assert float(completed.stdout) < gigabytes

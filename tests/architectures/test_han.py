"""Tests of the hierarchy's heads and positions."""

import pytest
import torch

from architectures import build
from tests.architectures.cases import assert_close, noise


@pytest.mark.parametrize("hidden_size", [2, 3, 4, 5, 6, 8, 12, 64, 250])
def test_the_order_within_a_window_matters(hidden_size: int) -> None:
    """With the default heads, at any size, swapping two steps of a window changes the output. A head of a single
    component has no pair to rotate, and would see a window as a set."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = build("han", 3, hidden_size=hidden_size, window=3, num_layers=1).double()
    x = noise(4, 3, 3)
    y, swapped = (encoder(sequence)[0][:, -1] for sequence in (x, x[:, [1, 0, 2]]))
    assert (y - swapped).abs().max() > 1e-4


@torch.no_grad()
def test_shifting_the_input_shifts_the_output() -> None:
    """Steps beyond the reach change nothing, and positions have no origin: the same 27 steps give the same output
    wherever they are."""
    encoder = build("han", 3, hidden_size=8, window=3, num_layers=3).double()
    window = noise(1, 27, 3)
    expected = encoder(window)[0][:, -1]
    for before in (1, 2, 5, 9, 26, 100):
        y, _ = encoder(torch.cat([noise(1, before, 3, seed=before), window, noise(1, 3, 3, seed=8)], dim=1))
        assert_close(y[:, before + 26], expected)

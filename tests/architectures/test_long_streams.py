"""Streams without end: what is carried from piece to piece stays as large as it is, and so does the process."""

import resource

import pytest
import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from architectures import State
from tests.architectures.cases import DEFAULT_CASES, INPUT_SIZE, Case, make_encoder, noise, parametrize_cases

STEPS, PIECE = 100_000, 500
SETTLED = 20_000
"""Steps after which every buffer, cache and window is full."""
GROWTH = 16 * 2**20
"""Bytes by which the process may still grow: less than 200 for each step that is left."""


def is_bounded(case: Case) -> bool:
    encoder = make_encoder(case)
    return case.causal and encoder.state_size(SETTLED) == encoder.state_size(STEPS)


def held_bytes(state: State) -> int:
    """Returns the bytes of all memory that a state keeps alive; a view of a large tensor keeps all of it."""
    storages = [leaf.untyped_storage() for leaf in tree_leaves(state) if isinstance(leaf, Tensor)]
    return sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values())


@pytest.mark.slow
@parametrize_cases(case for case in DEFAULT_CASES if is_bounded(case))
def test_a_stream_takes_constant_memory(case: Case) -> None:
    encoder = make_encoder(case, dtype=torch.float32).eval()
    x = noise(1, PIECE, INPUT_SIZE, dtype=torch.float32)
    state: State = None
    held, peaks = [], []
    with torch.inference_mode():
        for step in range(PIECE, STEPS + 1, PIECE):
            y, state = encoder(x, state)
            assert y.isfinite().all(), f"step {step:,}"
            if step >= SETTLED:
                held.append(held_bytes(state))
                peaks.append(1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    assert set(held) == {held[0]}
    # Of single-precision numbers; a clock is one of 64 bits.
    assert held[0] <= 8 * encoder.state_size(STEPS) + 64
    assert peaks[-1] - peaks[0] < GROWTH

"""States that are sums over all steps so far, carried step by step in half precision."""

from typing import Any

import pytest
import torch

import architectures
from tests.architectures.cases import INPUT_SIZE, Case, make_encoder, noise

STEPS = 600


NAMES = ("linear-attention", "fox", "retnet", "mlstm", "mamba2", "gated-deltanet", "lru", "s4d")


@torch.no_grad()
@pytest.mark.parametrize(("name", "dtype"), [*((name, torch.bfloat16) for name in NAMES), ("fox", torch.float16)])
def test_a_sum_over_many_steps_goes_on_growing(name: str, dtype: torch.dtype) -> None:
    """In bfloat16, 1 added to 256 is 256: what is carried would stand still, and the outputs with it."""
    heads = {"num_heads": 2} if "num_heads" in architectures.options(name) else {}
    encoder: Any = make_encoder(Case(name=name, options={"hidden_size": 8, **heads})).to(dtype)
    if name == "fox":
        # A gate that forgets 0.0025 a step.
        encoder.blocks[0].mixer.gate.weight.zero_()
        encoder.blocks[0].mixer.gate.bias.fill_(6.0)
    x = noise(1, STEPS, INPUT_SIZE).to(dtype)
    _, (whole,) = encoder(x)
    state = None
    for t in range(STEPS):
        _, state = encoder(x[:, t : t + 1], state)
    assert state is not None
    torch.testing.assert_close(state[0][-1], whole[-1], rtol=2e-3, atol=2e-3 * float(whole[-1].abs().max()))

"""Architectures against those of the package torchrecurrent, an implementation by others, with the same weights."""

from typing import Any

import pytest
import torch

import architectures
from tests.architectures.cases import noise

torchrecurrent = pytest.importorskip("torchrecurrent", reason="torchrecurrent is not installed")
BATCH, TIME, INPUTS, UNITS = 3, 40, 3, 4


@pytest.mark.parametrize(
    ("name", "cell"),
    [("lstm-peephole", "PeepholeLSTMCell"), ("mut1", "MUT1Cell"), ("mut2", "MUT2Cell"), ("mut3", "MUT3Cell")],
)
def test_the_same_weights_give_the_same_numbers(name: str, cell: str) -> None:
    encoder = architectures.build(name, INPUTS, hidden_size=UNITS).double()
    theirs: Any = getattr(torchrecurrent, cell)(INPUTS, UNITS, dtype=torch.float64)
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.normal_()
        ours = {key.removeprefix("layers.0."): value for key, value in encoder.named_parameters()}
        theirs.weight_ih.copy_(ours["weight_x"])
        theirs.weight_hh.copy_(ours["weight_h"])
        theirs.bias_ih.copy_(ours["bias"])
        theirs.bias_hh.zero_()
        if name == "mut1":
            # The paper's bias of the new content is added behind the inner tanh, as their second one is.
            theirs.bias_hh[-UNITS:] = theirs.bias_ih[-UNITS:]
            theirs.bias_ih[-UNITS:] = 0
        if "peephole_i" in ours:
            theirs.weight_ph.copy_(torch.cat([ours[f"peephole_{gate}"] for gate in "ifo"]))
    x = noise(BATCH, TIME, INPUTS).double()
    y, _ = encoder(x)
    state: Any = None
    for t in range(TIME):
        state = theirs(x[:, t], state)
        h = state[0] if isinstance(state, tuple) else state
        assert (y[:, t] - h).abs().max() < 1e-12

"""A long sequence that a TCN evaluates in parts: the numbers are those of the whole."""

from typing import Any

import pytest
import torch

from architectures import tcn
from tests.architectures.cases import INPUT_SIZE, Case, assert_close, make_encoder, noise


def test_parts_give_what_the_whole_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder: Any = make_encoder(Case(name="tcn", options={"hidden_size": 4, "reach": 40})).eval()
    x = noise(2, 50, INPUT_SIZE)
    _, before = encoder(noise(2, 7, INPUT_SIZE))
    whole, end = encoder(x, before)
    monkeypatch.setattr(tcn, "PART_STEPS", 8)
    calls: list[int] = []
    run_blocks = encoder._run_blocks

    def counted(part: torch.Tensor, state: Any) -> Any:
        calls.append(part.shape[1])
        return run_blocks(part, state)

    monkeypatch.setattr(encoder, "_run_blocks", counted)
    with torch.no_grad():
        parts, end_of_parts = encoder(x, before)
    assert calls == [8] * 6 + [2]
    assert_close(parts, whole)
    for left, right in zip(end_of_parts, end, strict=True):
        assert_close(left.first, right.first)
        assert_close(left.second, right.second)
    # With gradients nothing is gained, and so it stays whole.
    calls.clear()
    encoder(x, before)
    assert calls == [50]

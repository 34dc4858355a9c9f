"""Seeding: the same bits as torch's own, and random numbers as functions of a key."""

import random

import numpy as np
import pytest
import torch

from workbench.seeding import seed_everything, seed_torch, seeded_apart
from workbench.seeds import derive_seed


@pytest.mark.parametrize("seed", [0, 1, 2**40 + 3, 2**63 - 1])
def test_torchs_own_function_gives_the_same_bits(seed: int) -> None:
    torch.manual_seed(seed)
    expected = torch.randn(5), torch.nn.functional.dropout(torch.ones(50)), torch.randperm(9)
    torch.randn(3)
    seed_torch(seed)
    drawn = torch.randn(5), torch.nn.functional.dropout(torch.ones(50)), torch.randperm(9)
    assert all(torch.equal(one, other) for one, other in zip(drawn, expected, strict=True))


def test_devices_in_use_are_seeded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    seeds: list[int] = []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeds.append)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    seed_torch(7)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    seed_torch(8)
    assert seeds == [8]


def test_all_three_generators_are_functions_of_the_key() -> None:
    def draw(*key: int | str) -> tuple[float, float, float]:
        seed_everything(*key)
        return float(torch.rand(())), float(np.random.rand()), random.random()

    assert draw("step", 1, 2) == draw("step", 1, 2)
    assert all(one != other for one, other in zip(draw("step", 1, 2), draw("step", 2, 1), strict=True))
    assert derive_seed("step", 1, 2) != derive_seed("step", 12)


def test_generators_are_as_before_after_seeding_apart() -> None:
    seed_everything("here")
    expected = torch.rand(2), np.random.rand(), random.random()
    seed_everything("here")
    with seeded_apart("there"):
        torch.rand(3), np.random.rand(3), random.random()
    assert torch.equal(torch.rand(2), expected[0])
    assert (np.random.rand(), random.random()) == expected[1:]

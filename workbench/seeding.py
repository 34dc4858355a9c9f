"""Random numbers as functions of a key, so that the order in which they are drawn changes nothing."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from workbench.seeds import derive_seed

CPU = torch.device("cpu")
"""Device that data is drawn on unless an experiment says otherwise: each device has its own random numbers."""


def make_generator(device: torch.device, *key: int | str) -> torch.Generator:
    """Returns a new generator, whose stream is a function of the key alone."""
    return torch.Generator(device).manual_seed(derive_seed(*key))


@dataclass(frozen=True, slots=True)
class RandomState:
    """State of the global generators of torch (on the CPU), NumPy and Python."""

    torch_state: torch.Tensor
    numpy_state: Any
    python_state: Any

    @classmethod
    def now(cls) -> "RandomState":
        """Returns the present state."""
        return cls(torch.get_rng_state(), np.random.get_state(), random.getstate())

    def restore(self) -> None:
        """Puts the generators into this state."""
        torch.set_rng_state(self.torch_state)
        np.random.set_state(self.numpy_state)
        random.setstate(self.python_state)


@contextmanager
def seeded_apart(*key: int | str) -> Iterator[None]:
    """Seeds the global generators while it lasts; afterwards they are in the state in which they were before."""
    before = RandomState.now()
    seed_everything(*key)
    try:
        yield
    finally:
        before.restore()


def seed_everything(*key: int | str) -> None:
    """Seeds the global generators of torch, NumPy and Python.

    Initial weights and dropout are drawn from torch's; custom parts may draw from any of them.
    """
    seed = derive_seed(*key)
    seed_torch(seed)
    # NumPy's takes 32 bits.
    np.random.seed(seed & 0xFFFFFFFF)
    random.seed(seed)


def seed_torch(seed: int) -> None:
    """Seeds the generators of torch that are in use, with the same bits as `torch.manual_seed`.

    That function takes 0.15 ms on a machine without a GPU, as it prepares an error message for every kind of device: a
    sixth of a short training step.
    """
    torch.default_generator.manual_seed(seed)
    # A device that is not in use yet has drawn nothing, and is seeded again by the step that uses it first.
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(seed)
    if torch.backends.mps.is_available():
        torch.mps.manual_seed(seed)

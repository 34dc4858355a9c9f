"""Random numbers as functions of a key: who asks in which order changes nothing."""

import hashlib

import torch

CPU = torch.device("cpu")
"""Where data is drawn unless an experiment says otherwise: every device has random numbers of its own."""


def seed_of(*key: int | str) -> int:
    """A 63-bit seed made from the key; different keys give unrelated seeds."""
    digest = hashlib.blake2b(repr(key).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def seeded(device: torch.device, *key: int | str) -> torch.Generator:
    """A generator of its own, whose stream is a function of the key alone."""
    return torch.Generator(device).manual_seed(seed_of(*key))


def seed_everything(*key: int | str) -> None:
    """Seeds torch's global generators, from which initial weights and dropout are drawn."""
    torch.manual_seed(seed_of(*key))

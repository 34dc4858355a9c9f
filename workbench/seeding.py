"""Random numbers as functions of a key, so that the order in which they are drawn changes nothing."""

import hashlib

import torch

CPU = torch.device("cpu")
"""Device that data is drawn on unless an experiment says otherwise: each device has its own random numbers."""


def derive_seed(*key: int | str) -> int:
    """Returns a 63-bit seed derived from the key; different keys give unrelated seeds."""
    digest = hashlib.blake2b(repr(key).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def make_generator(device: torch.device, *key: int | str) -> torch.Generator:
    """Returns a new generator, whose stream is a function of the key alone."""
    return torch.Generator(device).manual_seed(derive_seed(*key))


def seed_everything(*key: int | str) -> None:
    """Seeds torch's global generators, from which initial weights and dropout are drawn."""
    torch.manual_seed(derive_seed(*key))

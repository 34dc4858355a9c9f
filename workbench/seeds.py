"""Seeds: numbers that are derived from a key, and their range."""

import hashlib

MAX_SEED = 2**63 - 1
"""Largest seed; folders are named by it."""


def derive_seed(*key: int | str) -> int:
    """Returns a 63-bit seed derived from the key; different keys give unrelated seeds."""
    digest = hashlib.blake2b(repr(key).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1

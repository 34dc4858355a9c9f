"""A text with something to learn in it, as nobody's machine has enwik8 for certain."""

import random
from pathlib import Path

SIZE = 60_000
WORDS = ("to", "be", "or", "not", "that", "is", "the", "question", "whether", "tis", "nobler", "in", "mind")


def words(size: int, seed: int = 0) -> bytes:
    """Words in random order, up to a size."""
    draw = random.Random(seed)
    text = ""
    while len(text) < size:
        text += draw.choice(WORDS) + draw.choice([" ", " ", " ", ",\n"])
    return text[:size].encode()


def write(path: Path, size: int = SIZE) -> Path:
    """Writes a text."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(words(size))
    return path

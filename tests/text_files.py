"""A text with something to learn in it, as enwik8 may be missing."""

import random
from pathlib import Path

SIZE = 60_000
WORDS = ("to", "be", "or", "not", "that", "is", "the", "question", "whether", "tis", "nobler", "in", "mind")


def random_words(size: int, seed: int = 0) -> bytes:
    """Returns words in random order, up to a size in bytes."""
    generator = random.Random(seed)
    text = ""
    while len(text) < size:
        text += generator.choice(WORDS) + generator.choice([" ", " ", " ", ",\n"])
    return text[:size].encode()


def write(path: Path, size: int = SIZE) -> Path:
    """Writes a text file, and returns its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(random_words(size))
    return path

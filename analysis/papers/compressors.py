"""Compressors on a text that architectures are tested on: what is reached without training."""

import bz2
import lzma
import zlib
from collections.abc import Callable, Mapping
from functools import lru_cache

import numpy as np

from workbench.data import text
from workbench.seeding import CPU
from workbench.tasks.text import NextCharacter

COMPRESSORS: Mapping[str, Callable[[bytes], bytes]] = {
    "zlib": lambda content: zlib.compress(content, 9),
    "bz2": lambda content: bz2.compress(content, 9),
    # Without a container, whose header and checks would count for a short text.
    "lzma": lambda content: lzma.compress(content, format=lzma.FORMAT_ALONE, preset=9 | lzma.PRESET_EXTREME),
}
"""The compressors of Python's standard library, at their strongest."""


def predicted_bytes(task: NextCharacter, size: int) -> bytes:
    """Returns the bytes of the test part that `size` stretches of the task predict, in the order of the text."""
    batch = task.fixed("test", size, CPU)
    symbols = batch.target.numpy().astype(np.uint8).ravel()
    return np.frombuffer(task.text.alphabet, dtype=np.uint8)[symbols].tobytes()


@lru_cache(maxsize=2)
def compressed_bits(file: text.TextFile, tested: bytes) -> Mapping[str, tuple[float, float]]:
    """Returns the bits per byte that each compressor needs for the tested bytes.

    Args:
        file: the text.
        tested: a stretch of its test part.

    Returns:
        For each compressor the bits per byte of that stretch alone, and of what it adds to the training part.
    """
    train = np.frombuffer(file.alphabet, dtype=np.uint8)[file.train].tobytes()
    bits = 8 / len(tested)
    return {
        name: (len(compress(tested)) * bits, (len(compress(train + tested)) - len(compress(train))) * bits)
        for name, compress in COMPRESSORS.items()
    }

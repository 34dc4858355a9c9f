"""MNIST's four files with a few images of noise, as the real ones may be missing."""

import gzip
import struct
from pathlib import Path

import numpy as np

NAMES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
COUNTS = {"train": 5200, "test": 120}
SIDE = 28


def encode_idx(values: np.ndarray) -> bytes:
    """Returns an array of bytes in the IDX format."""
    return bytes([0, 0, 8, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape) + values.tobytes()


def make_images(split: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns images of noise and random labels. The first pixel of an image is its label, the next two its index."""
    generator = np.random.default_rng(len(split))
    count = COUNTS[split]
    pixels = generator.integers(0, 256, (count, SIDE, SIDE), dtype=np.uint8)
    labels = generator.integers(0, 10, count, dtype=np.uint8)
    pixels[:, 0, 0] = labels
    pixels[:, 0, 1], pixels[:, 0, 2] = np.arange(count) // 256, np.arange(count) % 256
    return pixels, labels


def write(folder: Path, *, packed: bool = True) -> Path:
    """Writes the four files."""
    folder.mkdir(parents=True, exist_ok=True)
    for split, names in NAMES.items():
        for name, values in zip(names, make_images(split), strict=True):
            content = encode_idx(values)
            if packed:
                # The same bytes every time: no time of writing.
                (folder / f"{name}.gz").write_bytes(gzip.compress(content, 1, mtime=0))
            else:
                (folder / name).write_bytes(content)
    return folder

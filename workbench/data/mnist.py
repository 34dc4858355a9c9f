"""MNIST: 70,000 handwritten digits of 28 x 28 pixels."""

import gzip
import hashlib
import math
import struct
import zlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from workbench.data.downloads import RemoteFile, find_differing, locate
from workbench.errors import UserError
from workbench.files import describe_error

SIDE = 28
"""Pixels of a side of an image."""
CLASSES = 10
MIRRORS = ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/")
FILES = tuple(
    RemoteFile(name=name, urls=tuple(mirror + name for mirror in MIRRORS), md5=md5, raw_md5=raw, folder="mnist")
    for name, md5, raw in (
        ("train-images-idx3-ubyte.gz", "f68b3c2dcbeaaa9fbdd348bbdeb94873", "6bbc9ace898e44ae57da46a324031adb"),
        ("train-labels-idx1-ubyte.gz", "d53e105ee54ea40749a09fcbcd1e9432", "a25bea736e30d166cdddb491f175f624"),
        ("t10k-images-idx3-ubyte.gz", "9fb629c4189551a2d022fa330f9573f3", "2646ac647ad5339dbf082846283269ea"),
        ("t10k-labels-idx1-ubyte.gz", "ec29112dd5afa0611ce80d1b7f02629c", "27ae3e4e09519cfbb04c329615203637"),
    )
)
UNSIGNED_BYTES = 0x08
"""Code of the data type in the header of an IDX file."""
GZIP_MAGIC = b"\x1f\x8b"
"""First bytes of every gzip file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Images:
    """Images and their labels."""

    pixels: np.ndarray
    """(images, 28, 28) grey levels from 0 to 255, uint8."""
    labels: np.ndarray
    """(images,) the digits, uint8."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MnistFiles:
    """The data set as it was read from its files."""

    train: Images
    """60,000 images."""
    test: Images
    """10,000 images."""
    differing: tuple[str, ...]
    """Names of the files that are not byte for byte as published."""

    @property
    def digest(self) -> str | None:
        """A hash of the images, as other pixels are another experiment; `None` for the published set."""
        if not self.differing:
            return None
        digest = hashlib.sha256()
        for part in (self.train, self.test):
            digest.update(part.pixels.tobytes())
            digest.update(part.labels.tobytes())
        return digest.hexdigest()[:12]


@cache
def load() -> MnistFiles:
    """Reads the set from the user's folder or the cache, or downloads it.

    Raises:
        UserError: if a file is missing and cannot be downloaded, or is damaged.
    """
    paths = [locate(file) for file in FILES]
    train_pixels, test_pixels = (read_idx(path, (None, SIDE, SIDE)) for path in (paths[0], paths[2]))
    train_labels, test_labels = (read_idx(path, (None,)) for path in (paths[1], paths[3]))
    for pixels, labels, path in ((train_pixels, train_labels, paths[1]), (test_pixels, test_labels, paths[3])):
        if len(labels) != len(pixels):
            raise UserError(f"{path} holds {len(labels):,} labels for {len(pixels):,} images")
        if len(labels) and labels.max() >= CLASSES:
            raise UserError(f"{path} holds a label {labels.max()}; digits go from 0 to 9")
    return MnistFiles(
        train=Images(pixels=train_pixels, labels=train_labels),
        test=Images(pixels=test_pixels, labels=test_labels),
        differing=tuple(find_differing(paths, FILES)),
    )


def read_idx(path: Path, shape: tuple[int | None, ...]) -> np.ndarray:
    """Reads an IDX file of unsigned bytes, plain or compressed by gzip.

    Args:
        path: the file.
        shape: the sizes that its dimensions must have; `None` for a dimension of any size.

    Returns:
        The values, uint8; not to be written to.

    Raises:
        UserError: if the file cannot be read, or is not such a file.

    Source: LeCun, Cortes and Burges (1998), The MNIST database of handwritten digits, "file formats".
    """
    try:
        raw = path.read_bytes()
        content = gzip.decompress(raw) if raw[:2] == GZIP_MAGIC else raw
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path} cannot be read ({describe_error(error)}); put the published file there") from None
    dimensions = len(shape)
    header = 4 + 4 * dimensions
    if len(content) < header or content[:3] != bytes([0, 0, UNSIGNED_BYTES]):
        raise UserError(f"{path} is not an IDX file of unsigned bytes; put the published file there")
    if content[3] != dimensions:
        raise UserError(f"{path} has {content[3]} dimensions, and should have {dimensions}")
    sizes = struct.unpack(f">{dimensions}I", content[4:header])
    if any(expected not in (None, size) for expected, size in zip(shape, sizes, strict=True)):
        expected_sizes = " x ".join("any" if expected is None else str(expected) for expected in shape)
        raise UserError(f"{path} holds {' x '.join(map(str, sizes))} values, and should hold {expected_sizes}")
    if len(content) - header != math.prod(sizes):
        raise UserError(
            f"{path} holds {len(content) - header:,} values, but its header says {math.prod(sizes):,}; it was cut "
            "short, or is damaged: put the published file there"
        )
    return np.frombuffer(content, dtype=np.uint8, offset=header).reshape(sizes)

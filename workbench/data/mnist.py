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

from workbench.data.downloads import RemoteFile, differing, locate
from workbench.errors import UserError
from workbench.files import one_line

SIDE = 28
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Images:
    """Images and what they show."""

    pixels: np.ndarray
    """(images, 28, 28) grey levels from 0 to 255, uint8."""
    labels: np.ndarray
    """(images,) which digit it is, uint8."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MnistFiles:
    """The data set."""

    train: Images
    """60,000."""
    test: Images
    """10,000."""
    differing: tuple[str, ...]
    """The files that are not byte for byte as published."""

    @property
    def digest(self) -> str | None:
        """`None` for the published set, else a hash of what was read: other pixels are another experiment."""
        if not self.differing:
            return None
        hashed = hashlib.sha256()
        for part in (self.train, self.test):
            hashed.update(part.pixels.tobytes())
            hashed.update(part.labels.tobytes())
        return hashed.hexdigest()[:12]


@cache
def load() -> MnistFiles:
    """Reads the set from the user's folder or the cache, or downloads it.

    Raises:
        UserError: if a file is missing and cannot be had, or is not what it should be.
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
        differing=tuple(differing(paths, FILES)),
    )


UNSIGNED_BYTES = 0x08
GZIP = b"\x1f\x8b"


def read_idx(path: Path, shape: tuple[int | None, ...]) -> np.ndarray:
    """The values of an IDX file of unsigned bytes, plain or compressed by gzip.

    Args:
        path: the file.
        shape: what its dimensions must be; `None` for one that may be any.

    Returns:
        An array of uint8; not to be written to.

    Raises:
        UserError: if the file cannot be read, or holds anything else.

    Source: LeCun, Cortes and Burges (1998), The MNIST database of handwritten digits, "file formats".
    """
    try:
        raw = path.read_bytes()
        content = gzip.decompress(raw) if raw[:2] == GZIP else raw
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path} cannot be read ({one_line(error)}); put the published file there") from None
    dimensions = len(shape)
    header = 4 + 4 * dimensions
    if len(content) < header or content[:3] != bytes([0, 0, UNSIGNED_BYTES]):
        raise UserError(f"{path} is no IDX file of unsigned bytes; put the published file there")
    if content[3] != dimensions:
        raise UserError(f"{path} has {content[3]} dimensions, and should have {dimensions}")
    found = struct.unpack(f">{dimensions}I", content[4:header])
    if any(wanted not in (None, size) for wanted, size in zip(shape, found, strict=True)):
        said = " x ".join("any" if wanted is None else str(wanted) for wanted in shape)
        raise UserError(f"{path} holds {' x '.join(map(str, found))} values, and should hold {said}")
    if len(content) - header != math.prod(found):
        raise UserError(
            f"{path} holds {len(content) - header:,} values where its header says {math.prod(found):,}; it was cut "
            "short, or is damaged: put the published file there"
        )
    return np.frombuffer(content, dtype=np.uint8, offset=header).reshape(found)

"""IDX files, the format of MNIST: a magic number, the size of each dimension, then the values."""

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np

from workbench.errors import UserError
from workbench.files import one_line

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

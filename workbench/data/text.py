"""Texts as sequences of symbols, split into training, validation and test."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from workbench.data.downloads import RemoteFile, data_folder, locate, md5
from workbench.errors import UserError
from workbench.files import describe_error, expand_home

ENWIK8 = RemoteFile(
    name="enwik8",
    urls=("http://mattmahoney.net/dc/enwik8.zip", "https://data.deepai.org/enwik8.zip"),
    md5="a1fa5ffddb56f4953e226637dabbb36a",
    member="enwik8",
    folder="text",
)
TINYSHAKESPEARE = RemoteFile(
    name="tinyshakespeare.txt",
    urls=("https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",),
    md5="6fb458f1232090904fb40fe944165e91",
    folder="text",
)
PUBLISHED_TEXTS = {text.name: text for text in (ENWIK8, TINYSHAKESPEARE)}
"""Texts that are downloaded by name."""
HELD_OUT = 0.05
"""Share of a text for validation, and again for the test, both at its end: of enwik8's hundred million bytes the usual
five million each."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TextFile:
    """A text, as numbers of symbols; a symbol is a byte of the training part, numbered in the order of the bytes.

    Compared by identity, so that it can be a key in a cache.
    """

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    """(symbols,) each: numbers of the symbols, uint8, in the order of the text."""
    alphabet: bytes
    """The byte of each symbol."""
    digest: str
    """A hash of the file."""


def locate_text(name: str) -> Path:
    """Returns the file of a text.

    Args:
        name: one of `PUBLISHED_TEXTS`, which is downloaded unless the user has it, or a path: as it stands, else below
            the user's folder of data files.

    Raises:
        UserError: if there is no such file.
    """
    folder = data_folder()
    paths = [expand_home(name), *([] if folder is None else [folder / name, folder / "text" / name])]
    for path in paths:
        if path.is_file():
            return path
    if name in PUBLISHED_TEXTS:
        return locate(PUBLISHED_TEXTS[name])
    tried = " or ".join(str(path) for path in paths)
    raise UserError(f"there is no file {tried}; name a text by its path, or {' or '.join(PUBLISHED_TEXTS)}")


def load(name: str) -> TextFile:
    """Reads a text.

    Raises:
        UserError: if there is no such file, it is empty, or too short to be split; or if the validation or the test
            part has a symbol that the training part does not have, which no model could know.
    """
    path = locate_text(name)
    try:
        # A text that has changed is read again.
        return _load(path, path.stat().st_mtime_ns)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or describe_error(error)}") from None


@lru_cache(maxsize=2)
def _load(path: Path, modified: int) -> TextFile:
    content = np.fromfile(path, dtype=np.uint8)
    held_out = int(len(content) * HELD_OUT)
    if held_out < 2:
        size = "is empty" if len(content) == 0 else f"has {len(content):,} bytes"
        raise UserError(f"{path} {size}; a text is cut into 90, 5 and 5 %, and needs a million bytes or so")
    ends = (len(content) - 2 * held_out, len(content) - held_out)
    parts = dict(zip(("training", "validation", "test"), np.split(content, ends), strict=True))
    alphabet = np.unique(parts["training"])
    symbol_of_byte = np.full(256, -1, dtype=np.int16)
    symbol_of_byte[alphabet] = np.arange(len(alphabet))
    symbols = {}
    for part, part_bytes in parts.items():
        symbols[part] = symbol_of_byte[part_bytes]
        if (unseen := np.flatnonzero(symbols[part] < 0)).size:
            byte = int(part_bytes[unseen[0]])
            character = f" ({chr(byte)!r})" if byte < 128 else ""
            raise UserError(
                f"the {part} part of {path} has the byte {byte:#04x}{character}, which its training part does not "
                "have: no model can know it; take it out, or use a longer text"
            )
    return TextFile(
        train=symbols["training"].astype(np.uint8),
        validation=symbols["validation"].astype(np.uint8),
        test=symbols["test"].astype(np.uint8),
        alphabet=alphabet.tobytes(),
        digest=md5(path)[:12],
    )

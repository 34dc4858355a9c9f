"""Text as a row of symbols, cut into training, validation and test."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from workbench.data.downloads import RemoteFile, data_folder, locate, md5
from workbench.errors import UserError
from workbench.files import one_line

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
KNOWN = {text.name: text for text in (ENWIK8, TINYSHAKESPEARE)}
"""Texts that can be had by name."""
HELD_OUT = 0.05
"""The share of a text, at its end, that is kept for validation, and again for the test: of enwik8's hundred million
bytes the usual five million each."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TextFile:
    """A text. A symbol is a byte; symbols are numbered in the order of the bytes that the training part has.

    Equal to itself alone, so that it can be the key of what is kept of it.
    """

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    """(symbols,) numbers of the symbols, uint8 each, in the order of the text."""
    alphabet: bytes
    """By number, the byte."""
    digest: str
    """A hash of the file."""


def path_of(name: str) -> Path:
    """The file of a text.

    Args:
        name: one of `KNOWN`, which is downloaded unless the user has it, or a path: as it stands, else below the
            folder of data.

    Raises:
        UserError: if there is no such file.
    """
    named = data_folder()
    places = [Path(name).expanduser(), *([] if named is None else [named / name, named / "text" / name])]
    for place in places:
        if place.is_file():
            return place
    if name in KNOWN:
        return locate(KNOWN[name])
    looked = " or ".join(str(place) for place in places)
    raise UserError(f"there is no file {looked}; name a text by its path, or {' or '.join(KNOWN)}")


def load(name: str) -> TextFile:
    """Reads a text.

    Raises:
        UserError: if there is no such file, it is empty, or too short to be cut; or if the validation or the test part
            has a symbol that the training part has not, of which no model could know anything.
    """
    path = path_of(name)
    try:
        # A text that has been changed is read anew.
        return _load(path, path.stat().st_mtime_ns)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or one_line(error)}") from None


@lru_cache(maxsize=2)
def _load(path: Path, changed: int) -> TextFile:
    content = np.fromfile(path, dtype=np.uint8)
    held = int(len(content) * HELD_OUT)
    if held < 2:
        what = "is empty" if len(content) == 0 else f"has {len(content):,} bytes"
        raise UserError(f"{path} {what}; a text is cut into 90, 5 and 5 %, and needs a million bytes or so")
    ends = (len(content) - 2 * held, len(content) - held)
    parts = dict(zip(("training", "validation", "test"), np.split(content, ends), strict=True))
    alphabet = np.unique(parts["training"])
    numbers = np.full(256, -1, dtype=np.int16)
    numbers[alphabet] = np.arange(len(alphabet))
    coded = {}
    for part, found in parts.items():
        coded[part] = numbers[found]
        if (unseen := np.flatnonzero(coded[part] < 0)).size:
            byte = int(found[unseen[0]])
            shown = f" ({chr(byte)!r})" if byte < 128 else ""
            raise UserError(
                f"the {part} part of {path} has the byte {byte:#04x}{shown}, which its training part has not: no model "
                "can know it; take it out, or use a longer text"
            )
    return TextFile(
        train=coded["training"].astype(np.uint8),
        validation=coded["validation"].astype(np.uint8),
        test=coded["test"].astype(np.uint8),
        alphabet=alphabet.tobytes(),
        digest=md5(path)[:12],
    )

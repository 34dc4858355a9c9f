"""Large files in parts, so that a folder of results can be carried where files may not be large."""

import hashlib
from pathlib import Path

from workbench.errors import UserError
from workbench.files import read_json, write_json, written_aside

LARGEST = 16 * 2**20
"""Bytes of a part."""


def split(path: Path, largest: int = LARGEST) -> None:
    """Puts a file that is larger than that into parts beside it, and takes it away once all of them are there."""
    if not path.exists() or path.stat().st_size <= largest:
        return
    _clear(path)
    hashed, count = hashlib.sha256(), 0
    with path.open("rb") as file:
        while block := file.read(largest):
            with written_aside(_part(path, count)) as aside:
                aside.write_bytes(block)
            hashed.update(block)
            count += 1
    # Last of all: there are parts if, and only if, it is there.
    write_json(_index(path), {"parts": count, "sha256": hashed.hexdigest()})
    path.unlink()


def join(path: Path) -> bool:
    """Puts a file together again, if it is in parts.

    Returns:
        Whether it is as it was; false where a part is missing or is another.
    """
    if path.exists():
        # It was put together before, or is newer.
        _clear(path)
        return True
    if not _index(path).exists():
        return True
    hashed = hashlib.sha256()
    try:
        known = read_json(_index(path))
        with written_aside(path) as aside:
            with aside.open("wb") as file:
                for number in range(int(known["parts"])):
                    block = _part(path, number).read_bytes()
                    hashed.update(block)
                    file.write(block)
            if hashed.hexdigest() != known["sha256"]:
                # Out of the context, which would keep what it was given.
                raise ValueError(path)
    except (UserError, OSError, KeyError, TypeError, ValueError):
        return False
    _clear(path)
    return True


def _part(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.part-{number:03}")


def _index(path: Path) -> Path:
    return path.with_name(f"{path.name}.parts.json")


def _clear(path: Path) -> None:
    _index(path).unlink(missing_ok=True)
    for part in path.parent.glob(f"{path.name}.part-*"):
        part.unlink()

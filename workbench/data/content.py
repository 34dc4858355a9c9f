"""Hashes of the contents of files of data, each read once as long as it does not change."""

import hashlib
from functools import lru_cache
from pathlib import Path

from workbench.errors import UserError
from workbench.files import describe_error


def stamp(path: Path) -> tuple[int, int]:
    """Returns what tells whether a file may have changed in this process: when it was modified, and its size.

    Raises:
        UserError: if it cannot be read.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or describe_error(error)}") from None
    return status.st_mtime_ns, status.st_size


def content_hash(path: Path) -> str:
    """Returns the SHA-256 of the content of a file.

    Raises:
        UserError: if it cannot be read.
    """
    return _content_hash(path.absolute(), *stamp(path))


@lru_cache(maxsize=1024)
def _content_hash(path: Path, modified: int, size: int) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or describe_error(error)}") from None

"""Contents of a sweep's store, `sweep.db`: copies as of one moment, and comparison by tables."""

import sqlite3
from contextlib import closing
from itertools import zip_longest
from pathlib import Path

from workbench.errors import UserError

STORE_FILE = "sweep.db"
"""SQLite's database of a sweep, in its folder of results."""


def copy_store(path: Path, copy: Path) -> Path:
    """Copies a sweep's store as of one moment, even while workers write to it; returns the copy.

    Raises:
        UserError: if it is not a store.
    """
    try:
        with (
            closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as source,
            closing(sqlite3.connect(copy)) as target,
        ):
            source.backup(target)
    except sqlite3.Error as error:
        raise UserError(f"{path} cannot be read as a sweep's store: {error}") from None
    return copy


def is_same_store(one: Path, other: Path) -> bool:
    """Returns whether two stores, at which nobody is at work, hold the same tables with the same rows.

    Their bytes may differ: SQLite counts changes in a file's header, and leaves pages where it happens to have them.
    """
    try:
        with closing(_open(one)) as first, closing(_open(other)) as second:
            # Statements that would make either anew; nothing is executed.
            return all(left == right for left, right in zip_longest(first.iterdump(), second.iterdump()))
    except (sqlite3.Error, UnicodeDecodeError):
        return False


def _open(path: Path) -> sqlite3.Connection:
    store = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
    # What comes from elsewhere calls no function that an extension of SQLite has.
    store.execute("PRAGMA trusted_schema = OFF")
    return store

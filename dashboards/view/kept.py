"""Files read again only when they have changed, and only those that belong to the folder that is shown."""

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
Stamp = tuple[int, int, int]
"""Of a file: when it was written, its size and its inode. One that is renamed into place has another inode."""


class Kept:
    """What was read from files, for as long as they stay as they are.

    Args:
        root: the folder that is shown, resolved. A link that leads out of it is taken for no file.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._values: dict[tuple[str, Path], tuple[Any, Any]] = {}

    def stamp(self, path: Path) -> Stamp | None:
        """A regular file's stamp; `None` where there is none."""
        try:
            found = os.lstat(path)
            if stat.S_ISLNK(found.st_mode):
                if not path.resolve().is_relative_to(self.root):
                    return None
                found = os.stat(path)
        except (OSError, ValueError):
            return None
        return (found.st_mtime_ns, found.st_size, found.st_ino) if stat.S_ISREG(found.st_mode) else None

    def value(self, what: str, path: Path, stamp: Any, make: Callable[[], T]) -> T:
        """What `make` returns, called again only for another stamp. What it raises is raised, and kept, too."""
        before = self._values.get((what, path))
        if before is None or before[0] != stamp:
            try:
                made: Any = make()
            except Exception as error:
                made = error.with_traceback(None)
            before = self._values[what, path] = (stamp, made)
        if isinstance(before[1], Exception):
            raise before[1].with_traceback(None)
        return before[1]  # type: ignore[no-any-return]

"""Folders of results that users name: what is one, and what only lies in one."""

import os
from contextlib import suppress
from pathlib import Path

from workbench.errors import UserError

RESULT_FOLDERS = ("runs", "sweep", "untrained", "figures", "tables", "wandb")
"""Folders that a folder of results has; one of the first three if there is any result in it."""
RESULT_PATTERNS = ("runs/*/*/*/seed-*", "untrained/*/*/*/seed-*", "sweep.yaml")
"""Paths by one of which a folder of results is recognised."""


def existing_folder(path: str | Path) -> Path:
    """Returns the folder of results that a user has named.

    Raises:
        UserError: if there is no such folder, or it is not the folder of results but something in one.
    """
    folder = Path(path)
    refuse_inside(folder)
    # Unlike the methods of Path, these never raise, whatever the path is.
    if os.path.isdir(folder):
        return folder
    raise UserError(f"there is no folder {folder}; name the one that was given as --out")


def refuse_inside(path: Path) -> None:
    """Refuses a file or folder that lies in a folder of results, where that folder itself is due.

    Raises:
        UserError: that names the folder of results.
    """
    if (owner := find_owner(path)) is not None:
        raise UserError(f"{path} lies in the folder of results {owner}; name that one")


def find_owner(path: Path) -> Path | None:
    """Returns the folder of results that a file or folder lies in; `None` if it is itself one, or lies in none."""
    if not os.path.exists(path) or any(os.path.isdir(path / name) for name in RESULT_FOLDERS[:3]):
        return None
    absolute = path.absolute()
    for depth, parent in enumerate(absolute.parents):
        if absolute.parts[-depth - 1] not in RESULT_FOLDERS and not (depth == 0 and os.path.isfile(path)):
            continue
        with suppress(OSError):
            if any(next(parent.glob(pattern), None) is not None for pattern in RESULT_PATTERNS):
                return parent if path.is_absolute() else Path(os.path.relpath(parent))
    return None

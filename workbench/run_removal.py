"""Removal of runs: a folder is renamed before it is deleted, so that what is left of it is never read as a run."""

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from workbench.errors import UserError
from workbench.run_folder import run_lock

LEVELS = 4
"""Folders from `runs` to a run: task, architecture, hash, seed."""
SEED_PREFIX = "seed-"
REMOVED_SUFFIX = ".removed"
"""End of the name of a folder that is being deleted; the name begins with a dot, unlike that of any run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFolders:
    """The folders below `out/runs`."""

    runs: tuple[Path, ...]
    """Folders of runs, in a stable order."""
    links: tuple[Path, ...]
    """Links, which are not followed: what they lead to may lie outside, and be shared."""
    remnants: tuple[Path, ...]
    """Folders that were renamed to be deleted, by a process that was killed before it had done so."""


def find_run_folders(out: Path) -> RunFolders:
    """Finds the folders of runs in a folder of results, without following a link."""
    runs: list[Path] = []
    links: list[Path] = []
    remnants: list[Path] = []
    for path, depth in _walk(out / "runs", 0):
        if path.is_symlink():
            links.append(path)
        elif depth == LEVELS and path.name.startswith(f".{SEED_PREFIX}") and path.name.endswith(REMOVED_SUFFIX):
            remnants.append(path)
        elif depth == LEVELS and path.name.removeprefix(SEED_PREFIX).isdecimal():
            runs.append(path)
    runs.sort(key=lambda path: (path.parent.parts, int(path.name.removeprefix(SEED_PREFIX))))
    return RunFolders(runs=tuple(runs), links=tuple(links), remnants=tuple(remnants))


def _walk(path: Path, depth: int) -> Iterator[tuple[Path, int]]:
    """Yields the folders and the links down to the level of runs, each with its depth below `runs`."""
    is_link = path.is_symlink()
    if is_link or path.is_dir():
        yield path, depth
    if is_link or depth == LEVELS or not path.is_dir():
        return
    for child in sorted(path.iterdir()):
        yield from _walk(child, depth + 1)


def folder_bytes(folder: Path) -> int:
    """Returns the bytes of all files in a folder; of a link, those of the link itself."""
    return sum(os.lstat(os.path.join(parent, name)).st_size for parent, _, names in os.walk(folder) for name in names)


def remove_run(folder: Path) -> None:
    """Removes a run's folder, and those of its hash, architecture and task if nothing else is in them.

    The run's lock is held until nothing is left, so a process that waits for it then starts in a new folder.

    Raises:
        BusyError: if another process is at work on the run.
        UserError: if something in the folder cannot be deleted.
    """
    aside = folder.with_name(f".{folder.name}{REMOVED_SUFFIX}")
    remove_remnant(aside)
    with run_lock(folder):
        try:
            folder.rename(aside)
        except OSError as error:
            raise UserError(f"cannot remove {folder}: {error.strerror}") from None
        remove_remnant(aside)
    for parent in folder.parents[: LEVELS - 1]:
        with suppress(OSError):
            # This fails, as it should, if another run is there.
            parent.rmdir()


def remove_remnant(aside: Path) -> None:
    """Deletes what is left of a folder that was renamed to be deleted, if there is anything.

    Raises:
        UserError: if something in it cannot be deleted.
    """
    try:
        shutil.rmtree(aside)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise UserError(
            f"cannot delete all of {aside}: {error.strerror}; it counts as no run any more, and may be deleted by hand"
        ) from None

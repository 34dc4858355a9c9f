"""A folder in which a report replaces what an earlier one has put there, and nothing else."""

import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from workbench.files import atomic_path, write_text

LIST = ".made-by-report"
"""Names the files of a folder that are the report's, one a line."""


@contextmanager
def replaced(folder: Path) -> Iterator[Path]:
    """Yields an empty folder to write files to. They come to `folder` at the end, each whole or not at all; what was
    made for an earlier report and not for this one goes, and what is anybody else's stays. An error changes nothing.
    """
    with tempfile.TemporaryDirectory() as name:
        yield (aside := Path(name))
        made, earlier = {path.name for path in aside.iterdir()}, listed(folder)
        if not made | earlier:
            return
        folder.mkdir(parents=True, exist_ok=True)
        # First, so that what is broken off leaves no file that nobody accounts for.
        note(folder, made | earlier)
        for each in sorted(made):
            with atomic_path(folder / each) as copy:
                shutil.copyfile(aside / each, copy)
        for each in earlier - made:
            (folder / each).unlink(missing_ok=True)
        note(folder, made)


def listed(folder: Path) -> set[str]:
    """The files in a folder that are of an earlier report."""
    path = folder / LIST
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []
    # Whatever the list says: files of this folder alone.
    return {line for line in lines if line == Path(line).name and (folder / line).is_file()}


def note(folder: Path, names: Iterable[str]) -> None:
    """Writes the list."""
    write_text(folder / LIST, "".join(f"{name}\n" for name in sorted(names)))

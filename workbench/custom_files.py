"""Files of data that a custom task reads, found in its options and in the texts of its code.

A task may say itself what belongs to its data, by its property `data`. One that does not is looked through: an option
that is the path of a file or a folder, and a text in the code of its class that is the path of a file, as it stands,
beside the code, in the data folder, or in a folder that another text names.
"""

import ast
import dataclasses
import hashlib
import os
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.data.content import content_hash, stamp
from workbench.data.downloads import data_folder

if TYPE_CHECKING:
    from workbench.tasks import Task

MAX_PATH = 1024
"""Characters of the longest text that is taken for a path."""


def says_its_data(task: "Task") -> bool:
    """Returns whether a task says by itself what belongs to its data."""
    from workbench.tasks import Task

    return type(task).data is not Task.data


def hash_data(task: "Task", sources: Iterable[str]) -> str | None:
    """Returns a hash of the contents of the files that a task reads; `None` if none are found.

    Args:
        task: a custom task.
        sources: the files of its code.

    Raises:
        UserError: if one of them cannot be read.
    """
    digests = sorted(content_hash(path) for path in find_files(task, sources))
    return hashlib.sha256("".join(digests).encode()).hexdigest()[:12] if digests else None


def find_files(task: "Task", sources: Iterable[str]) -> set[Path]:
    """Returns the files that a task reads, as far as its options and the texts in its code name them.

    Args:
        task: a custom task.
        sources: the files of its code.
    """
    folder = data_folder()
    shared = [Path.cwd(), *([] if folder is None else [folder])]
    found: set[Path] = set()
    for item in dataclasses.fields(task):  # type: ignore[arg-type]
        value = getattr(task, item.name)
        for text in (
            [value] if isinstance(value, str | os.PathLike) else value if isinstance(value, list | tuple) else []
        ):
            if isinstance(text, str | os.PathLike):
                for path in existing_paths(os.fspath(text), shared):
                    found |= {path} if path.is_file() else {file for file in path.rglob("*") if file.is_file()}
    for source in sources:
        places = [*shared, Path(source).parent]
        paths = [path for text in texts_in(source, *stamp(Path(source))) for path in existing_paths(text, places)]
        folders = [path for path in paths if path.is_dir()]
        paths += [path for text in texts_in(source, *stamp(Path(source))) for path in existing_paths(text, folders)]
        found |= {path for path in paths if path.is_file() and path.suffix not in (".py", ".pyc")}
    return {path.resolve() for path in found}


def existing_paths(text: str | bytes, places: Iterable[Path]) -> Iterator[Path]:
    """Yields what a text names that exists, in each of several places."""
    if not isinstance(text, str) or not 0 < len(text) <= MAX_PATH or "\0" in text or text.strip("./") == "":
        return
    for place in places:
        path = place / os.path.expanduser(text)
        # Unlike the methods of Path, this never raises, whatever the path is.
        if os.path.exists(path):
            yield path


@lru_cache(maxsize=64)
def texts_in(source: str, modified: int, size: int) -> tuple[str, ...]:
    """Returns the texts in a file of code, in the order in which they stand there."""
    tree = ast.parse(Path(source).read_bytes())
    return tuple(
        node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )

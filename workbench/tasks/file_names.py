"""Names of tasks that read a file, `file:PATH`: their short form, and the handles that options are given by."""

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

from workbench.errors import UserError

PREFIX = "file:"
UNSAFE = re.compile(r"[^\w.+-]+")
"""What a name in folders, reports and W&B does not have."""


def is_file(name: str) -> bool:
    """Returns whether the name of a task is that of a file."""
    return name.startswith(PREFIX)


def path_of(name: str) -> str:
    """Returns the path in the name of a task that reads a file."""
    return name.removeprefix(PREFIX)


def short_name(name: str) -> str:
    """Returns the name without the folders of its path, which is the same wherever the file lies.

    Names of other tasks stay as they are.

    Example:
        >>> short_name("file:data/my data.csv")
        'file:my-data.csv'
    """
    return PREFIX + _safe(PurePath(path_of(name)).name) if is_file(name) else name


def handle(name: str) -> str:
    """Returns the handle of a task that reads a file: its name without folders and without the ending.

    Example:
        >>> handle("file:data/mydata.csv")
        'mydata'
    """
    return _safe(PurePath(path_of(name)).stem)


def _safe(text: str) -> str:
    return UNSAFE.sub("-", text).strip("-.") or "data"


def handles(name: str) -> set[str]:
    """Returns all ways to name a task that reads a file where its options are given, from its stem to its full name."""
    path = path_of(name)
    return {name, path, short_name(name), path_of(short_name(name)), handle(name), PurePath(path).stem}


def resolve_handles(names: Sequence[str], options: Mapping[Any, Any]) -> dict[Any, Any]:
    """Returns the options of tasks by their full names, where those that read files may be named by handles.

    Args:
        names: of the tasks.
        options: by name or handle. Those that are no mapping, and names of other tasks, stay as they are.

    Raises:
        UserError: if a handle fits several tasks.
    """
    resolved: dict[Any, Any] = {}
    for key, values in options.items():
        found = [name for name in names if is_file(name) and key not in names and key in handles(name)]
        if len(found) > 1:
            raise UserError(
                f"options are given for task {key!r}, which may be {' or '.join(found)}; name it in full: "
                f"--task.{found[0]}.OPTION VALUE"
            )
        name = found[0] if found else key
        earlier = resolved.get(name)
        both = isinstance(earlier, Mapping) and isinstance(values, Mapping)
        resolved[name] = {**earlier, **values} if both else values
    return resolved

"""Names of tasks that read a file, `file:PATH`: their short form, and the handles that options are given by."""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

from workbench.errors import UserError

PREFIX = "file:"
USUAL: Mapping[str, object] = {
    "rows": "steps",
    "inputs": "numbers",
    "validation": 0.1,
    "test": 0.1,
    "split_seed": 0,
    "scale": "standard",
    "missing": "refuse",
}
"""Values that go without saying in the title of a task that reads a file."""
IMPLIED = ("features", "sequence", "time", "answer", "at", "split")
"""Options that follow from the file, as a rule, and are not in the title."""
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


def absolute(name: str) -> str:
    """Returns the name with the absolute path of its file, which finds it from everywhere on this machine."""
    if not is_file(name):
        return name
    path = Path(path_of(name)).expanduser()
    # One that lies below the folder of data is found there wherever one stands.
    return PREFIX + str(path.absolute()) if path.is_file() else name


def with_absolute_paths(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the settings of a comparison or a sweep in which files are named by absolute paths."""
    return rename(settings, absolute)


def without_folders(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the settings of a comparison or a sweep in which files are named without the folders that they lie in."""
    return rename(settings, short_name)


def rename(settings: Mapping[str, Any], change: Callable[[str], str]) -> dict[str, Any]:
    """Returns the settings of a comparison or a sweep with other names of its tasks."""
    renamed, names, options = dict(settings), settings.get("tasks"), settings.get("task")
    if isinstance(names, list | tuple):
        renamed["tasks"] = [change(name) if isinstance(name, str) else name for name in names]
    if isinstance(options, Mapping):
        renamed["task"] = {change(str(name)): values for name, values in options.items()}
    return renamed


def title_options(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the options of a task that its title has: all, but for files only those that do not go without saying."""
    if not is_file(name):
        return dict(options)
    return {key: value for key, value in options.items() if key not in IMPLIED and value != USUAL.get(key)}


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
                f"options are given for task {key!r}, and {len(found)} files are called so; name the file in full: "
                f"--task.{PREFIX}PATH.OPTION VALUE"
            )
        name = found[0] if found else key
        earlier = resolved.get(name)
        if isinstance(earlier, Mapping) and isinstance(values, Mapping):
            resolved[name] = {**earlier, **values}
        else:
            resolved[name] = values
    return resolved

"""Options of tasks and architectures in a file given as --config, under those of the command line."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from workbench.cli.parser import NamedOptions
from workbench.custom_parts import PartKind
from workbench.errors import UserError
from workbench.files import read_yaml
from workbench.tasks.file_names import handles, is_file


def merge_options(
    kind: str, from_file: Mapping[Any, Any] | None, from_command_line: NamedOptions, dropped: Collection[str] = ()
) -> NamedOptions:
    """Returns a file's options of tasks or architectures, overridden by those of the command line.

    Args:
        kind: task, architecture, or space.
        from_file: the file's options, by name.
        from_command_line: those of the command line.
        dropped: names in the file's list that the command line has replaced; the file's options for them are left out.

    Raises:
        UserError: if the file has anything other than a mapping of options by name.
    """
    file = from_file or {}
    for name, options in file.items():
        if not isinstance(name, str) or not isinstance(options, Mapping | None):
            raise UserError(f"under {kind!r}, the file must have options by name, not {name}: {options!r}")
    known = {*dropped, *(handle for name in dropped if is_file(name) for handle in handles(name))}
    file = {name: options for name, options in file.items() if name not in known}
    return {
        name: {**(file.get(name) or {}), **from_command_line.get(name, {})} for name in {**file, **from_command_line}
    }


def dropped_names(kind: PartKind, values: Mapping[str, Any]) -> set[str]:
    """Returns the tasks or architectures that the files given as --config list, and the command line has replaced.

    Args:
        kind: task or architecture.
        values: of the command line over the files, as `parse_arguments` returns them.
    """
    key, listed = f"{kind}s", set[str]()
    for path in values["config"] or ():
        names = read_yaml(Path(str(path))).get(key) or ()
        listed |= {str(name).strip() for name in (names.split(",") if isinstance(names, str) else names)}
    chosen = values[key] or ()
    return listed - {name.strip() for name in (chosen.split(",") if isinstance(chosen, str) else chosen)}

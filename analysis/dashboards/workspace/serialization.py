"""Workspaces as JSON files, which wandb-workspaces can read again."""

from pathlib import Path
from typing import Any

from analysis.dashboards.workspace.panels import load_library
from workbench.errors import UserError
from workbench.files import describe_error, ensure_writable, read_json, write_json

FORMAT = "sequence-workbench/dashboard/1"
"""Value of the key `format`, which identifies a file as ours."""


def serialize(workspace: Any) -> dict[str, Any]:
    """Returns a workspace as plain values."""
    return {"format": FORMAT, **workspace._to_model().model_dump(by_alias=True, exclude_none=True, mode="json")}


def write_workspace(workspace: Any, path: Path) -> None:
    """Writes a workspace, atomically.

    Raises:
        UserError: if another kind of file is in the way.
    """
    check_replaceable(path)
    ensure_writable(path.parent)
    write_json(path, serialize(workspace))


def read_workspace(path: Path) -> Any:
    """Reads the workspace in a file. Nothing in it is executed.

    Raises:
        UserError: if it is not a workspace that W&B would understand.
    """
    plain = read_object(path)
    if plain.get("format") != FORMAT:
        raise UserError(f"{path} is not a dashboard of this version; write it again: workbench dashboard build")
    library = load_library()
    try:
        view = library.view.model_validate(plain)
        sections = view.spec.section.panel_bank_config.sections
        supported = all(type(panel).__name__ != "UnknownPanel" for section in sections for panel in section.panels)
        workspace = library.workspaces.Workspace._from_model(view) if supported else None
        unchanged = workspace is not None and serialize(workspace) == plain
    except Exception as error:
        # pydantic and the library raise many kinds of errors.
        raise UserError(f"{path} is not a dashboard that W&B would understand: {describe_error(error)[:200]}") from None
    if not unchanged:
        raise UserError(
            f"{path} has been changed to something that W&B would not keep; write it again: workbench dashboard build"
        )
    return workspace


def check_replaceable(path: Path) -> None:
    """Checks that a path is free, or has a file that `write_workspace` wrote.

    Raises:
        UserError: if another kind of file is there.
    """
    if path.is_dir():
        raise UserError(f"{path} is a folder; name a file: --out FILE.json")
    if path.exists() and not is_workspace_file(path):
        raise UserError(f"{path} is not a dashboard of ours and is left as it is; name another file: --out FILE.json")


def is_workspace_file(path: Path) -> bool:
    """Returns whether `write_workspace` wrote a file, in this version of the format or another."""
    try:
        file_format = read_object(path).get("format")
    except UserError:
        return False
    return isinstance(file_format, str) and file_format.startswith(FORMAT.rpartition("/")[0])


def read_object(path: Path) -> dict[str, Any]:
    """Reads the JSON object in a file.

    Raises:
        UserError: if it is not a JSON object.
    """
    try:
        return read_json(path)
    except RecursionError:
        raise UserError(f"{path} is not readable JSON: it is nested too deeply") from None

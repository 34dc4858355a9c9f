"""A workspace as a file: JSON that wandb-workspaces reads again, and that says that it is ours."""

from pathlib import Path
from typing import Any

from analysis.dashboards.workspace.panels import library
from workbench.errors import UserError
from workbench.files import one_line, read_json, writable, write_json

FORMAT = "sequence-workbench/dashboard/1"


def serialize(workspace: Any) -> dict[str, Any]:
    """A workspace as plain values."""
    return {"format": FORMAT, **workspace._to_model().model_dump(by_alias=True, exclude_none=True, mode="json")}


def write(workspace: Any, path: Path) -> None:
    """Writes a workspace, whole or not at all.

    Raises:
        UserError: if something else is there.
    """
    check_ours(path)
    writable(path.parent)
    write_json(path, serialize(workspace))


def check_ours(path: Path) -> None:
    """Leaves what is not ours as it is.

    Raises:
        UserError: if something else is there.
    """
    if path.is_dir():
        raise UserError(f"{path} is a folder; name a file: --out FILE.json")
    if path.exists() and not is_ours(path):
        raise UserError(f"{path} is no dashboard of ours and is left as it is; name another file: --out FILE.json")


def is_ours(path: Path) -> bool:
    """Whether a file was written by `write`, in this version of the format or another."""
    try:
        found = plain_values(path).get("format")
    except UserError:
        return False
    return isinstance(found, str) and found.startswith(FORMAT.rpartition("/")[0])


def read(path: Path) -> Any:
    """The workspace in a file. Nothing in it is executed.

    Raises:
        UserError: if there is none that W&B would understand.
    """
    plain = plain_values(path)
    if plain.get("format") != FORMAT:
        raise UserError(f"{path} is no dashboard of this version; write it again: workbench dashboard build")
    lib = library()
    try:
        view = lib.view.model_validate(plain)
        bank = view.spec.section.panel_bank_config
        known = all(type(panel).__name__ != "UnknownPanel" for each in bank.sections for panel in each.panels)
        workspace = lib.workspaces.Workspace._from_model(view) if known else None
        kept = workspace is not None and serialize(workspace) == plain
    except Exception as error:
        # pydantic and the library each raise their own.
        raise UserError(f"{path} is no dashboard that W&B would understand: {one_line(error)[:200]}") from None
    if not kept:
        raise UserError(
            f"{path} has been changed to something that W&B would not keep; write it again: workbench dashboard build"
        )
    return workspace


def plain_values(path: Path) -> dict[str, Any]:
    """What is in the file.

    Raises:
        UserError: if it is no JSON object.
    """
    try:
        return read_json(path)
    except RecursionError:
        raise UserError(f"{path} is no readable JSON: it is nested too deeply") from None

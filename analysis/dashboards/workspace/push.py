"""Sending of a workspace and a report to W&B; those of an earlier push are replaced."""

import io
from collections.abc import Callable
from contextlib import redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from analysis.dashboards.mirror.state import RECORDS_FOLDER
from analysis.dashboards.workspace import build, report
from analysis.dashboards.workspace.content import Content, load_content
from analysis.dashboards.workspace.panels import load_library
from workbench.errors import UserError
from workbench.files import describe_error, ensure_writable, read_json, write_json

PUSH_FILE = "dashboard.json"
"""File in `RECORDS_FOLDER` with the ids of what was pushed, so that pushing again replaces it."""
PARTS = {"workspace": ("name", "id", "url"), "report": ("id", "url")}
"""Keys of the two parts of an entry in that file."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class PushedUrls:
    """URLs of a pushed workspace and report."""

    workspace: str
    report: str


def push(out: Path, *, entity: str, project: str, tasks: tuple[str, ...] = ()) -> PushedUrls:
    """Sends the workspace and the report of a folder of results, in place of those sent before.

    Args:
        out: the folder.
        entity: owner of both: a user or a team.
        project: the project that the runs were sent to.
        tasks: to show; all of them if empty. Each choice of tasks has its own workspace and report.

    Raises:
        UserError: if there is nothing to show, or W&B rejects it.
    """
    load_library()
    content = load_content(out, tasks)
    path, key = out / RECORDS_FOLDER / PUSH_FILE, " ".join((f"{entity}/{project}", *sorted(content.tasks)))
    entries = read_push_file(path)
    before = entries.get(key, {})
    workspace = prepare_workspace(content, before.get("workspace", {}), entity=entity, project=project)
    ensure_writable(path.parent)
    workspace_url = call_wandb("workspace", path, lambda: save_workspace(workspace))
    entry: dict[str, Any] = {
        **before,
        "workspace": {"name": workspace._internal_name, "id": workspace._internal_id, "url": workspace_url},
    }
    write_json(path, {**entries, key: entry})
    wandb_report = call_wandb(
        "report", path, lambda: prepare_report(content, before.get("report", {}), entity=entity, project=project)
    )
    report_url = call_wandb("report", path, lambda: save_report(wandb_report))
    write_json(path, {**entries, key: {**entry, "report": {"id": wandb_report.id, "url": report_url}}})
    return PushedUrls(workspace=workspace_url, report=report_url)


def prepare_workspace(content: Content, before: dict[str, str], *, entity: str, project: str) -> Any:
    """Returns the workspace, with the name and id of the view that was pushed before."""
    workspace = build.build_from_content(content, entity=entity, project=project)
    if before:
        workspace._internal_name, workspace._internal_id = before["name"], before["id"]
    return workspace


def prepare_report(content: Content, before: dict[str, str], *, entity: str, project: str) -> Any:
    """Returns the report, with the id of the one that was pushed before."""
    wandb_report = load_library().reports.Report(
        entity=entity,
        project=project,
        title=report.wandb_title(content),
        description=report.opening_sentence(content),
        blocks=report.report_blocks(content, entity=entity, project=project),
        width="fluid",
    )
    if before:
        wandb_report.id = before["id"]
    return wandb_report


def save_workspace(workspace: Any) -> str:
    """Sends a workspace, and returns its URL."""
    return str(workspace.save().url)


def save_report(wandb_report: Any) -> str:
    """Sends a report, and returns its URL."""
    return str(wandb_report.save().url)


def call_wandb(part: str, path: Path, call: Callable[[], T]) -> T:
    """Calls W&B, silently and with errors in one line.

    Args:
        part: workspace or report.
        path: the file that remembers what was pushed.
        call: the call.

    Raises:
        UserError: if W&B rejects it, or cannot be reached.
    """
    try:
        # W&B prints the URL; the command prints it once, too.
        with redirect_stderr(io.StringIO()):
            return call()
    except UserError:
        raise
    except Exception as error:
        # W&B, its transport and its models raise many kinds of errors.
        hint = f"send the runs first, or, if it was deleted there, remove {path}"
        raise UserError(f"W&B did not take the {part}: {describe_error(error)[:300]}; {hint}") from None


def read_push_file(path: Path) -> dict[str, dict[str, dict[str, str]]]:
    """Reads what was pushed from a folder, by destination and tasks.

    Raises:
        UserError: if the file was not written by `push`: ignoring it would silently add a second view.
    """
    if not path.exists():
        return {}
    entries = read_json(path)
    if not all(isinstance(entry, dict) and is_push_entry(entry) for entry in entries.values()):
        raise UserError(f"{path} does not say what was pushed; remove it, and push again")
    return entries


def is_push_entry(entry: dict[str, Any]) -> bool:
    """Returns whether an entry has the keys of a workspace, of a report, or of both."""
    for part, keys in PARTS.items():
        values = entry.get(part, dict.fromkeys(keys, ""))
        if not isinstance(values, dict) or not all(isinstance(values.get(key), str) for key in keys):
            return False
    return True

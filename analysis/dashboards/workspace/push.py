"""A workspace and a report sent to W&B, the same ones again each time."""

import io
from collections.abc import Callable
from contextlib import redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from analysis.dashboards.mirror.state import FOLDER
from analysis.dashboards.workspace import build, report
from analysis.dashboards.workspace.content import Content, content
from analysis.dashboards.workspace.panels import library
from workbench.errors import UserError
from workbench.files import one_line, read_json, writable, write_json

KEPT = "dashboard.json"
"""In `FOLDER`: what was pushed, so that pushing again replaces it."""
PARTS = {"workspace": ("name", "id", "url"), "report": ("id", "url")}
"""What is remembered of each."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pushed:
    """Where what was pushed is to be seen."""

    workspace: str
    report: str


def push(out: Path, *, entity: str, project: str, tasks: tuple[str, ...] = ()) -> Pushed:
    """Sends the workspace and the report of a folder of results; what was sent before is replaced.

    Args:
        out: the folder.
        entity: who they are to belong to: a user or a team.
        project: the project that the runs have been sent to.
        tasks: those to be shown; all of them if empty. What shows some tasks does not replace what shows others.

    Raises:
        UserError: if there is nothing to show, or W&B does not take it.
    """
    library()
    shown = content(out, tasks)
    path, key = out / FOLDER / KEPT, " ".join((f"{entity}/{project}", *sorted(shown.tasks)))
    known = read_pushed(path)
    before = known.get(key, {})
    space = workspace_of(shown, before.get("workspace", {}), entity=entity, project=project)
    writable(path.parent)
    url = ask("workspace", path, lambda: save_workspace(space))
    now: dict[str, Any] = {
        **before,
        "workspace": {"name": space._internal_name, "id": space._internal_id, "url": url},
    }
    write_json(path, {**known, key: now})
    made = ask("report", path, lambda: report_of(shown, before.get("report", {}), entity=entity, project=project))
    there = ask("report", path, lambda: save_report(made))
    write_json(path, {**known, key: {**now, "report": {"id": made.id, "url": there}}})
    return Pushed(workspace=url, report=there)


def workspace_of(shown: Content, before: dict[str, str], *, entity: str, project: str) -> Any:
    """The workspace, as the view that it was before if it was pushed."""
    space = build.arrange(shown, entity=entity, project=project)
    if before:
        space._internal_name, space._internal_id = before["name"], before["id"]
    return space


def report_of(shown: Content, before: dict[str, str], *, entity: str, project: str) -> Any:
    """The report, with the id that it had before if it was pushed."""
    made = library().reports.Report(
        entity=entity,
        project=project,
        title=report.headline(shown),
        description=report.opening(shown),
        blocks=report.blocks(shown, entity=entity, project=project),
        width="fluid",
    )
    if before:
        made.id = before["id"]
    return made


def save_workspace(space: Any) -> str:
    """Sends a workspace; returns where it is to be seen."""
    return str(space.save().url)


def save_report(made: Any) -> str:
    """Sends a report; returns where it is to be seen."""
    return str(made.save().url)


def ask(what: str, path: Path, ask: Callable[[], T]) -> T:
    """Asks W&B for something.

    Raises:
        UserError: if it refuses, or cannot be reached.
    """
    try:
        # W&B says on its own what was saved where; so do we, once.
        with redirect_stderr(io.StringIO()):
            return ask()
    except UserError:
        raise
    except Exception as error:
        # W&B, its transport and its models each raise their own.
        hint = f"send the runs first, or, if it was deleted there, remove {path}"
        raise UserError(f"W&B did not take the {what}: {one_line(error)[:300]}; {hint}") from None


def read_pushed(path: Path) -> dict[str, dict[str, dict[str, str]]]:
    """What was pushed from this folder, by where to.

    Raises:
        UserError: if the file was not written by `push`: another view would be added in silence.
    """
    if not path.exists():
        return {}
    known = read_json(path)
    if not all(isinstance(kept, dict) and matches(kept) for kept in known.values()):
        raise UserError(f"{path} does not say what was pushed; remove it, and push anew")
    return known


def matches(kept: dict[str, Any]) -> bool:
    """Whether this says of a workspace, of a report, or of both, which it was."""
    for part, wanted in PARTS.items():
        found = kept.get(part, dict.fromkeys(wanted, ""))
        if not isinstance(found, dict) or not all(isinstance(found.get(name), str) for name in wanted):
            return False
    return True

"""Builder of the W&B workspace of a folder of results: no account, no network, the same result from the same files."""

import hashlib
import unicodedata
from collections import Counter
from pathlib import Path
from typing import Any

from analysis.dashboards.mirror.state import DEFAULT_PROJECT
from analysis.dashboards.workspace.content import Content, load_content
from analysis.dashboards.workspace.panels import load_library, panel_title
from analysis.dashboards.workspace.runset import group_paths, runset_settings
from analysis.dashboards.workspace.sections import OVERVIEW_SECTION, build_sections

UNSUPPORTED_CATEGORIES = ("So", "Sk", "Sm", "Sc", "Cs")
"""Unicode categories that W&B rejects in a workspace's name."""


def build_workspace(out: Path, *, entity: str = "", project: str = DEFAULT_PROJECT, tasks: tuple[str, ...] = ()) -> Any:
    """Builds the workspace of a folder of results.

    Args:
        out: the folder.
        entity: W&B user or team; may be empty until the workspace is pushed.
        project: the W&B project that the runs are mirrored to.
        tasks: to show; all of them if empty.

    Returns:
        A `wandb_workspaces.workspaces.Workspace`.

    Raises:
        UserError: if wandb-workspaces is not installed, or there is nothing to show.
    """
    load_library()
    return build_from_content(load_content(out, tasks), entity=entity, project=project)


def build_from_content(content: Content, *, entity: str = "", project: str = DEFAULT_PROJECT) -> Any:
    """Builds the workspace of loaded content."""
    library = load_library()
    ws = library.workspaces
    groups = len(group_paths(content.records))
    sections = [
        ws.Section(
            name=section.name,
            panels=list(section.panels),
            is_open=section.name == OVERVIEW_SECTION,
            layout_settings=ws.SectionLayoutSettings(columns=3, rows=3),
        )
        for section in build_sections(content, library, groups)
    ]
    for section in sections:
        set_panel_ids(section.name, section.panels)
    workspace = ws.Workspace(
        entity=entity,
        project=project,
        name=workspace_name(content),
        sections=sections,
        settings=ws.WorkspaceSettings(max_runs=max(10, groups), smoothing_type="none"),
        runset_settings=runset_settings(content, library),
    )
    workspace._internal_runset_id = short_hash(f"{project}/{workspace.name}")
    return workspace


def set_panel_ids(section: str, panels: list[Any]) -> None:
    """Sets the id of each panel from its section and title; W&B's default is random, and differs each time."""
    counts: Counter[str] = Counter()
    for panel in panels:
        heading = f"{section}/{panel_title(panel)}"
        panel._id = short_hash(f"{heading}/{counts[heading]}")
        counts[heading] += 1


def short_hash(text: str) -> str:
    """Returns a hash of the length of W&B's ids."""
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:12]


def workspace_name(content: Content) -> str:
    """Returns the name of the workspace."""
    tasks = f" ({', '.join(content.tasks)})" if content.tasks else ""
    name = f"{content.out.resolve().name}{tasks}"
    supported = "".join(
        char for char in name if char.isprintable() and unicodedata.category(char) not in UNSUPPORTED_CATEGORIES
    )
    return f"Sequence workbench: {supported.strip() or 'comparison'}"[:128]

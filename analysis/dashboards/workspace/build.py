"""A workspace of W&B from a folder of results: without an account, without a network, the same from the same files."""

import hashlib
import unicodedata
from collections import Counter
from pathlib import Path
from typing import Any

from analysis.dashboards.mirror.state import PROJECT
from analysis.dashboards.workspace.content import Content, content
from analysis.dashboards.workspace.panels import library, panel_title
from analysis.dashboards.workspace.runset import paths, runset
from analysis.dashboards.workspace.sections import GLANCE, sections

UNFIT = ("So", "Sk", "Sm", "Sc", "Cs")
"""Kinds of characters that W&B does not take in a workspace's name."""


def workspace(out: Path, *, entity: str = "", project: str = PROJECT, tasks: tuple[str, ...] = ()) -> Any:
    """The workspace of a folder of results.

    Args:
        out: the folder.
        entity: who it is to belong to; may be empty until it is pushed.
        project: the W&B project that the runs are mirrored to.
        tasks: those to be shown; all of them if empty.

    Returns:
        A `wandb_workspaces.workspaces.Workspace`.

    Raises:
        UserError: if wandb-workspaces is not installed, or there is nothing to show.
    """
    library()
    return arrange(content(out, tasks), entity=entity, project=project)


def arrange(shown: Content, *, entity: str = "", project: str = PROJECT) -> Any:
    """The workspace of what there is to show."""
    lib = library()
    ws = lib.workspaces
    groups = len(paths(shown.records))
    made = [
        ws.Section(
            name=section.name,
            panels=list(section.panels),
            is_open=section.name == GLANCE,
            layout_settings=ws.SectionLayoutSettings(columns=3, rows=3),
        )
        for section in sections(shown, lib, groups)
    ]
    for section in made:
        identify(section.name, section.panels)
    space = ws.Workspace(
        entity=entity,
        project=project,
        name=named_after(shown),
        sections=made,
        settings=ws.WorkspaceSettings(max_runs=max(10, groups), smoothing_type="none"),
        runset_settings=runset(shown, lib),
    )
    space._internal_runset_id = shorten(f"{project}/{space.name}")
    return space


def identify(section: str, panels: list[Any]) -> None:
    """Gives each panel an id by its place and its title: W&B's would be drawn by lot, and differ each time."""
    seen: Counter[str] = Counter()
    for panel in panels:
        heading = f"{section}/{panel_title(panel)}"
        panel._id = shorten(f"{heading}/{seen[heading]}")
        seen[heading] += 1


def shorten(text: str) -> str:
    """A hash, as long as W&B's ids are."""
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:12]


def named_after(shown: Content) -> str:
    """What the workspace is called."""
    tasks = f" ({', '.join(shown.tasks)})" if shown.tasks else ""
    whole = f"{shown.out.resolve().name}{tasks}"
    plain = "".join(char for char in whole if char.isprintable() and unicodedata.category(char) not in UNFIT)
    return f"Sequence workbench: {plain.strip() or 'comparison'}"[:128]

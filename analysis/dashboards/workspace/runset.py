"""Runs that a workspace shows, their groups, and the colors of the groups."""

from collections.abc import Iterable, Mapping
from typing import Any

from analysis.dashboards.mirror.record import COMPARISON_JOB_TYPE, Record
from analysis.dashboards.workspace.content import Content, architecture_name
from analysis.dashboards.workspace.panels import Library

PHASE = "result/phase"
ARCHITECTURE = "architecture.name"
PINNED_COLUMNS = ("test/loss", "test/accuracy", "cost/parameters", "cost/seconds_per_step")
"""Values of the summary that are shown beside the names of the runs."""


def group_path(record: Record) -> tuple[str, str, str, str]:
    """Returns the nested groups of a run: its task, run or trial, architecture, and configuration.

    The runs of an innermost group differ in their seed alone, or are the trials of one study, so that no mean is over
    different tasks, over trials and runs, or over a tuned configuration and its default.
    """
    return record.job_type, str(record.summary[PHASE]), architecture_name(record), record.group


def group_paths(records: Iterable[Record]) -> list[tuple[str, str, str, str]]:
    """Returns all groups, each once."""
    return sorted({group_path(record) for record in records})


def runset_settings(content: Content, library: Library) -> Any:
    """Returns the runs of a workspace."""
    ws, expr = library.workspaces, library.expr
    logged = content.logged
    return ws.RunsetSettings(
        filters=task_filter(content.tasks, library) if content.tasks else "",
        groupby=[expr.Metric("JobType"), expr.Summary(PHASE), expr.Config(ARCHITECTURE), expr.Metric("Group")],
        order=[expr.Ordering(expr.Metric("JobType")), expr.Ordering(expr.Metric("Name"))],
        run_settings={
            record.id: ws.RunSettings(color=content.colors[architecture_name(record)]) for record in content.records
        },
        group_colors={ws.GroupPath(*path): content.colors[path[2]] for path in group_paths(content.records)},
        pinned_columns=["run:displayName", *(f"summary:{name}" for name in PINNED_COLUMNS if name in logged)],
    )


def task_filter(tasks: Iterable[str], library: Library) -> Any:
    """Returns a filter on tasks, which the comparison's own run with its figures passes too."""
    expr = library.expr
    return expr.And(expr.Metric("JobType").isin([*tasks, COMPARISON_JOB_TYPE]))


def group_colors(content: Content, name: str, library: Library) -> Mapping[Any, str]:
    """Returns the workspace's colors for a grid of a report, whose runs are grouped by architecture and configuration.

    Args:
        content: of the folder of results.
        name: of the grid's set of runs.
        library: wandb-workspaces.
    """
    wr = library.reports
    keys = (wr.Config(ARCHITECTURE), wr.Metric("Group"))
    return {
        wr.RunsetGroup(
            runset_name=name,
            keys=tuple(wr.RunsetGroupKey(key=key, value=value) for key, value in zip(keys, path[2:], strict=True)),
        ): content.colors[path[2]]
        for path in group_paths(content.records)
    }

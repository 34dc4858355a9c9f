"""Which runs a workspace shows, how they are grouped, and the colours of their groups."""

from collections.abc import Iterable, Mapping
from typing import Any

from analysis.dashboards.mirror.record import JOB, Record
from analysis.dashboards.workspace.content import Content, architecture
from analysis.dashboards.workspace.panels import Library

PHASE = "result/phase"
ARCHITECTURE = "architecture.name"
COLUMNS = ("test/loss", "test/accuracy", "cost/parameters", "cost/seconds_per_step")
"""Of the summary, beside the names of the runs."""


def path(record: Record) -> tuple[str, str, str, str]:
    """The groups that a run is in: its task, run or trial, architecture, and at last its own configuration.

    What is inside the last differs in its seed alone (for trials: belongs to one study), so that no mean is over
    different tasks, over trials and runs, or over a tuned configuration and its default.
    """
    return record.job_type, str(record.summary[PHASE]), architecture(record), record.group


def paths(records: Iterable[Record]) -> list[tuple[str, str, str, str]]:
    """All groups, each once."""
    return sorted({path(record) for record in records})


def runset(content: Content, library: Library) -> Any:
    """The runs of a workspace."""
    ws, expr = library.workspaces, library.expr
    logged = content.logged
    return ws.RunsetSettings(
        filters=only_tasks(content.tasks, library) if content.tasks else "",
        groupby=[expr.Metric("JobType"), expr.Summary(PHASE), expr.Config(ARCHITECTURE), expr.Metric("Group")],
        order=[expr.Ordering(expr.Metric("JobType")), expr.Ordering(expr.Metric("Name"))],
        run_settings={
            record.id: ws.RunSettings(color=content.colours[architecture(record)]) for record in content.records
        },
        group_colors={ws.GroupPath(*groups): content.colours[groups[2]] for groups in paths(content.records)},
        pinned_columns=["run:displayName", *(f"summary:{name}" for name in COLUMNS if name in logged)],
    )


def only_tasks(tasks: Iterable[str], library: Library) -> Any:
    """A filter on the tasks; the comparison's own run, which has its figures, stays."""
    expr = library.expr
    return expr.And(expr.Metric("JobType").isin([*tasks, JOB]))


def group_colours(content: Content, name: str, library: Library) -> Mapping[Any, str]:
    """The same colours as a grid of a report has them, whose runs are grouped by architecture and configuration.

    Args:
        content: what is shown.
        name: of the grid's set of runs.
        library: wandb-workspaces.
    """
    wr = library.reports
    keys = (wr.Config(ARCHITECTURE), wr.Metric("Group"))
    return {
        wr.RunsetGroup(
            runset_name=name,
            keys=tuple(wr.RunsetGroupKey(key=key, value=value) for key, value in zip(keys, groups[2:], strict=True)),
        ): content.colours[groups[2]]
        for groups in paths(content.records)
    }

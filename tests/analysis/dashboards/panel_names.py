"""Everything that the panels of a workspace refer to by name."""

from collections.abc import Iterator
from typing import Any

CONFIG = "config."


def named_metrics(workspace: Any) -> set[str]:
    """Every metric, table, image, page and entry of a configuration that the workspace names.

    Returns:
        Names as they are logged, `.min` or `.max` behind metrics whose best value is meant, and entries of the
        configuration with `config.` before them. What W&B itself knows of a run (its job type) is not among them.
    """
    names = {name for section in workspace.sections for panel in section.panels for name in metrics_of_panel(panel)}
    columns = workspace.runset_settings.pinned_columns
    names |= {column.removeprefix("summary:") for column in columns if column.startswith("summary:")}
    for key in workspace.runset_settings.groupby:
        if key.section != "run":
            names.add(f"{CONFIG if key.section == 'config' else ''}{key.name}")
    return names


def metrics_of_panel(panel: Any) -> Iterator[str]:
    """What one panel names."""
    kind = type(panel).__name__
    if kind == "LinePlot":
        yield from map(plain_name, (panel.x, *panel.y))
    elif kind == "BarPlot":
        yield from map(plain_name, panel.metrics)
    elif kind == "ScatterPlot":
        yield from (plain_name(axis) for axis in (panel.x, panel.y, panel.z) if axis is not None)
    elif kind == "ParallelCoordinatesPlot":
        yield from (plain_name(column.metric) for column in panel.columns)
    elif kind == "ParameterImportancePlot":
        yield panel.with_respect_to
    elif kind == "MediaBrowser":
        yield from panel.media_keys
    elif kind == "CustomChart":
        yield panel.query["summaryTable"]["tableKey"]
    elif kind == "WeavePanelSummaryTable":
        yield panel.table_name
    elif kind != "MarkdownPanel":
        raise TypeError(f"no panel of ours: {kind}")


def plain_name(metric: Any) -> str:
    """A name as it is logged."""
    if isinstance(metric, str):
        return metric
    return f"{CONFIG}{metric.name}" if type(metric).__name__ == "Config" else str(metric.name)

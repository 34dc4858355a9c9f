"""Names that the panels of a workspace refer to."""

from collections.abc import Iterator
from typing import Any

CONFIG = "config."


def named_metrics(workspace: Any) -> set[str]:
    """Returns every metric, table, image, page and entry of a configuration that a workspace names.

    Returns:
        Names as they are logged, with `.min` or `.max` appended for the best value of a metric, and `config.` before
        entries of the configuration. Properties that W&B gives every run, such as its job type, are left out.
    """
    names = {name for section in workspace.sections for panel in section.panels for name in metrics_of_panel(panel)}
    columns = workspace.runset_settings.pinned_columns
    names |= {column.removeprefix("summary:") for column in columns if column.startswith("summary:")}
    for key in workspace.runset_settings.groupby:
        if key.section != "run":
            names.add(f"{CONFIG if key.section == 'config' else ''}{key.name}")
    return names


def metrics_of_panel(panel: Any) -> Iterator[str]:
    """Yields the names that a panel refers to."""
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
        raise TypeError(f"unexpected kind of panel: {kind}")


def plain_name(metric: Any) -> str:
    """Returns a name as it is logged."""
    if isinstance(metric, str):
        return metric
    return f"{CONFIG}{metric.name}" if type(metric).__name__ == "Config" else str(metric.name)

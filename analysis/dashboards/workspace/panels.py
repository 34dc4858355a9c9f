"""Panels of a W&B workspace, each with a title that names what is shown and its unit."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Any

from analysis.dashboards.mirror.naming import STEP
from workbench.errors import UserError

LINE_CHART = "wandb/line/v0"
"""W&B's built-in line chart of a table, which `wandb.plot.line` uses too."""
OVER_SEEDS = "mean, and standard deviation over seeds"


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """Modules of wandb-workspaces."""

    workspaces: Any
    reports: Any
    expr: Any
    view: Any
    """The pydantic model that serialises a workspace."""


class PanelFactory:
    """Factory of panels.

    Args:
        library: wandb-workspaces.
        groups: number of groups of runs; W&B would show the first ten.
    """

    def __init__(self, library: Library, groups: int) -> None:
        self.reports, self.limit = library.reports, max(10, groups)

    def line(self, title: str, metric: str, unit: str) -> Any:
        """Returns a plot of a metric against training steps, grouped as the runs are."""
        return self.reports.LinePlot(
            title=title,
            x=STEP,
            y=[metric],
            title_x="training steps",
            title_y=unit,
            groupby_aggfunc="mean",
            groupby_rangefunc="stddev",
            smoothing_type="none",
            max_runs_to_show=self.limit,
        )

    def bar(self, title: str, metric: str) -> Any:
        """Returns a bar plot of a value of each group of runs."""
        return self.reports.BarPlot(
            title=title,
            metrics=[metric],
            orientation="h",
            groupby_aggfunc="mean",
            groupby_rangefunc="stddev",
            max_runs_to_show=self.limit,
            max_bars_to_show=self.limit,
        )

    def scatter(self, title: str, x: str, y: str, *, log_x: bool = False, log_y: bool = False) -> Any:
        """Returns a scatter plot of two values of the summary, with a point for each run."""
        metric = self.reports.SummaryMetric
        return self.reports.ScatterPlot(title=title, x=metric(x), y=metric(y), log_x=log_x or None, log_y=log_y or None)

    def parallel(self, title: str, columns: Sequence[tuple[str, str, bool]]) -> Any:
        """Returns parallel coordinates with a line for each trial.

        Args:
            title: of the panel.
            columns: the name as logged (or `config.` and a key), the displayed name, and whether it is logarithmic.
        """
        column = self.reports.ParallelCoordinatesPlotColumn
        return self.reports.ParallelCoordinatesPlot(
            title=title,
            columns=[
                column(metric=self.field(name), display_name=display_name, log=log or None)
                for name, display_name, log in columns
            ],
        )

    def importance(self, metric: str) -> Any:
        """Returns the importance of parameters for a metric. The panel has no title; W&B writes a heading."""
        return self.reports.ParameterImportancePlot(with_respect_to=metric)

    def chart(self, title: str, table: str, y: str) -> Any:
        """Returns a chart of a curve in the tables of all runs, with a line for each run."""
        return self.reports.CustomChart(
            query={"summaryTable": {"tableKey": table}},
            chart_name=LINE_CHART,
            chart_fields={"x": "x", "y": y, "stroke": "run"},
            chart_strings={"title": title},
        )

    def media(self, title: str, *names: str) -> Any:
        """Returns images or pages, one below the other."""
        return self.reports.MediaBrowser(title=title, num_columns=1, media_keys=list(names))

    def table(self, name: str) -> Any:
        """Returns a table. The panel has no title; a note goes before it."""
        return self.reports.WeavePanelSummaryTable(table_name=name)

    def note(self, title: str, text: str) -> Any:
        """Returns a text under a title."""
        return self.reports.MarkdownPanel(markdown=f"**{title}**\n\n{text}")

    def field(self, name: str) -> Any:
        """Returns a value of the summary or, after `config.`, an entry of the configuration."""
        if name.startswith("config."):
            return self.reports.Config(name.removeprefix("config."))
        return self.reports.SummaryMetric(name)


def panel_title(panel: Any) -> str:
    """Returns the heading of a panel: its title, or what W&B writes for a panel without one."""
    strings: Mapping[str, str] = getattr(panel, "chart_strings", {})
    kind = type(panel).__name__
    if kind == "MarkdownPanel":
        return str(panel.markdown.split("\n")[0].strip("*"))
    if kind == "ParameterImportancePlot":
        return f"Parameter importance with respect to {panel.with_respect_to}"
    if kind == "WeavePanelSummaryTable":
        return f"runs.summary[{panel.table_name!r}]"
    return str(strings.get("title") or getattr(panel, "title", None) or "")


@cache
def load_library() -> Library:
    """Imports wandb-workspaces.

    Raises:
        UserError: if it is not installed.
    """
    if find_spec("wandb") is None or find_spec("wandb_workspaces") is None:
        raise UserError("a workspace needs wandb-workspaces: pip install 'sequence-workbench[workspaces]'")
    with warnings.catch_warnings():
        # Its models use features that pydantic has deprecated.
        warnings.simplefilter("ignore")
        import wandb_workspaces.reports.v2 as reports
        import wandb_workspaces.workspaces as workspaces
        from wandb_workspaces import expr
        from wandb_workspaces.workspaces.internal import View
    return Library(workspaces=workspaces, reports=reports, expr=expr, view=View)

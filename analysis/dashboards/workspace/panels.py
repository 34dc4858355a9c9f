"""The panels of W&B that we use, each with a title that says what is shown and in which unit."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Any

from analysis.dashboards.mirror.naming import STEP
from workbench.errors import UserError

LINES = "wandb/line/v0"
"""W&B's own chart of lines from a table, as `wandb.plot.line` uses it."""
OVER_SEEDS = "mean, and standard deviation over seeds"


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """The modules of wandb-workspaces."""

    workspaces: Any
    reports: Any
    expr: Any
    view: Any
    """The model that a workspace is serialised by."""


class Panels:
    """Makes panels.

    Args:
        library: wandb-workspaces.
        groups: how many groups of runs there are: W&B would show the first ten.
    """

    def __init__(self, library: Library, groups: int) -> None:
        self.made, self.limit = library.reports, max(10, groups)

    def line(self, title: str, metric: str, unit: str) -> Any:
        """A metric of the history against the steps of training; grouped as the runs are."""
        return self.made.LinePlot(
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
        """A number of each group of runs."""
        return self.made.BarPlot(
            title=title,
            metrics=[metric],
            orientation="h",
            groupby_aggfunc="mean",
            groupby_rangefunc="stddev",
            max_runs_to_show=self.limit,
            max_bars_to_show=self.limit,
        )

    def scatter(self, title: str, x: str, y: str, *, log_x: bool = False, log_y: bool = False) -> Any:
        """One number of the summary against another, a point a run."""
        summary = self.made.SummaryMetric
        return self.made.ScatterPlot(title=title, x=summary(x), y=summary(y), log_x=log_x or None, log_y=log_y or None)

    def parallel(self, title: str, columns: Sequence[tuple[str, str, bool]]) -> Any:
        """A line a trial. Columns: a name as logged (or `config.` and a key), what it is called, if logarithmic."""
        column = self.made.ParallelCoordinatesPlotColumn
        return self.made.ParallelCoordinatesPlot(
            title=title,
            columns=[column(metric=self.of(name), display_name=said, log=log or None) for name, said, log in columns],
        )

    def importance(self, metric: str) -> Any:
        """Which parameter matters for a number. It has no title of ours: W&B says what it is with respect to."""
        return self.made.ParameterImportancePlot(with_respect_to=metric)

    def chart(self, title: str, table: str, y: str) -> Any:
        """A curve from the tables of all runs, a line a run."""
        return self.made.CustomChart(
            query={"summaryTable": {"tableKey": table}},
            chart_name=LINES,
            chart_fields={"x": "x", "y": y, "stroke": "run"},
            chart_strings={"title": title},
        )

    def media(self, title: str, *names: str) -> Any:
        """An image, or a page; of several, one below the other."""
        return self.made.MediaBrowser(title=title, num_columns=1, media_keys=list(names))

    def table(self, name: str) -> Any:
        """A table. It has no title: a note goes before it."""
        return self.made.WeavePanelSummaryTable(table_name=name)

    def note(self, title: str, text: str) -> Any:
        """A few words."""
        return self.made.MarkdownPanel(markdown=f"**{title}**\n\n{text}")

    def of(self, name: str) -> Any:
        """A number of the summary, or with `config.` before it an entry of the configuration."""
        if name.startswith("config."):
            return self.made.Config(name.removeprefix("config."))
        return self.made.SummaryMetric(name)


def panel_title(panel: Any) -> str:
    """What a panel is headed with; of those that have no heading of their own, what W&B writes."""
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
def library() -> Library:
    """The modules.

    Raises:
        UserError: if they are not installed.
    """
    if find_spec("wandb") is None or find_spec("wandb_workspaces") is None:
        raise UserError("a workspace needs wandb-workspaces: pip install 'sequence-workbench[workspaces]'")
    with warnings.catch_warnings():
        # Its models are declared in a way that pydantic will drop one day.
        warnings.simplefilter("ignore")
        import wandb_workspaces.reports.v2 as reports
        import wandb_workspaces.workspaces as workspaces
        from wandb_workspaces import expr
        from wandb_workspaces.workspaces.internal import View
    return Library(workspaces=workspaces, reports=reports, expr=expr, view=View)

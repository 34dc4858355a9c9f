"""`workbench.Results`: finished runs as DataFrames, figures and a report."""

from collections.abc import Sequence
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from torch import nn

from workbench.api.calls import api
from workbench.errors import UserError
from workbench.results import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from analysis.grouping import Section


class Results:
    """Finished runs, in memory and in their folder.

    Args:
        folder: of the results.
        finished: the runs.
        failures: a line for each run that failed.
    """

    def __init__(self, folder: str | Path, finished: Sequence[Run], failures: Sequence[str] = ()) -> None:
        self.folder = Path(folder)
        self.failures = tuple(failures)
        """A line for each run that failed; empty if all are finished."""
        self.finished = tuple(finished)
        """The runs, as `workbench.results.Run`, in the order of the rows of `runs`."""

    @cached_property
    def runs(self) -> pd.DataFrame:
        """A row for each run, as in `comparison.csv`: what it is, every option, `hidden_size` first, its results."""
        return _comparison_table(self.finished)

    @cached_property
    def curves(self) -> pd.DataFrame:
        """A row for each run and step that was logged, as in `curves.csv`: `step`, `train/loss`, `val/loss`, ..."""
        return _curves_table(self.finished)

    @cached_property
    def summary(self) -> pd.DataFrame:
        """A row for each task and architecture, the lowest mean test loss first; see `analysis.ranks.rank_table`."""
        return _rank_table(self.finished)

    @property
    def probes(self) -> pd.DataFrame:
        """A row for each run, probe and number that `analyze` has measured so far, as in `analysis.csv`."""
        return _probe_table(self.finished)

    @property
    def trials(self) -> pd.DataFrame:
        """A row for each trial of the folder's sweeps, as in `tuning.csv`; empty without a sweep."""
        return _trials_table(self.folder)

    @api
    def plot_curves(self, ax: "Axes | None" = None, *, metric: str = "val/loss", task: str | None = None) -> "Axes":
        """Draws a logged metric against the training step: the mean of the seeds, and each of them or their interval.

        Args:
            ax: what to draw on; by default a new figure.
            metric: a column of `curves`.
            task: whose runs are drawn, if there are several; see the column `variant` of `summary`.

        Raises:
            UserError: if there is no such metric or task, or the task has to be named.
        """
        from analysis.figures.single_panels import draw_curves

        return draw_curves(self._section(task), metric, ax)

    @api
    def plot_results(self, ax: "Axes | None" = None, *, metric: str = "loss", task: str | None = None) -> "Axes":
        """Draws a test metric of every seed, a line for each architecture, with the mean and the trivial loss.

        Args:
            ax: what to draw on; by default a new figure.
            metric: loss, accuracy, or another metric of the task.
            task: as in `plot_curves`.

        Raises:
            UserError: if there is no such metric or task, or the task has to be named.
        """
        from analysis.figures.single_panels import draw_results

        return draw_results(self._section(task), metric, ax)

    @api
    def report(self) -> Path:
        """Writes the report of the whole folder again, and returns its path."""
        from analysis.report.build import write_report

        return write_report(self.folder)

    @api
    def model(self, row: int = 0) -> nn.Module:
        """Returns a trained model, `workbench.model.Model`, in evaluation mode.

        Args:
            row: of `runs`, counted from 0.

        Raises:
            UserError: if there is no such row, or the run has no weights that can be read.
        """
        from analysis.probes.models import model_of_run

        if not -len(self.finished) <= row < len(self.finished):
            raise UserError(f"there is no row {row}; there are {len(self.finished)} runs")
        return model_of_run(self.finished[row]).model

    def __len__(self) -> int:
        return len(self.finished)

    def __repr__(self) -> str:
        return f"Results of {len(self)} runs in {self.folder}"

    @api
    def _repr_html_(self) -> str:
        """Returns what a notebook shows: the answer on each task in words, and the table of `summary`."""
        from analysis.report.summary import headline

        lines = [f"<p><b>{escape(section.title)}</b>: {escape(headline(section))}</p>" for section in self._sections]
        lines += [f"<p>failed: {escape(line)}</p>" for line in self.failures]
        if not self.finished:
            return "".join([*lines, f"<p>{escape(repr(self))}</p>"])
        return "".join(
            [*lines, self.summary.to_html(index=False, escape=True, na_rep="", float_format="{:.4g}".format)]
        )

    @cached_property
    def _sections(self) -> "tuple[Section, ...]":
        from analysis.grouping import build_sections

        return build_sections(self.finished)

    def _section(self, task: str | None) -> "Section":
        """Returns the runs on one variant of a task.

        Raises:
            UserError: if it has to be named, or there is none of that name.
        """
        sections = self._sections
        titles = ", ".join(repr(section.title) for section in sections)
        if task is None and len(sections) == 1:
            return sections[0]
        if task is None:
            raise UserError(f"name the task: task= one of {titles}" if sections else "there are no runs")
        exact = [section for section in sections if section.title == task]
        named = [section for section in sections if section.rows[0].experiment.task.name == task]
        found = exact or named
        if len(found) != 1:
            raise UserError(f"task {task!r} is {'ambiguous' if found else 'not among the results'}: {titles}")
        return found[0]


@api
def _comparison_table(runs: Sequence[Run]) -> pd.DataFrame:
    from analysis.run_tables import comparison_table

    return comparison_table(runs)


@api
def _curves_table(runs: Sequence[Run]) -> pd.DataFrame:
    from analysis.run_tables import curves_table

    return curves_table(runs)


@api
def _rank_table(runs: Sequence[Run]) -> pd.DataFrame:
    from analysis.grouping import build_sections
    from analysis.ranks import rank_table

    return rank_table(build_sections(runs))


@api
def _probe_table(runs: Sequence[Run]) -> pd.DataFrame:
    from analysis.probes.aggregate import load_probe_records, metric_table

    return metric_table(runs, load_probe_records(runs))


@api
def _trials_table(folder: Path) -> pd.DataFrame:
    from analysis.report.tuning.tables import trials_table
    from workbench.study_files import read_studies

    return trials_table(read_studies(folder))

"""Histories of the metrics that runs logged: mean and interval over the seeds of each row, and the seeds themselves."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.figures.axes import MIN_BAND_SEEDS
from analysis.grouping import Row, Section
from analysis.statistics import half_width
from workbench.errors import UserError
from workbench.results import Run

COLUMNS: Mapping[str, str] = {"val/loss": "validation loss", "val/accuracy": "validation accuracy"}
"""The columns of `metrics.csv` that have a panel, with their names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DivergedRun:
    """The values that a diverged run logged before it diverged."""

    step: np.ndarray
    value: np.ndarray
    end: float
    """The step at which it diverged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedCurve:
    """The values that the run of one seed logged."""

    step: np.ndarray
    value: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """A logged metric of a row: the mean over the seeds that did not diverge, the seeds, and each run that diverged."""

    row: Row
    step: np.ndarray
    mean: np.ndarray
    """The mean at each step; a seed that has ended before is in it with its last value."""
    half_width: np.ndarray
    """Half the width of the 95 % interval; 0 for one seed."""
    diverged: tuple[DivergedRun, ...]
    seeds: tuple[SeedCurve, ...] = ()
    """The seeds in the mean."""
    under_way: tuple[SeedCurve, ...] = ()
    """Seeds that are not in the mean yet, as they are still trained."""
    bounds: tuple[float, float] = (-math.inf, math.inf)
    """The smallest and the largest value that can be."""

    @property
    def end(self) -> tuple[float, float] | None:
        """The last step with its value; `None` if nothing was logged."""
        if len(self.step):
            return float(self.step[-1]), float(self.mean[-1])
        ends = [(run.end, float(run.value[-1])) for run in self.diverged if len(run.value)]
        return max(ends, default=None)

    @property
    def has_band(self) -> bool:
        """True if there are enough seeds for a band."""
        return len(self.seeds) >= MIN_BAND_SEEDS

    @property
    def thin_seeds(self) -> tuple[SeedCurve, ...]:
        """The seeds that are drawn, instead of a band: none if there is just one, which is the mean itself."""
        return () if self.has_band or len(self.seeds) < 2 else self.seeds

    @property
    def early_ends(self) -> list[tuple[float, float]]:
        """The last step and value of each seed that ended before another one of the row."""
        ends = [(float(seed.step[-1]), float(seed.value[-1])) for seed in self.seeds]
        return [end for end in ends if end[0] < self.step[-1]] if len(self.step) else []

    def band(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns the ends of the interval, clipped to what can be."""
        low, high = self.mean - self.half_width, self.mean + self.half_width
        return np.clip(low, *self.bounds), np.clip(high, *self.bounds)


Histories = Mapping[str, Sequence[History]]
"""The histories of each column of `metrics.csv`, row by row."""


def load_histories(section: Section) -> Histories:
    """Returns the histories of all rows, for each column of `metrics.csv` that some row has.

    Raises:
        UserError: if a run's metrics cannot be read.
    """
    by_column: dict[str, list[History]] = {column: [] for column in COLUMNS}
    for row in section.rows:
        tables = [read_metrics(run) for run in row.runs]
        for column, histories in by_column.items():
            if history := make_history(row, column, tables):
                histories.append(history)
    return {column: histories for column, histories in by_column.items() if histories}


def load_history(row: Row, column: str) -> History | None:
    """Returns the history of a column of `metrics.csv`; `None` if no run of the row has the column.

    Raises:
        UserError: if a run's metrics cannot be read.
    """
    return make_history(row, column, [read_metrics(run) for run in row.runs])


def make_history(row: Row, column: str, tables: Sequence[pd.DataFrame]) -> History | None:
    """Returns the history of a column of the tables of a row's runs; `None` if none of them has the column.

    The mean goes on until the last seed ends. Seeds that have ended before, because they met their goal or their time
    was up, are in it with their last values: without them it would be the mean of the seeds that are slow to learn, and
    cut off at the first end it would hide what those do.

    Raises:
        UserError: if a run's metrics cannot be read.
    """
    logged = [(run, select_column(run, table, column)) for run, table in zip(row.runs, tables, strict=True)]
    if all(values is None for _, values in logged):
        return None
    finished = [values for run, values in logged if not run.diverged and values is not None]
    table = carry_on(finished)
    values = table.to_numpy(float).T
    return History(
        row=row,
        step=table.index.to_numpy(float),
        mean=values.mean(0) if len(values) else np.empty(0),
        half_width=half_width(values) if len(values) else np.empty(0),
        diverged=tuple(
            DivergedRun(step=values.index.to_numpy(float), value=values.to_numpy(float), end=end_step(run, values))
            for run, values in logged
            if run.diverged and values is not None
        ),
        seeds=tuple(seed_curve(values) for values in finished if len(values)),
        bounds=value_bounds(column, finished),
    )


def value_bounds(column: str, logged: Iterable[pd.Series]) -> tuple[float, float]:
    """Returns the smallest and the largest value that can be in a column of `metrics.csv`.

    A loss is 0 or more, unless a logged value shows that it can be negative, as that of a density.
    """
    if column == "val/accuracy":
        return 0.0, 1.0
    return (0.0 if all((values >= 0).all() for values in logged) else -math.inf), math.inf


def carry_on(columns: Sequence[pd.Series]) -> pd.DataFrame:
    """Returns a table of the values of several seeds by step; behind its end, each seed has its last value.

    Steps that a seed has passed without a value are left out.
    """
    if not columns or any(values.empty for values in columns):
        return pd.DataFrame(dtype=float)
    table = pd.concat(columns, axis=1, keys=range(len(columns)), join="outer").sort_index()
    for index, values in enumerate(columns):
        table.loc[table.index > values.index[-1], index] = values.iloc[-1]
    return table.dropna()


def seed_curve(values: pd.Series) -> SeedCurve:
    """Returns the curve of a column of `metrics.csv`, as `finite_column` returns it."""
    return SeedCurve(step=values.index.to_numpy(float), value=values.to_numpy(float))


def finite_column(run: Run, column: str) -> pd.Series | None:
    """Returns the finite values of a column of `metrics.csv`, by step; `None` if the run does not have the column.

    Raises:
        UserError: if the run's metrics cannot be read.
    """
    return select_column(run, read_metrics(run), column)


def read_metrics(run: Run) -> pd.DataFrame:
    """Returns a run's `metrics.csv`.

    Raises:
        UserError: if it cannot be read.
    """
    with metrics_errors(run):
        return run.metrics()


def select_column(run: Run, table: pd.DataFrame, column: str) -> pd.Series | None:
    """Returns what `finite_column` does, of a run's metrics that were read before."""
    with metrics_errors(run):
        steps = pd.to_numeric(table["step"])
        if column not in table:
            return None
        values = pd.Series(pd.to_numeric(table[column]).to_numpy(float), index=steps)
    values = values[~values.index.duplicated(keep="last")]
    return values[np.isfinite(values)].sort_index()


@contextmanager
def metrics_errors(run: Run) -> Iterator[None]:
    """Raises what is wrong with a run's metrics as a `UserError`."""
    try:
        yield
    except (OSError, ValueError, KeyError, pd.errors.EmptyDataError) as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise UserError(f"{run.folder / 'metrics.csv'} is not a readable table of metrics: {reason}") from None


def end_step(run: Run, values: pd.Series) -> float:
    """Returns the step at which a run diverged; if unknown, the last that it logged, or else the last of the run."""
    step = run.result["diverged_at"]
    if step is not None:
        return float(step)
    return float(values.index[-1]) if len(values) else float(run.result["steps"])


def all_histories(histories: Histories) -> Iterable[History]:
    """Yields the histories of all columns."""
    return (history for rows in histories.values() for history in rows)


def end_steps(history: History) -> list[float]:
    """Returns the steps at which the mean, the seeds under way and the diverged runs of a row end."""
    under_way = (seed.step[-1:] for seed in history.under_way)
    return [
        *map(float, history.step[-1:]),
        *(float(step) for steps in under_way for step in steps),
        *(run.end for run in history.diverged),
    ]

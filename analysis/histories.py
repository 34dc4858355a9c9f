"""What a row's runs logged while they were trained, over its seeds."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.groups import Row
from analysis.statistics import half_width
from workbench.errors import UserError
from workbench.results import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """A run that diverged: what it logged until then."""

    step: np.ndarray
    value: np.ndarray
    end: float
    """The step at which it diverged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """A logged value of a row: the mean over the seeds that were trained to the end, and the runs that were lost."""

    row: Row
    step: np.ndarray
    mean: np.ndarray
    half: np.ndarray
    """Half the width of the 95 % interval; 0 for one seed."""
    lost: tuple[Lost, ...]

    @property
    def end(self) -> tuple[float, float] | None:
        """The last step with its value; `None` where nothing was logged."""
        if len(self.step):
            return float(self.step[-1]), float(self.mean[-1])
        ends = [(lost.end, float(lost.value[-1])) for lost in self.lost if len(lost.value)]
        return max(ends, default=None)


def history(row: Row, column: str) -> History | None:
    """The history of a column of `metrics.csv`; `None` where no run of the row has it.

    The mean goes as far as all seeds go: from where one has ended, a mean over the others would be of other runs.

    Raises:
        UserError: if a run's metrics cannot be read.
    """
    logged = [(run, finite(run, column)) for run in row.runs]
    if all(values is None for _, values in logged):
        return None
    kept = [values for run, values in logged if not run.diverged and values is not None]
    table = pd.concat(kept, axis=1, join="inner") if kept else pd.DataFrame(dtype=float)
    values = table.to_numpy(float).T
    return History(
        row=row,
        step=table.index.to_numpy(float),
        mean=values.mean(0) if len(values) else np.empty(0),
        half=half_width(values) if len(values) else np.empty(0),
        lost=tuple(
            Lost(step=values.index.to_numpy(float), value=values.to_numpy(float), end=ended(run, values))
            for run, values in logged
            if run.diverged and values is not None
        ),
    )


def finite(run: Run, column: str) -> pd.Series | None:
    """The finite values of a column by step; `None` where the run has no such column."""
    try:
        table = run.metrics()
        steps = pd.to_numeric(table["step"])
        if column not in table:
            return None
        values = pd.Series(pd.to_numeric(table[column]).to_numpy(float), index=steps)
    except (OSError, ValueError, KeyError, pd.errors.EmptyDataError) as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise UserError(f"{run.folder / 'metrics.csv'} is no readable table of metrics: {reason}") from None
    values = values[~values.index.duplicated(keep="last")]
    return values[np.isfinite(values)].sort_index()


def ended(run: Run, values: pd.Series) -> float:
    """The step at which a run diverged, or else the last that it logged or made."""
    step = run.result["diverged_at"]
    if step is not None:
        return float(step)
    return float(values.index[-1]) if len(values) else float(run.result["steps"])

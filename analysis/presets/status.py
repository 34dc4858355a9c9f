"""Progress of a preset: its finished runs, and the steps of unfinished ones."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from workbench.config import Experiment
from workbench.errors import UserError
from workbench.files import describe_error
from workbench.results import Run, read_run
from workbench.run_folder import claim, run_folder


@dataclass(frozen=True, slots=True, kw_only=True)
class RunsStatus:
    """The runs of a preset that are in a folder of results."""

    experiments: tuple[Experiment, ...]
    runs: tuple[Run, ...]
    """The finished runs."""
    under_way: tuple[tuple[Experiment, int], ...]
    """The experiments that have begun but not finished, with the last step in their metrics."""

    @property
    def complete(self) -> bool:
        """True if all runs are finished."""
        return len(self.runs) == len(self.experiments)

    @property
    def progress(self) -> float:
        """Share of the steps that are done; a run that ended before its budget counts as complete."""
        total = sum(experiment.budget.steps for experiment in self.experiments)
        done = sum(run.experiment.budget.steps for run in self.runs) + sum(steps for _, steps in self.under_way)
        return done / total


def merge_status(parts: Iterable[RunsStatus]) -> RunsStatus:
    """Returns the status of several sets of runs together."""
    parts = list(parts)
    return RunsStatus(
        experiments=tuple(experiment for part in parts for experiment in part.experiments),
        runs=tuple(run for part in parts for run in part.runs),
        under_way=tuple(entry for part in parts for entry in part.under_way),
    )


def load_runs_status(out: Path, experiments: Sequence[Experiment]) -> RunsStatus:
    """Loads the runs of some experiments from a folder of results.

    Raises:
        UserError: if the folder of a run was not written by this experiment.
    """
    runs, under_way = [], []
    for experiment in experiments:
        folder = run_folder(out, experiment)
        if (folder / "result.json").exists():
            claim(folder, experiment)
            runs.append(read_run(folder))
        elif (folder / "metrics.csv").exists():
            claim(folder, experiment)
            under_way.append((experiment, last_step(folder / "metrics.csv")))
    return RunsStatus(experiments=tuple(experiments), runs=tuple(runs), under_way=tuple(under_way))


def last_step(metrics: Path) -> int:
    """Returns the step in the last row of a file of metrics.

    Raises:
        UserError: if the file is not a table of metrics.
    """
    try:
        return int(pd.read_csv(metrics)["step"].iloc[-1])
    except (OSError, ValueError, LookupError, pd.errors.EmptyDataError) as error:
        reason = describe_error(error)
        raise UserError(f"{metrics} is not a readable table of metrics: {reason}; move its folder away") from None

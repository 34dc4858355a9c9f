"""How far a table is: runs finished, and steps made."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from workbench.config import Experiment
from workbench.errors import UserError
from workbench.files import one_line
from workbench.results import Run, read
from workbench.run_folder import claim, run_folder


@dataclass(frozen=True, slots=True, kw_only=True)
class RunsStatus:
    """What there is of a preset's runs in a folder of results."""

    experiments: tuple[Experiment, ...]
    runs: tuple[Run, ...]
    """Those that are finished."""
    under_way: tuple[tuple[Experiment, int], ...]
    """Those that are not, with the steps that their metrics tell of."""

    @property
    def complete(self) -> bool:
        """Whether all is done."""
        return len(self.runs) == len(self.experiments)

    @property
    def share(self) -> float:
        """How much of the steps is made; a run that ended before its budget counts as whole."""
        asked = sum(experiment.budget.steps for experiment in self.experiments)
        made = sum(run.experiment.budget.steps for run in self.runs) + sum(steps for _, steps in self.under_way)
        return made / asked


def runs_status(out: Path, experiments: Sequence[Experiment]) -> RunsStatus:
    """Looks for runs in a folder of results.

    Raises:
        UserError: if one of them was written by something else.
    """
    runs, under_way = [], []
    for experiment in experiments:
        folder = run_folder(out, experiment)
        if (folder / "result.json").exists():
            claim(folder, experiment)
            runs.append(read(folder))
        elif (folder / "metrics.csv").exists():
            claim(folder, experiment)
            under_way.append((experiment, last_step(folder / "metrics.csv")))
    return RunsStatus(experiments=tuple(experiments), runs=tuple(runs), under_way=tuple(under_way))


def last_step(metrics: Path) -> int:
    """The step of the last row.

    Raises:
        UserError: if the file is no table of metrics.
    """
    try:
        return int(pd.read_csv(metrics)["step"].iloc[-1])
    except (OSError, ValueError, LookupError, pd.errors.EmptyDataError) as error:
        raise UserError(f"{metrics} is no readable table of metrics: {one_line(error)}; move its folder away") from None

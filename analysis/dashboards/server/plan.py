"""Planned runs of a comparison, started or not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from analysis.dashboards.server.run_status import RunStatus
from workbench.comparison import Comparison
from workbench.comparison_file import COMPARISON_FILE
from workbench.config import Experiment
from workbench.custom_parts import is_custom
from workbench.errors import UserError
from workbench.files import read_yaml
from workbench.planned_runs import read_planned_runs
from workbench.run_folder import run_folder

MAX_RUNS = 10_000
"""Runs that a page can show."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A comparison and its runs."""

    comparison: Comparison
    waiting: Mapping[Path, RunStatus] | None
    """Every run by its folder, with the status of a run that has not started; `None` if the runs are not known without
    resolving them, and custom code is named, which is not imported merely to look at its results."""

    def merge(self, started: Mapping[Path, RunStatus]) -> list[RunStatus]:
        """Returns the planned runs: the started ones, marked as planned, and the others as waiting.

        Args:
            started: every started run by its folder.
        """
        if self.waiting is not None:
            return [
                replace(started[folder], planned=True) if folder in started else status
                for folder, status in self.waiting.items()
            ]
        unassigned = sorted(started.values(), key=lambda status: status.metrics_stamp or (0, 0, 0), reverse=True)
        planned = []
        for seed in range(self.comparison.seeds):
            for task in self.comparison.tasks:
                for architecture in self.comparison.architectures:
                    names = (task, architecture, seed)
                    match = next((status for status in unassigned if matches(self.comparison, status, names)), None)
                    if match is not None:
                        unassigned.remove(match)
                        planned.append(replace(match, planned=True))
                        continue
                    planned.append(
                        RunStatus(
                            task=task,
                            architecture=architecture,
                            seed=seed,
                            state="waiting",
                            total_steps=self.comparison.budget.steps,
                            planned=True,
                        )
                    )
        return planned


def load_plan(out: Path) -> Plan:
    """Reads the planned runs from the `comparison.yaml` of a folder of results.

    Raises:
        UserError: if it is invalid, or has more runs than a page can show.
    """
    comparison = Comparison.from_dict(read_yaml(out / COMPARISON_FILE))
    names = (*comparison.tasks, *comparison.architectures)
    amount = comparison.seeds * len(comparison.tasks) * len(comparison.architectures)
    if amount > MAX_RUNS:
        raise UserError(f"it asks for {amount:,} runs; only those that have started are shown")
    configurations = read_planned_runs(out, out / COMPARISON_FILE, comparison)
    if configurations is not None:
        experiments = [each.with_seed(seed) for seed in range(comparison.seeds) for each in configurations]
    elif any(is_custom(name) for name in names):
        return Plan(comparison=comparison, waiting=None)
    else:
        experiments = comparison.experiments()
    waiting = {run_folder(out, experiment): waiting_run(experiment) for experiment in experiments}
    return Plan(comparison=comparison, waiting=waiting)


def waiting_run(experiment: Experiment) -> RunStatus:
    """Returns the status of a run that has not started."""
    return RunStatus(
        task=experiment.task.name,
        architecture=experiment.architecture.name,
        seed=experiment.seed,
        state="waiting",
        identity=experiment.identity,
        experiment=experiment,
        total_steps=experiment.budget.steps,
        planned=True,
    )


def matches(comparison: Comparison, status: RunStatus, names: tuple[str, str, int]) -> bool:
    """Returns whether a run is one of a comparison, judged without importing its code.

    Args:
        comparison: the comparison.
        status: the run.
        names: task, architecture and seed.
    """
    if (status.task, status.architecture, status.seed) != names or (experiment := status.experiment) is None:
        return False
    return (
        experiment.budget == comparison.budget
        and experiment.optimization == comparison.optimization
        and experiment.numerics == comparison.numerics
        and has_options(experiment.task.options, comparison.task.get(status.task) or {})
        and has_options(experiment.architecture.options, comparison.architecture.get(status.architecture) or {})
    )


def has_options(resolved: Mapping[str, Any], options: Mapping[str, Any]) -> bool:
    """Returns whether resolved options contain the given ones; YAML may hold a number such as 1e-3 as text."""
    return all(same_value(value, resolved.get(key)) for key, value in options.items())


def same_value(one: Any, other: Any) -> bool:
    """Returns whether two values are equal, or a text and the number that it spells."""
    if isinstance(one, str) and isinstance(other, float):
        try:
            return float(one) == other
        except ValueError:
            return False
    if isinstance(one, Sequence) and isinstance(other, Sequence):
        return list(one) == list(other)
    return bool(one == other)

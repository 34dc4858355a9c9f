"""The runs that a comparison asks for, begun or not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from analysis.dashboards.server.run_status import RunStatus
from workbench.comparison import Comparison
from workbench.config import Experiment
from workbench.errors import UserError
from workbench.files import read_yaml
from workbench.run_folder import run_folder

MAX_RUNS = 10_000
"""Runs that a page can show."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a comparison asks for."""

    comparison: Comparison
    resolved: Mapping[Path, RunStatus] | None
    """Every run by its folder, as long as it waits; `None` where code of the user's own is named, which is not run by
    looking at its results."""

    def fill(self, found: Mapping[Path, RunStatus]) -> list[RunStatus]:
        """The planned runs: those that were found, marked as planned, and the others as waiting."""
        if self.resolved is not None:
            return [
                replace(found[folder], planned=True) if folder in found else waits
                for folder, waits in self.resolved.items()
            ]
        left = sorted(found.values(), key=lambda seen: seen.stamp or (0, 0, 0), reverse=True)
        filled = []
        for seed in range(self.comparison.seeds):
            for task in self.comparison.tasks:
                for architecture in self.comparison.architectures:
                    names = (task, architecture, seed)
                    begun = next((seen for seen in left if fits(self.comparison, seen, names)), None)
                    if begun is not None:
                        left.remove(begun)
                    filled.append(
                        RunStatus(
                            task=task,
                            architecture=architecture,
                            seed=seed,
                            state="waiting",
                            asked=self.comparison.budget.steps,
                            planned=True,
                        )
                        if begun is None
                        else replace(begun, planned=True)
                    )
        return filled


def plan(out: Path) -> Plan:
    """What the `comparison.yaml` of a folder of results asks for.

    Raises:
        UserError: if it cannot be, or is more than a page can show.
    """
    comparison = Comparison.from_dict(read_yaml(out / "comparison.yaml"))
    names = (*comparison.tasks, *comparison.architectures)
    amount = comparison.seeds * len(comparison.tasks) * len(comparison.architectures)
    if amount > MAX_RUNS:
        raise UserError(f"it asks for {amount:,} runs; those that were begun are shown")
    if any(":" in name for name in names):
        return Plan(comparison=comparison, resolved=None)
    return Plan(
        comparison=comparison, resolved={run_folder(out, each): waiting_run(each) for each in comparison.experiments()}
    )


def waiting_run(experiment: Experiment) -> RunStatus:
    """A run that was not begun."""
    return RunStatus(
        task=experiment.task.name,
        architecture=experiment.architecture.name,
        seed=experiment.seed,
        state="waiting",
        identity=experiment.identity,
        experiment=experiment,
        asked=experiment.budget.steps,
        planned=True,
    )


def fits(comparison: Comparison, seen: RunStatus, names: tuple[str, str, int]) -> bool:
    """Whether a run is what a comparison asks for, as far as that shows without its code."""
    if (seen.task, seen.architecture, seen.seed) != names or (experiment := seen.experiment) is None:
        return False
    return (
        experiment.budget == comparison.budget
        and experiment.optimization == comparison.optimization
        and given_options(comparison.task.get(seen.task) or {}, experiment.task.options)
        and given_options(comparison.architecture.get(seen.architecture) or {}, experiment.architecture.options)
    )


def given_options(options: Mapping[str, Any], resolved: Mapping[str, Any]) -> bool:
    """Whether options are among the resolved ones; a number may be written as a text, as YAML reads 1e-3."""
    return all(same_settings(value, resolved.get(key)) for key, value in options.items())


def same_settings(one: Any, other: Any) -> bool:
    """Whether two values are equal, or one number."""
    if isinstance(one, str) and isinstance(other, float):
        try:
            return float(one) == other
        except ValueError:
            return False
    if isinstance(one, Sequence) and isinstance(other, Sequence):
        return list(one) == list(other)
    return bool(one == other)

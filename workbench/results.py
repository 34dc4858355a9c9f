"""Results of runs, read from their folders by reports, mirrors and probes alike."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from architectures.parameter_rules import ParameterRule, read_rules
from workbench.config import TUNING_SEED, Experiment
from workbench.errors import UserError
from workbench.experiment_file import read_experiment
from workbench.files import read_json
from workbench.tasks.floors import Floor, read_floors


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One finished run."""

    folder: Path
    experiment: Experiment
    result: dict[str, Any]
    """`result.json`: status, steps, parameters, state_size, trivial_loss, floors, solved, test and so on."""
    timing: dict[str, Any]
    """`timing.json`: seconds, seconds_per_step, and the machine; separate, because it differs from run to run."""

    @property
    def diverged(self) -> bool:
        """True if the loss became NaN or infinite."""
        return bool(self.result["status"] == "diverged")

    @property
    def floors(self) -> dict[str, Floor]:
        """What cheap strategies reach on the task, by their names; empty in results from before there were any."""
        return read_floors(self.result.get("floors"))

    @property
    def parameter_rules(self) -> dict[str, ParameterRule]:
        """How parameters were trained that were not trained as all others, by name; empty where there are none."""
        return read_rules(self.result.get("parameter_rules"))

    def metrics(self) -> pd.DataFrame:
        """Returns `metrics.csv`, a row every `log_every` steps: step, train/loss, val/loss, val/accuracy, ..."""
        return pd.read_csv(self.folder / "metrics.csv")

    def test_metric(self, metric: str) -> float:
        """Returns a metric on the test set at the end of training; NaN if it is missing or the run diverged."""
        value = (self.result.get("test") or {}).get(metric)
        return math.nan if value is None else float(value)


REQUIRED_KEYS: dict[str, Any] = {
    "identity": str,
    "status": str,
    "diverged_at": int | None,
    "steps": int,
    "parameters": int,
    "state_size": int,
    "receptive_field": int | None,
    "time": int,
    "trivial_loss": int | float,
    "criterion": str | None,
    "solved_at": int | None,
    "solved_at_mean50": int | None,
    "test": dict | None,
}
"""Keys that every `result.json` has, and the types of their values."""


def read_run(folder: Path) -> Run:
    """Reads the finished run in a folder.

    Raises:
        UserError: if the folder does not hold a run of this bench, or not the run that its configuration describes.
    """
    try:
        experiment = read_experiment(folder / "config.yaml")
        result = read_json(folder / "result.json")
        timing = read_json(folder / "timing.json") if (folder / "timing.json").exists() else {}
    except UserError as error:
        raise UserError(f"{error}; move its folder away and run again") from None
    missing = REQUIRED_KEYS.keys() - result.keys()
    if missing:
        raise UserError(
            f"{folder / 'result.json'} was not written by this bench: it lacks {', '.join(sorted(missing))}; "
            "move it away and run again"
        )
    wrong = [key for key, kinds in REQUIRED_KEYS.items() if not isinstance(result[key], kinds)]
    wrong += [key for key in ("test", "validation") if not are_scores(result.get(key))]
    try:
        read_floors(result.get("floors"))
    except ValueError:
        wrong.append("floors")
    try:
        read_rules(result.get("parameter_rules"))
    except (TypeError, ValueError):
        wrong.append("parameter_rules")
    if wrong:
        raise UserError(
            f"{folder / 'result.json'} was not written by this bench: its {', '.join(wrong)} is invalid; "
            "move it away and run again"
        )
    if result["identity"] != experiment.identity or result.get("seed") != experiment.seed:
        raise UserError(
            f"{folder / 'result.json'} belongs to another configuration ({result['identity']}, seed "
            f"{result.get('seed')}) than the config.yaml beside it ({experiment.identity}, seed {experiment.seed}); "
            "move the folder away and run again"
        )
    if not all(isinstance(timing.get(key, 0.0), int | float) for key in ("seconds", "seconds_per_step")):
        raise UserError(f"{folder / 'timing.json'} was not written by this bench; move the folder away and run again")
    return Run(folder=folder, experiment=experiment, result=result, timing=timing)


def read_pruned_run(folder: Path) -> Run:
    """Reads a pruned run, which has no result, up to its last row of metrics.

    Raises:
        UserError: if the folder does not hold a run of this bench.
    """
    experiment = read_experiment(folder / "config.yaml")
    steps = int(pd.read_csv(folder / "metrics.csv")["step"].iloc[-1])
    return Run(folder=folder, experiment=experiment, result={"status": "pruned", "steps": steps}, timing={})


def are_scores(scores: object) -> bool:
    """Returns whether a value is a mapping of scores by name, or `None`."""
    if scores is None:
        return True
    return isinstance(scores, dict) and all(isinstance(value, int | float | None) for value in scores.values())


def finished_runs(out: Path) -> Iterator[Run]:
    """Yields every finished run in a folder of results, in a stable order, except those that a sweep tuned with."""
    for path in sorted((out / "runs").glob("*/*/*/seed-*/result.json"), key=_sort_key):
        if _sort_key(path)[3] < TUNING_SEED:
            yield read_run(path.parent)


def count_trials(out: Path) -> int:
    """Returns the number of finished runs that a sweep, or a choice among learning rates, tuned with."""
    return sum((folder / "result.json").exists() for folder in tuning_folders(out))


def tuning_folders(out: Path) -> Iterator[Path]:
    """Yields the folders of runs, finished or not, that a sweep or a choice among learning rates tunes with."""
    for path in (out / "runs").glob("*/*/*/seed-*/config.yaml"):
        if _sort_key(path)[3] >= TUNING_SEED:
            yield path.parent


def _sort_key(path: Path) -> tuple[str, str, str, int]:
    *_, task, architecture, identity, seed, _ = path.parts
    number = seed.removeprefix("seed-")
    if not number.isdecimal():
        raise UserError(f"{path.parent} is not a run's folder, which would be named seed-<number>; move it away")
    return task, architecture, identity, int(number)

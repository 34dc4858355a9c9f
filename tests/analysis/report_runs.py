"""Run folders with known numbers, as the bench would have written them."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from workbench.config import Budget, Experiment, Numerics, Optimization, Part
from workbench.files import write_json, write_text, write_yaml

TRIVIAL = 1 / 6


def experiment(
    architecture: str = "lstm",
    *,
    task: str = "addition",
    task_options: Mapping[str, Any] | None = None,
    hidden_size: int = 64,
    options: Mapping[str, Any] | None = None,
    seed: int = 0,
    steps: int = 2000,
    **rest: Any,
) -> Experiment:
    """An experiment; `batch_size`, `seconds`, `log_every`, `until` go to its budget, `precision` and
    `draw` to its numerics, all else to its optimisation."""
    budget = {key: rest.pop(key) for key in ("batch_size", "seconds", "log_every", "until") if key in rest}
    numerics = {key: rest.pop(key) for key in ("precision", "draw") if key in rest}
    return Experiment(
        task=Part(name=task, options={"length": 100} if task_options is None else dict(task_options)),
        architecture=Part(name=architecture, options={"hidden_size": hidden_size, **(options or {})}),
        optimization=Optimization(**rest),
        budget=Budget(steps=steps, **budget),
        numerics=Numerics(**numerics),
        seed=seed,
    )


def write_run(
    out: Path,
    made: Experiment,
    *,
    loss: float | None = 0.01,
    accuracy: float | None = None,
    solved_at: int | None = None,
    solved_at_mean50: int | None = None,
    parameters: int = 17_000,
    criterion: str | None = "loss < 0.001",
    losses: Sequence[float] = (0.2, 0.1, 0.05),
    accuracies: Sequence[float] | None = None,
    diverged_at: int | None = None,
    receptive_field: int | None = None,
    steps: int | None = None,
    trivial_loss: float = TRIVIAL,
    time: int = 100,
    timing: Mapping[str, Any] | None = None,
) -> Path:
    """Writes a finished run; with `loss=None`, one that diverged. Returns its folder."""
    slug = "".join(char if char.isalnum() or char in "-_." else "_" for char in made.architecture.name)
    folder = out / "runs" / made.task.name / slug / made.identity / f"seed-{made.seed}"
    folder.mkdir(parents=True)
    write_yaml(folder / "config.yaml", made.to_dict())
    table = {"step": [made.budget.log_every * (index + 1) for index in range(len(losses))], "train/loss": losses}
    metrics: dict[str, Sequence[Any]] = {**table, "val/loss": losses}
    if accuracies is not None:
        metrics |= {"train/accuracy": accuracies, "val/accuracy": accuracies}
    metrics["learning_rate"] = [made.optimization.learning_rate] * len(losses)
    write_text(folder / "metrics.csv", pd.DataFrame(metrics).to_csv(index=False))
    test = None if loss is None else {"loss": loss, **({} if accuracy is None else {"accuracy": accuracy})}
    result = {
        "identity": made.identity,
        "seed": made.seed,
        "status": "diverged" if loss is None else "finished",
        "diverged_at": diverged_at,
        "steps": made.budget.steps if steps is None else steps,
        "parameters": parameters,
        "state_size": 128,
        "receptive_field": receptive_field,
        "time": time,
        "trivial_loss": trivial_loss,
        "criterion": criterion,
        "solved_at": solved_at,
        "solved_at_mean50": solved_at_mean50,
        "test": test,
        "validation": test,
    }
    write_json(folder / "result.json", result)
    default = {"seconds": 10.0, "seconds_per_step": 0.005, "device": "cpu", "threads": 2, "torch": "2.13.0"}
    write_json(folder / "timing.json", {**default, "processor": "some processor", **(timing or {})})
    return folder


def rows_in(path: Path) -> list[dict[str, Any]]:
    """`comparison.csv`, row by row."""
    return json.loads(pd.read_csv(path).to_json(orient="records"))  # type: ignore[no-any-return]

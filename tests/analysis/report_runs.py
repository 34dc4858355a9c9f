"""Run folders with known numbers, in the layout of the workbench."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd

from analysis.grouping import Row, Section, build_sections
from analysis.style import LINE_STYLES
from workbench.config import Budget, Experiment, Numerics, Optimization, Part
from workbench.files import write_json, write_text, write_yaml
from workbench.results import finished_runs

TRIVIAL_LOSS = 1 / 6


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
    """Returns an experiment.

    Of the other keywords, `batch_size`, `seconds`, `log_every` and `until` are set in its budget, `precision` and
    `draw` in its numerics, and all others in its optimisation.
    """
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
    run: Experiment,
    *,
    loss: float | None = 0.01,
    accuracy: float | None = None,
    solved_at: int | None = None,
    solved_at_mean50: int | None = None,
    parameters: int = 17_000,
    state_size: int = 128,
    criterion: str | None = "loss < 0.001",
    losses: Sequence[float] = (0.2, 0.1, 0.05),
    accuracies: Sequence[float] | None = None,
    diverged_at: int | None = None,
    receptive_field: int | None = None,
    steps: int | None = None,
    trivial_loss: float = TRIVIAL_LOSS,
    time: int = 100,
    timing: Mapping[str, Any] | None = None,
) -> Path:
    """Writes a finished run, or with `loss=None` a diverged one, and returns its folder."""
    slug = "".join(char if char.isalnum() or char in "-_." else "_" for char in run.architecture.name)
    folder = out / "runs" / run.task.name / slug / run.identity / f"seed-{run.seed}"
    folder.mkdir(parents=True)
    write_yaml(folder / "config.yaml", run.to_dict())
    table = {"step": [run.budget.log_every * (index + 1) for index in range(len(losses))], "train/loss": losses}
    metrics: dict[str, Sequence[Any]] = {**table, "val/loss": losses}
    if accuracies is not None:
        metrics |= {"train/accuracy": accuracies, "val/accuracy": accuracies}
    metrics["learning_rate"] = [run.optimization.learning_rate] * len(losses)
    write_text(folder / "metrics.csv", pd.DataFrame(metrics).to_csv(index=False))
    test = None if loss is None else {"loss": loss, **({} if accuracy is None else {"accuracy": accuracy})}
    result = {
        "identity": run.identity,
        "seed": run.seed,
        "status": "diverged" if loss is None else "finished",
        "diverged_at": diverged_at,
        "steps": run.budget.steps if steps is None else steps,
        "parameters": parameters,
        "state_size": state_size,
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


def named_row(architecture: str) -> Row:
    """Returns the row of an architecture with one run, of which nothing but its settings is known."""
    runs: Any = (SimpleNamespace(experiment=experiment(architecture)),)
    return Row(label=architecture, line_style=LINE_STYLES[architecture], runs=runs)


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Returns the rows of a CSV file such as `comparison.csv`."""
    return json.loads(pd.read_csv(path).to_json(orient="records"))  # type: ignore[no-any-return]


def compared_section(out: Path, losses: Mapping[str, Sequence[float | None]]) -> Section:
    """Returns a section with a test loss for each seed of each architecture; `None` is a diverged run."""
    for architecture, values in losses.items():
        for seed, loss in enumerate(values):
            write_run(out, experiment(architecture, seed=seed), loss=loss)
    (section,) = build_sections(finished_runs(out))
    return section

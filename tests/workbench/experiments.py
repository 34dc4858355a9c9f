"""Small experiments for tests."""

from pathlib import Path
from typing import Any

import architectures
from workbench import tasks
from workbench.comparison import Comparison
from workbench.config import Budget, Experiment, Optimization
from workbench.results import Run
from workbench.run import run
from workbench.training import SequenceModule, TaskDataModule

TASK_OPTIONS: dict[str, dict[str, Any]] = {
    "multicopy": {"copies": 2},
    "mnist": {"pool": 7},
    "mnist-permuted": {"pool": 7},
    "digits": {},
    "word-problem": {"group": "S3", "length": 8},
    "mqar": {"pairs": 2, "noise": 1, "length": 10},
    "forgetting-recall": {"keys": 2, "length": 12},
    "selective-copy": {"items": 2, "length": 6},
    "agreement": {"attractors": 1, "length": 25},
    "phone": {"length": 2},
    "listops": {"length": 8, "depth": 2},
    "translate": {"length": 3, "words": 4},
    "one-to-many": {},
    "series": {},
    "stills": {"frames": 2, "features": 2, "length": 8},
}
"""Options with which a task is small; for all others it is their length, 8."""


def task_architecture_pairs() -> list[tuple[str, str]]:
    """Returns each architecture with two tasks, and each task with two architectures.

    What goes wrong in training is an architecture's or a task's fault, so that their product would test little more.
    """
    tasks_in_order, names = tasks.names(), architectures.names()
    count = max(len(tasks_in_order), len(names))
    pairs = (
        (tasks_in_order[(index + shift) % len(tasks_in_order)], names[index % len(names)])
        for shift in (0, 3)
        for index in range(count)
    )
    return list(dict.fromkeys(pairs))


def small(
    architecture: str = "gru",
    task: str = "addition",
    *,
    seed: int = 0,
    steps: int = 12,
    log_every: int = 5,
    task_options: dict[str, Any] | None = None,
    architecture_options: dict[str, Any] | None = None,
    **optimization: Any,
) -> Experiment:
    """Returns an experiment that takes a fraction of a second."""
    options = task_options if task_options is not None else ({"length": 8} if task == "addition" else {})
    comparison = Comparison(
        tasks=(task,),
        architectures=(architecture,),
        seeds=seed + 1,
        hidden_size=5,
        task={task: options},
        architecture={architecture: architecture_options or {}},
        optimization=Optimization(**optimization),
        budget=Budget(steps=steps, batch_size=4, log_every=log_every, evaluation_size=10),
    )
    return comparison.experiments()[seed]


def finish(experiment: Experiment, out: Path, **options: Any) -> Run:
    """Runs an experiment to its end."""
    finished = run(experiment, out, **options)
    assert finished is not None
    return finished


def module_and_data(experiment: Experiment) -> tuple[SequenceModule, TaskDataModule]:
    """Returns the module and the data of an experiment, as a run makes them."""
    return SequenceModule.from_experiment(experiment), TaskDataModule.from_experiment(experiment)

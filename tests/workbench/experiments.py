"""Small experiments for tests."""

from pathlib import Path
from typing import Any

from workbench.comparison import Comparison
from workbench.config import Budget, Experiment, Optimization
from workbench.results import Run
from workbench.run import run
from workbench.training import SequenceModule, TaskDataModule


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

"""What is probed: the model of a run, trained or as it was before its first step."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import torch

from architectures.registry import load
from workbench import checkpoints, tasks
from workbench.config import Experiment
from workbench.errors import UserError
from workbench.files import read_yaml
from workbench.model import Model, seeded_model
from workbench.resolve import source, source_changed, user_errors
from workbench.results import Run
from workbench.tasks import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedModel:
    """A model with the task that it is for. It is in evaluation mode, and probes leave it as they found it."""

    experiment: Experiment
    task: Task
    model: Model
    trained: bool
    """Whether the weights are those of a checkpoint, or those before the first step."""
    steps: int = 0
    """Optimiser steps behind the weights."""

    @property
    def name(self) -> str:
        """The architecture's name."""
        return self.experiment.architecture.name

    @property
    def weights(self) -> str:
        """A hash of all weights: the same findings belong to the same hash."""
        hashed = hashlib.sha256()
        for name, value in sorted(self.model.state_dict().items()):
            hashed.update(name.encode())
            hashed.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
        return hashed.hexdigest()[:16]

    def untrained(self) -> "LoadedModel":
        """The same experiment before its first step."""
        return untrained_model(self.experiment)


def untrained_model(experiment: Experiment) -> LoadedModel:
    """An experiment's model, freshly initialised from its seed.

    Raises:
        UserError: if it cannot be built, or its code is no longer that of the experiment.
    """
    task, architecture = experiment.task, experiment.architecture
    with user_errors(f"architecture {architecture.name}"):
        if architecture.source not in (None, source(load(architecture.name), architecture.name)):
            raise UserError(f"the code of {architecture.name} has changed since it was trained; train it as it is now")
    with user_errors(f"task {task.name}"):
        if source_changed(task, tasks.build(task.name, **task.options)):
            raise UserError(
                f"the code or the data of {task.name} has changed since it was trained on; put it back, or train again"
            )
    with user_errors(f"architecture {architecture.name}"):
        built, model = seeded_model(experiment)
    return LoadedModel(experiment=experiment, task=built, model=model.eval(), trained=False)


def model_of_run(run: Run) -> LoadedModel:
    """A finished run's model, as its last step left it.

    Raises:
        UserError: if the run diverged, or the checkpoint of its last step cannot be read.
    """
    if run.diverged:
        raise UserError(describe_unreadable_run(run))
    found = model_of_folder(run.folder)
    if found.steps != run.result["steps"]:
        raise UserError(
            f"{run.folder / checkpoints.LAST} cannot be read, and the one before is of step {found.steps} of "
            f"{run.result['steps']}; move the folder away and train it again"
        )
    return found


def describe_unreadable_run(run: Run) -> str:
    """Why there is nothing to probe in a diverged run."""
    return f"{run.folder} diverged at step {run.result['diverged_at']}: it has no model to probe"


def model_of_folder(folder: Path) -> LoadedModel:
    """The model in a run's folder, finished or not, from its newest checkpoint.

    Raises:
        UserError: if there is no checkpoint that can be read, or it is another experiment's.
    """
    experiment = Experiment.from_dict(read_yaml(folder / "config.yaml"))
    path, _ = checkpoints.newest(folder, experiment.identity)
    if path is None:
        raise UserError(describe_unreadable(folder))
    return model_of_checkpoint(path)


def describe_unreadable(folder: Path) -> str:
    """Why there is nothing to probe in a run whose checkpoints are damaged."""
    return f"{folder} has no checkpoint that can be read; train it again"


def model_of_checkpoint(path: Path) -> LoadedModel:
    """The model in a checkpoint of the run in whose folder it lies.

    Raises:
        UserError: if it cannot be read, or is another experiment's.
    """
    fresh = untrained_model(experiment_of(path))
    # Weights only: loading never executes what a file says.
    found = torch.load(path, map_location="cpu", weights_only=True)
    weights = {
        name.removeprefix("model."): value for name, value in found["state_dict"].items() if name.startswith("model.")
    }
    try:
        fresh.model.load_state_dict(weights)
    except RuntimeError as error:
        raise UserError(f"{path} does not fit {fresh.name}: {str(error).splitlines()[0]}") from None
    steps = int(found["global_step"])
    return LoadedModel(experiment=fresh.experiment, task=fresh.task, model=fresh.model, trained=True, steps=steps)


def experiment_of(checkpoint: Path) -> Experiment:
    """The experiment in whose folder a checkpoint lies.

    Raises:
        UserError: if the file cannot be read, or is another experiment's.
    """
    experiment = Experiment.from_dict(read_yaml(checkpoint.parent / "config.yaml"))
    owner = checkpoints.owner_of(checkpoint)
    if owner != experiment.identity:
        whose = "is damaged, or no checkpoint of this bench" if owner is None else f"belongs to {owner}"
        raise UserError(f"{checkpoint} {whose}; the folder is that of {experiment.identity}")
    return experiment

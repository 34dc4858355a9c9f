"""Loading the models to probe: of a run, of a checkpoint, or as they were before their first step."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import torch

from workbench import checkpoints
from workbench.config import Experiment
from workbench.custom_parts import check_unchanged, user_errors
from workbench.errors import UserError
from workbench.experiment_file import read_experiment
from workbench.model import Model, seeded_model
from workbench.results import Run
from workbench.tasks import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedModel:
    """A model in evaluation mode, with its task. Probes leave it as it is."""

    experiment: Experiment
    task: Task
    model: Model
    trained: bool
    """True if the weights are those of a checkpoint, False if they are those before the first step."""
    steps: int = 0
    """Optimiser steps that the weights have been trained for."""

    @property
    def name(self) -> str:
        """The architecture's name."""
        return self.experiment.architecture.name

    @property
    def weights_hash(self) -> str:
        """A hash of all weights, which tells whether results belong to them."""
        digest = hashlib.sha256()
        for name, value in sorted(self.model.state_dict().items()):
            digest.update(name.encode())
            digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()[:16]

    def untrained(self) -> "LoadedModel":
        """Returns the model of the same experiment before its first step."""
        return untrained_model(self.experiment)


def untrained_model(experiment: Experiment) -> LoadedModel:
    """Returns an experiment's model, freshly initialised from its seed.

    Raises:
        UserError: if it cannot be built, or its code is no longer that of the experiment.
    """
    owner, remedy = "the model", "put it back, or train it again"
    check_unchanged("architecture", experiment.architecture, owner, remedy)
    check_unchanged("task", experiment.task, owner, remedy)
    with user_errors(f"architecture {experiment.architecture.name}"):
        task, model = seeded_model(experiment)
    return LoadedModel(experiment=experiment, task=task, model=model.eval(), trained=False)


def model_of_run(run: Run) -> LoadedModel:
    """Returns a finished run's model after its last step.

    Raises:
        UserError: if the run diverged, or the checkpoint of its last step cannot be read.
    """
    if run.diverged:
        raise UserError(describe_diverged(run))
    loaded = model_of_folder(run.folder)
    if loaded.steps != run.result["steps"]:
        raise UserError(
            f"{run.folder / checkpoints.LAST} cannot be read, and the one before is of step {loaded.steps} of "
            f"{run.result['steps']}; move the folder away and train it again"
        )
    return loaded


def model_of_folder(folder: Path) -> LoadedModel:
    """Returns the model of the newest checkpoint in a run's folder, whether the run is finished or not.

    Raises:
        UserError: if no checkpoint can be read, or it belongs to another experiment.
    """
    experiment = read_experiment(folder / "config.yaml")
    path, _ = checkpoints.find_newest(folder, experiment.identity)
    if path is None:
        raise UserError(describe_unreadable(folder))
    return model_of_checkpoint(path)


def model_of_checkpoint(path: Path) -> LoadedModel:
    """Returns the model of a checkpoint in its run's folder.

    Raises:
        UserError: if it cannot be read, or belongs to another experiment.
    """
    untrained = untrained_model(experiment_of_checkpoint(path))
    # With weights only, loading never executes code from the file.
    checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    prefix = "model."
    weights = {
        name.removeprefix(prefix): value for name, value in checkpoint["state_dict"].items() if name.startswith(prefix)
    }
    try:
        untrained.model.load_state_dict(weights)
    except RuntimeError as error:
        raise UserError(f"{path} does not fit {untrained.name}: {str(error).splitlines()[0]}") from None
    return LoadedModel(
        experiment=untrained.experiment,
        task=untrained.task,
        model=untrained.model,
        trained=True,
        steps=int(checkpoint["global_step"]),
    )


def experiment_of_checkpoint(checkpoint: Path) -> Experiment:
    """Returns the experiment of the folder that a checkpoint lies in.

    Raises:
        UserError: if the file cannot be read, or belongs to another experiment.
    """
    experiment = read_experiment(checkpoint.parent / "config.yaml")
    identity = checkpoints.read_identity(checkpoint)
    if identity != experiment.identity:
        problem = "is damaged, or not a checkpoint of this bench" if identity is None else f"belongs to {identity}"
        raise UserError(f"{checkpoint} {problem}; the folder is that of {experiment.identity}")
    return experiment


def describe_diverged(run: Run) -> str:
    """Returns why a diverged run cannot be probed."""
    return f"{run.folder} diverged at step {run.result['diverged_at']}: it has no model to probe"


def describe_unreadable(folder: Path) -> str:
    """Returns why a run whose checkpoints are all damaged cannot be probed."""
    return f"{folder} has no checkpoint that can be read; train it again"

"""Arguments of a `SequenceModule`: those of an experiment, and those that a checkpoint holds."""

import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch

from workbench.config import Experiment
from workbench.custom_parts import PART_KINDS, is_custom
from workbench.errors import UserError
from workbench.experiment_file import read_experiment


def experiment_arguments(experiment: Experiment) -> dict[str, Any]:
    """Returns the arguments of the module of an experiment."""
    return {
        "architecture": experiment.architecture.name,
        "task": experiment.task.full_name,
        "architecture_options": dict(experiment.architecture.options),
        "task_options": dict(experiment.task.options),
        "embedding_size": experiment.embedding_size,
        **asdict(experiment.optimization),
        "steps": experiment.budget.steps,
        "precision": experiment.numerics.precision,
        "seed": experiment.seed,
    }


def read_arguments(checkpoint_path: Any, named: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the arguments of the module that a checkpoint holds.

    Args:
        checkpoint_path: the file, or a file-like object.
        named: arguments that the caller gives, and whose code may be imported.

    Raises:
        UserError: if there are none, or they name custom code that the caller does not.
    """
    checkpoint = torch.load(checkpoint_path, map_location="cpu", weights_only=True)
    if hasattr(checkpoint_path, "seek"):
        checkpoint_path.seek(0)
    arguments = checkpoint.get(pl.LightningModule.CHECKPOINT_HYPER_PARAMS_KEY)
    if arguments is None:
        config = None if hasattr(checkpoint_path, "seek") else Path(checkpoint_path).parent / "config.yaml"
        if config is not None and config.exists():
            arguments = experiment_arguments(read_experiment(config))
        elif set(PART_KINDS) <= named.keys():
            arguments = {}
        else:
            raise UserError(
                f"{checkpoint_path} does not say what it holds, and no config.yaml lies beside it; name the "
                "architecture and the task: load_from_checkpoint(path, architecture=..., task=...)"
            )
    for kind in PART_KINDS:
        name = str(arguments.get(kind, ""))
        if kind not in named and is_custom(name) and not is_imported(name):
            raise UserError(
                f"the {kind} of {checkpoint_path} is {name}, code that a file alone does not import; name it: "
                f"load_from_checkpoint(path, {kind}={name!r})"
            )
    return dict(arguments)


def is_imported(name: str) -> bool:
    """Returns whether the module of a dotted path has been imported already."""
    return name.partition(":")[0] in sys.modules

"""`workbench train`: one architecture on one task."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from workbench.cli.execution import execute
from workbench.cli.options import RunOptions, split_list
from workbench.cli.output import run_summary, warn
from workbench.cli.parser import Options, Parser, chosen_values
from workbench.cli.wandb_mirror import publish
from workbench.comparison import Comparison
from workbench.config import TUNING_SEED, Budget, Experiment, Numerics, Optimization
from workbench.errors import UserError
from workbench.resolve import warnings
from workbench.validation import check_int

DESCRIPTION = """Train one architecture on one task with one seed.

The result is the same as within a comparison, and is kept in the same place: OUT/runs/<task>/<architecture>/<hash>/
seed-<n>. A finished run is read, an interrupted one goes on."""

EXAMPLES = """examples:
  workbench train --task digits --architecture gru --out results
  workbench train --task addition --task.addition.length 200 --architecture rda --architecture.rda.attention softplus \\
      --steps 5000 --seed 3 --out results
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainOptions:
    """What to train.

    Args:
        task: a name, or package.module:Class for one of your own.
        architecture: a name, or package.module:Class for one of your own.
        seed: of the initial weights and of the training data.
        hidden_size: units, unless the architecture's own options say otherwise.
        embedding_size: learned vectors of this size for tasks of symbols; by default symbols are one-hot.
    """

    task: str
    architecture: str
    seed: int = 0
    hidden_size: int = 64
    embedding_size: int | None = None


def main(given: list[str]) -> int:
    """Runs the command; returns the exit status."""
    values, parts = chosen_values(parser(), given)
    settings, values = split_list(values)
    experiment = experiment_of(values, parts)
    for line in warnings(experiment):
        warn(f"warning: {line}")
    finished, status = execute([experiment], settings)
    for run in finished:
        print(f"{run.folder}: {run_summary(run)}")
    if finished:
        publish(settings)
    return status


def experiment_of(values: Mapping[str, Any], parts: Mapping[str, Options]) -> Experiment:
    """The one experiment that the command's values describe.

    Raises:
        UserError: if a name or an option is unknown or missing, or a value cannot be.
    """
    rest = dict(values)
    seed = rest.pop("seed")
    # From there on they are a sweep's.
    check_int("seed", seed, least=0, most=TUNING_SEED - 1)
    for kind in ("task", "architecture"):
        name = rest[kind]
        if not name:
            raise UserError(f"name the {kind}: --{kind} NAME (workbench list shows them)")
        rest |= {f"{kind}s": [name], kind: parts.get(kind, {})}
    comparison = Comparison.from_dict({key: value for key, value in rest.items() if value is not None})
    return replace(comparison.experiments()[0], seed=seed)


def parser() -> Parser:
    """The command's options."""
    made = Parser(prog="workbench train", description=DESCRIPTION, examples=EXAMPLES)
    made.add_fields(TrainOptions, "what to train")
    made.add_fields(Budget, "what it may use")
    made.add_fields(Optimization, "how it is trained")
    made.add_fields(Numerics, "how it is computed")
    made.add_fields(RunOptions, "where", skip=("workers",))
    made.add_data_dir()
    return made

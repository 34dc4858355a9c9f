"""`workbench train`: one architecture on one task."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from workbench.cli.data_lines import tell_about_data
from workbench.cli.execution import execute
from workbench.cli.habits import check_task_names
from workbench.cli.options import RunOptions, check_required, take_options
from workbench.cli.output import run_summary, warn
from workbench.cli.parser import NamedOptions, Parser, parse_arguments
from workbench.cli.wandb_mirror import publish
from workbench.comparison import Comparison
from workbench.config import TUNING_SEED, Budget, Experiment, Numerics, Optimization
from workbench.custom_parts import PART_KINDS
from workbench.resolve import find_warnings
from workbench.validation import check_int

DESCRIPTION = """Train one architecture on one task with one seed.

The result is the same as within a comparison, and is kept in the same place: OUT/runs/<task>/<architecture>/<hash>/
seed-<n>. A finished run is read, an interrupted one is resumed."""

EXAMPLES = """examples:
  workbench train --task digits --architecture gru --out results
  workbench train --task digits --architecture gru --logger csv,tensorboard --out results
  workbench train --task addition --task.addition.length 200 --architecture rda --architecture.rda.attention softplus \\
      --steps 5000 --seed 3 --out results
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainOptions:
    """The experiment to train.

    Args:
        task: a name, or file:PATH for a file of yours, or package.module:Class for a custom task.
        architecture: a name, or package.module:Class for a custom architecture.
        seed: of the initial weights and of the training data.
        hidden_size: units, unless the architecture's own options say otherwise.
        embedding_size: learned vectors of this size for tasks of symbols; by default symbols are one-hot.
    """

    task: str
    architecture: str
    seed: int = 0
    hidden_size: int = 64
    embedding_size: int | None = None


def main(arguments: list[str]) -> int:
    """Runs the command; returns the exit status."""
    values, named_options = parse_arguments(build_parser(), arguments)
    check_required(values, *PART_KINDS, "out")
    check_task_names(values["task"], "--task")
    options = take_options(RunOptions, values)
    experiment = build_experiment(values, named_options)
    for line in find_warnings(experiment):
        warn(f"warning: {line}")
    tell_about_data([experiment], options.folder)
    finished, status = execute([experiment], options)
    for run in finished:
        print(f"{run.folder}: {run_summary(run)}")
    if finished:
        publish(options)
    return status


def build_experiment(values: Mapping[str, Any], named_options: Mapping[str, NamedOptions]) -> Experiment:
    """Returns the experiment that the values of the command describe.

    Args:
        values: the fields of `TrainOptions`, `Budget`, `Optimization` and `Numerics`, by name.
        named_options: options of the task and of the architecture, by kind and name.

    Raises:
        UserError: if a name or an option is unknown or missing, or a value is invalid.
    """
    rest = dict(values)
    seed = rest.pop("seed")
    # Seeds from there on belong to sweeps.
    check_int("seed", seed, least=0, most=TUNING_SEED - 1)
    for kind in PART_KINDS:
        rest |= {f"{kind}s": [rest[kind]], kind: named_options.get(kind, {})}
    comparison = Comparison.from_dict({key: value for key, value in rest.items() if value is not None})
    return comparison.experiments()[0].with_seed(seed)


def build_parser() -> Parser:
    """Returns the parser of the command."""
    parser = Parser(prog="workbench train", description=DESCRIPTION, examples=EXAMPLES)
    parser.add_fields(TrainOptions, "what to train")
    parser.add_fields(Budget, "what it may use")
    parser.add_fields(Optimization, "how it is trained")
    parser.add_fields(Numerics, "how it is computed")
    parser.add_fields(RunOptions, "where", skip=("workers", "seeds_at_once"))
    parser.add_data_dir()
    return parser

"""`workbench compare`: architectures on tasks, with several seeds, and a report."""

import re
from argparse import SUPPRESS
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from workbench.cli.execution import execute
from workbench.cli.options import RunOptions, split_list
from workbench.cli.output import warn
from workbench.cli.parser import Parser, chosen_values, merge_parts
from workbench.cli.wandb_mirror import publish
from workbench.comparison import Comparison
from workbench.config import Budget, Numerics, Optimization
from workbench.errors import UserError
from workbench.files import read_yaml, write_yaml
from workbench.resolve import warnings

DESCRIPTION = """Train every architecture on every task under the same rules, and write a report.

The same data in the same order, the same budget, several seeds; what is finished in OUT is read, not repeated, and an
interrupted comparison goes on where it was. Options of one task or architecture are given by its name
(workbench list shows them): --task.addition.length 200, --architecture.tcn.kernel_size 5."""

EXAMPLES = """examples:
  workbench compare --tasks digits,addition --architectures lstm,rda-exp-tanh --out results
  workbench compare --tasks addition --task.addition.length 200 --architectures rnn,lstm,gru,rwa,tcn \\
      --match parameters --seeds 5 --steps 5000 --workers 2 --out results
  workbench compare --config results/comparison.yaml --seeds 10 --out results
"""


def main(given: list[str]) -> int:
    """Runs the command; returns the exit status."""
    values, parts = chosen_values(parser(), given)
    settings, values = split_list(values)
    del values["config"]
    for kind in ("task", "architecture"):
        values[kind] = merge_parts(kind, values[kind], parts.get(kind, {}))
    comparison = Comparison.from_dict({key: value for key, value in values.items() if value is not None})
    experiments = comparison.experiments()
    for line in dict.fromkeys(line for experiment in experiments for line in warnings(experiment)):
        warn(f"warning: {line}")
    out = settings.folder
    finished, status = execute(experiments, settings, begin=lambda: keep_earlier(out, comparison))
    if finished:
        from analysis.report.build import write

        print(write(out))
        if status != 130:
            publish(settings)
    return status


def parser() -> Parser:
    """The command's options."""
    made = Parser(prog="workbench compare", description=DESCRIPTION, examples=EXAMPLES)
    made.add_argument("--config", action="config", help="a YAML file with any of these options; flags override it")
    made.add_fields(Comparison, "what to compare")
    made.add_fields(Budget, "what a run may use")
    made.add_fields(Optimization, "how it is trained")
    made.add_fields(Numerics, "how it is computed")
    made.add_fields(RunOptions, "where")
    for kind in ("task", "architecture"):
        made.add_argument(f"--{kind}", type=dict, default={}, help=SUPPRESS)
    made.add_data_dir()
    return made


COMPARISON_FILE = "comparison.yaml"
EARLIER_FILE = re.compile(r"comparison-(\d+)\.yaml")


def keep_earlier(out: Path, comparison: Comparison) -> None:
    """Writes what is asked for to `out/comparison.yaml`. Another comparison that is there becomes `comparison-1.yaml`,
    or has the next number that is free; with more or fewer seeds it is the same one."""
    path, asked = out / COMPARISON_FILE, comparison.to_dict()
    if path.exists() and (last := read_earlier(path)) != comparison_text(asked):
        earlier = {int(found[1]): each for each in out.iterdir() if (found := EARLIER_FILE.fullmatch(each.name))}
        if last is None or last not in map(read_earlier, earlier.values()):
            path.rename(out / f"comparison-{max(earlier, default=0) + 1}.yaml")
    write_yaml(path, asked)


def read_earlier(path: Path) -> str | None:
    """What a file asks for; `None` where it cannot be read."""
    try:
        return comparison_text(read_yaml(path))
    except UserError:
        return None


def comparison_text(asked: Mapping[str, Any]) -> str:
    """What is the same for the same comparison, whatever the number of its seeds."""
    return yaml.safe_dump({**asked, "seeds": None})

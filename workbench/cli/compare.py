"""`workbench compare`: architectures on tasks, with several seeds, and a report."""

from argparse import SUPPRESS

from workbench.cli.asked_before import keep
from workbench.cli.complain import complain
from workbench.cli.execute import execute
from workbench.cli.mirrored import publish
from workbench.cli.parser import Parser, chosen, merged
from workbench.cli.settings import Settings, split
from workbench.comparison import Comparison
from workbench.config import Budget, Numerics, Optimization
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
    values, parts = chosen(parser(), given)
    settings, values = split(values)
    del values["config"]
    for kind in ("task", "architecture"):
        values[kind] = merged(kind, values[kind], parts.get(kind, {}))
    comparison = Comparison.from_dict({key: value for key, value in values.items() if value is not None})
    experiments = comparison.experiments()
    for line in dict.fromkeys(line for experiment in experiments for line in warnings(experiment)):
        complain(f"warning: {line}")
    out = settings.folder
    finished, status = execute(experiments, settings, begin=lambda: keep(out, comparison))
    if finished:
        from analysis.report import write

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
    made.add_fields(Settings, "where")
    for kind in ("task", "architecture"):
        made.add_argument(f"--{kind}", type=dict, default={}, help=SUPPRESS)
    made.add_data_dir()
    return made

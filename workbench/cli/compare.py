"""`workbench compare`: architectures on tasks, with several seeds, and a report."""

from argparse import SUPPRESS

from workbench.cli.config_files import dropped_names, merge_options
from workbench.cli.data_lines import tell_about_data
from workbench.cli.execution import INTERRUPTED, execute
from workbench.cli.habits import check_task_names
from workbench.cli.launching import LaunchOptions, print_batch_file, remote_pool
from workbench.cli.options import RunOptions, check_required, take_options
from workbench.cli.output import warn
from workbench.cli.parser import Parser, parse_arguments
from workbench.cli.wandb_mirror import publish
from workbench.comparison import Comparison
from workbench.comparison_file import write_comparison
from workbench.config import Budget, Numerics, Optimization
from workbench.custom_parts import PART_KINDS
from workbench.resolve import find_all_warnings

DESCRIPTION = """Train every architecture on every task under the same rules, and write a report.

The same data in the same order, the same budget, several seeds; finished runs in OUT are read, not repeated, and an
interrupted comparison is resumed. Options of one task or architecture are given by its name (workbench list shows
them): --task.addition.length 200, --architecture.tcn.kernel_size 5."""

EXAMPLES = """examples:
  workbench compare --tasks digits,addition --architectures lstm,rda-exp-tanh --out results
  workbench compare --tasks addition --task.addition.length 200 --architectures rnn,lstm,gru,rwa,tcn \\
      --match parameters --seeds 5 --steps 5000 --workers 2 --out results
  workbench compare --config results/comparison.yaml --seeds 10 --out results
  workbench compare --tasks addition --architectures lstm,gru --logger tensorboard,wandb --out results
"""


def main(arguments: list[str]) -> int:
    """Runs the command; returns the exit status."""
    values, named_options = parse_arguments(build_parser(), arguments)
    check_required(values, "tasks", "architectures", "out")
    check_task_names(values["tasks"], "--tasks")
    options, launch = take_options(RunOptions, values), take_options(LaunchOptions, values)
    dropped = {kind: dropped_names(kind, values) for kind in PART_KINDS}
    del values["config"]
    for kind in PART_KINDS:
        values[kind] = merge_options(kind, values[kind], named_options.get(kind, {}), dropped[kind])
    comparison = Comparison.from_dict({key: value for key, value in values.items() if value is not None})
    from analysis.plans import describe_plan

    experiments = comparison.experiments()
    for line in find_all_warnings(experiments):
        warn(f"warning: {line}")
    tell_about_data(experiments, options.folder)
    out, array = options.folder, launch.own_array("compare", arguments, options)
    if launch.launcher == "print":
        return print_batch_file(array)
    with remote_pool(launch, array, out) as remote:
        finished, status = execute(
            experiments,
            options,
            on_start=lambda: write_comparison(out, comparison, experiments),
            plan=describe_plan(comparison),
            remote=remote,
        )
    if finished:
        from analysis.report.build import write_report

        print(write_report(out, shared=True))
        if status != INTERRUPTED:
            publish(options)
    return status


def build_parser() -> Parser:
    """Returns the parser of the command."""
    parser = Parser(prog="workbench compare", description=DESCRIPTION, examples=EXAMPLES)
    parser.add_argument("--config", action="config", help="a YAML file with any of these options; flags override it")
    parser.add_fields(Comparison, "what to compare")
    parser.add_fields(Budget, "what a run may use")
    parser.add_fields(Optimization, "how it is trained")
    parser.add_fields(Numerics, "how it is computed")
    parser.add_fields(RunOptions, "where")
    parser.add_fields(LaunchOptions, "by which processes")
    for kind in PART_KINDS:
        parser.add_argument(f"--{kind}", type=dict, default={}, help=SUPPRESS)
    parser.add_data_dir()
    return parser

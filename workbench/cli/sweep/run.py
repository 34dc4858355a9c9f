"""`workbench sweep run`: tunes, trains the winners again, and writes the report."""

from argparse import SUPPRESS
from pathlib import Path

from workbench.cli.config_files import dropped_names, merge_options
from workbench.cli.data_lines import tell_about_data
from workbench.cli.habits import check_task_names
from workbench.cli.launching import LauncherName, LaunchOptions, launched_jobs
from workbench.cli.options import RunOptions, check_required, take_options
from workbench.cli.output import warn
from workbench.cli.parser import Parser, parse_arguments
from workbench.cli.sweep.method_options import (
    METHOD_FIELDS,
    METHOD_OPTIONS,
    add_method_options,
    merge_method_options,
    split_method_options,
)
from workbench.cli.sweep.storage_options import StorageOptions
from workbench.config import Budget, Numerics, Optimization
from workbench.custom_parts import PART_KINDS
from workbench.resolve import find_all_warnings
from workbench.run_folder import sweep_lock

DESCRIPTION = """Tune every architecture on every task with the same number of trials, on the validation set alone; then
train each winner, and each default configuration, on fresh seeds, test them, and write the report.

Trials are kept in a store that workers share; what you enqueue there with Optuna runs first and counts. A trial whose
process is killed is tried again with its parameters and resumed from its checkpoint; the same command resumes an
interrupted sweep, and with more --trials it asks for more.
The search space is each architecture's default space, changed or narrowed with --space.ARCHITECTURE.PARAMETER, or for
all of them with --space.all.PARAMETER: a range, a list of choices, one fixed value, or null to leave it alone."""

EXAMPLES = """examples:
  workbench sweep run --tasks addition --architectures lstm,gru,rda,tcn,han --trials 40 --steps 2000 --out tuned
  workbench sweep run --tasks digits --architectures lstm,rda --match parameters --parameters 50000 \\
      --space.all.learning_rate '{low: 0.0003, high: 0.003}' --space.rda.attention '[exp, sigmoid]' --out tuned
  workbench sweep run --tasks digits --architectures lstm,gru --metric val/accuracy \\
      --sampler optuna.samplers.CmaEsSampler --sampler_options.n_startup_trials 5 --out tuned
  workbench sweep run --config tuned/sweep.yaml --trials 60 --out tuned
  workbench sweep run --tasks addition --architectures lstm,gru --storage postgresql+psycopg://me@host/sweeps \\
      --launcher slurm --job-count 16 --workers 2 --out shared-folder
"""

LAUNCHER_HELP = (
    "where the workers are. local: processes on this machine; ray, slurm: in jobs on a Ray cluster or of SLURM, each "
    "with --workers of them, by default one; print: the command line that starts a worker, for whatever else there is "
    "(ssh, another batch system), whose work is waited for"
)
SPACE = "space"
"""The further kind of named options that a sweep has: --space.ARCHITECTURE.PARAMETER."""


def main(arguments: list[str]) -> int:
    """Runs the command; returns the exit status."""
    from sweeps.sweep import Sweep

    arguments, method_options = split_method_options(arguments)
    values, named_options = parse_arguments(build_parser(), arguments, (*PART_KINDS, SPACE))
    check_required(values, "tasks", "architectures", "out")
    check_task_names(values["tasks"], "--tasks")
    run_options = take_options(RunOptions, values)
    storage_options, launch = take_options(StorageOptions, values), take_options(LaunchOptions, values)
    dropped: dict[str, set[str]] = {kind: dropped_names(kind, values) for kind in PART_KINDS}
    dropped[SPACE] = dropped["architecture"]
    del values["config"]
    for kind in (*PART_KINDS, SPACE):
        values[kind] = merge_options(kind, values[kind], named_options.get(kind, {}), dropped[kind])
    for key in METHOD_OPTIONS:
        values[key] = merge_method_options(values[key], method_options.get(key, {}))
    sweep = Sweep.from_dict({key: value for key, value in values.items() if value is not None})
    specs = sweep.specs()
    for spec in specs:
        spec.check()
    for line in find_all_warnings(spec.experiment({}, 0) for spec in specs):
        warn(f"warning: {line}")
    tell_about_data([spec.experiment({}, 0) for spec in specs], Path(run_options.out))

    # Imported only now, as it takes seconds: a mistake is answered at once.
    from workbench.cli.sweep.tune import check_surroundings, tune, worker_array

    # Before the folder is made.
    check_surroundings(run_options, storage_options, launch.launcher)
    out, names = Path(run_options.out), [spec.name for spec in specs]
    array = worker_array(launch, run_options, storage_options, names, sweep.seeds)
    with launched_jobs(launch, array, out) as jobs, sweep_lock(out):
        return tune(sweep, specs, run_options, storage_options, launch.launcher, jobs)


def build_parser() -> Parser:
    """Returns the parser of the command."""
    from sweeps.sweep import Sweep

    parser = Parser(prog="workbench sweep run", description=DESCRIPTION, examples=EXAMPLES)
    parser.add_argument("--config", action="config", help="a YAML file with any of these options; flags override it")
    parser.add_fields(Sweep, "what to tune", skip=METHOD_FIELDS)
    add_method_options(parser)
    parser.add_fields(Budget, "what a run may use")
    parser.add_fields(Optimization, "how it is trained where that is not searched")
    parser.add_fields(Numerics, "how it is computed")
    parser.add_fields(RunOptions, "where", skip=("seeds_at_once",))
    parser.add_fields(StorageOptions, "where trials are kept")
    parser.add_argument("--launcher", type=LauncherName, default="local", help=LAUNCHER_HELP)
    parser.add_fields(LaunchOptions, "how jobs are started", skip=("launcher",))
    for kind in (*PART_KINDS, SPACE):
        parser.add_argument(f"--{kind}", type=dict, default={}, help=SUPPRESS)
    parser.add_data_dir()
    return parser

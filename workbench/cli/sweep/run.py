"""`workbench sweep run`: tunes, trains the winners anew, reports."""

from argparse import SUPPRESS
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from sweeps.sweep import Sweep
from workbench.cli.options import RunOptions, split_list
from workbench.cli.output import warn
from workbench.cli.parser import PART_KINDS, Parser, chosen_values, merge_parts
from workbench.cli.sweep.storage_options import StorageOptions
from workbench.config import Budget, Numerics, Optimization
from workbench.errors import UserError
from workbench.resolve import warnings
from workbench.run_folder import exclusive
from workbench.validation import check_choice

DESCRIPTION = """Tune every architecture on every task with the same number of trials, on the validation set alone; then
train each winner, and each default configuration, on fresh seeds, test them, and write the report.

Trials are kept in a store that workers share. A trial whose process is killed is tried again with its parameters and
goes on from its checkpoint; the same command goes on with an interrupted sweep, with more --trials it asks for more.
What may be chosen is each architecture's default space, changed or narrowed with --space.ARCHITECTURE.PARAMETER, or for
all of them with --space.all.PARAMETER: a range, a list of choices, one fixed value, or null to leave it alone."""

EXAMPLES = """examples:
  workbench sweep run --tasks addition --architectures lstm,gru,rda,tcn,han --trials 40 --steps 2000 --out tuned
  workbench sweep run --tasks digits --architectures lstm,rda --match parameters --parameters 50000 \\
      --space.all.learning_rate '{low: 0.0003, high: 0.003}' --space.rda.attention '[exp, sigmoid]' --out tuned
  workbench sweep run --config tuned/sweep.yaml --trials 60 --out tuned
  workbench sweep run --tasks addition --architectures lstm,gru --storage postgresql+psycopg://me@host/sweeps \\
      --launcher print --out shared-folder
"""

Launcher = Literal["local", "ray", "print"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchOptions:
    """Who does the work.

    Args:
        launcher: local: processes on this machine; ray: workers on a Ray cluster; print: the command line that starts a
            worker, for whatever else there is (a SLURM array, ssh), whose work is waited for.
        ray_address: of a running Ray cluster; by default one is started on this machine.
    """

    launcher: Launcher = "local"
    ray_address: str | None = None

    def __post_init__(self) -> None:
        check_choice("launcher", self.launcher, Launcher)
        if self.ray_address is not None and self.launcher != "ray":
            raise UserError("ray_address is given, but the launcher is not ray; add --launcher ray")


def main(given: list[str]) -> int:
    """Runs the command; returns the exit status."""
    values, parts = chosen_values(parser(), given, (*PART_KINDS, "space"))
    settings, values = split_list(values)
    store, launch = (
        StorageOptions(**check_launcher_options(StorageOptions, values)),
        LaunchOptions(**check_launcher_options(LaunchOptions, values)),
    )
    del values["config"]
    for kind in (*PART_KINDS, "space"):
        values[kind] = merge_parts(kind, values[kind], parts.get(kind, {}))
    sweep = Sweep.from_dict({key: value for key, value in values.items() if value is not None})
    specs = sweep.specs()
    for spec in specs:
        spec.check()
    for line in dict.fromkeys(line for spec in specs for line in warnings(spec.experiment({}, 0))):
        warn(f"warning: {line}")

    # Only now, as it takes seconds: a mistake is answered at once.
    from workbench.cli.sweep.tune import tune

    with exclusive(Path(settings.out)):
        return tune(sweep, specs, settings, store, launch.launcher, launch.ray_address)


def check_launcher_options(kind: type, values: dict[str, Any]) -> dict[str, Any]:
    """Takes the fields of a dataclass out of a command's values."""
    return {item.name: values.pop(item.name) for item in fields(kind) if item.name in values}


def parser() -> Parser:
    """The command's options."""
    made = Parser(prog="workbench sweep run", description=DESCRIPTION, examples=EXAMPLES)
    made.add_argument("--config", action="config", help="a YAML file with any of these options; flags override it")
    made.add_fields(Sweep, "what to tune")
    made.add_fields(Budget, "what a run may use")
    made.add_fields(Optimization, "how it is trained where that is not searched")
    made.add_fields(Numerics, "how it is computed")
    made.add_fields(RunOptions, "where")
    made.add_fields(StorageOptions, "where trials are kept")
    made.add_fields(LaunchOptions, "who does the work")
    for kind in (*PART_KINDS, "space"):
        made.add_argument(f"--{kind}", type=dict, default={}, help=SUPPRESS)
    made.add_data_dir()
    return made

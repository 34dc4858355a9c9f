"""`workbench sweep`: runs the subcommand that is named."""

import importlib
from importlib.util import find_spec

from architectures.suggest import did_you_mean
from workbench.errors import UserError

COMMANDS = {
    "run": "tune every architecture on every task, train the winners again, and write the report",
    "worker": "join a sweep from any machine",
    "status": "progress of a sweep",
    "best": "the winners so far, as options and as YAML files",
    "report": "write the report of the trials so far",
    "dashboard": "the trials in a browser, by optuna-dashboard",
}

HELP = """usage: workbench sweep COMMAND [options]

Tune architectures with the same number of trials each, on the validation set alone, and compare the winners.

commands:
{commands}

workbench sweep COMMAND --help shows the options of a command.

examples:
  workbench sweep run --tasks addition --architectures lstm,gru,rda --trials 40 --steps 2000 --out tuned
  workbench sweep status tuned
  workbench sweep best tuned
"""


def main(arguments: list[str]) -> int:
    """Runs the command; returns the exit status."""
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(HELP.format(commands="\n".join(f"  {name:<10}{text}" for name, text in COMMANDS.items())), end="")
        return 0 if arguments else 2
    name = arguments[0]
    if name not in COMMANDS:
        raise UserError(f"unknown command 'sweep {name}'{did_you_mean(name, COMMANDS)}")
    if find_spec("optuna") is None:
        raise UserError("sweeps need Optuna: pip install 'sequence-workbench[sweeps]'")
    status: int = importlib.import_module(f"workbench.cli.sweep.{name}").main(arguments[1:])
    return status

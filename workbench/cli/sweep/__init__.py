"""`workbench sweep`: finds its commands."""

import importlib
from importlib.util import find_spec

from architectures.suggest import did_you_mean
from workbench.errors import UserError

COMMANDS = {
    "run": "tune every architecture on every task, train the winners anew, and write the report",
    "worker": "join a sweep from any machine",
    "status": "how far a sweep has come",
    "best": "what was found, as options and as a YAML file",
    "report": "the report of what has been found so far",
    "dashboard": "the trials in a browser, by optuna-dashboard",
}

HELP = """usage: workbench sweep COMMAND [options]

Tune architectures with the same number of trials each, on the validation set alone, and compare the winners.

commands:
{commands}

Each command explains itself: workbench sweep COMMAND --help

examples:
  workbench sweep run --tasks addition --architectures lstm,gru,rda --trials 40 --steps 2000 --out tuned
  workbench sweep status tuned
  workbench sweep best tuned
"""


def main(given: list[str]) -> int:
    """Runs the command; returns the exit status."""
    if not given or given[0] in ("-h", "--help", "help"):
        print(HELP.format(commands="\n".join(f"  {name:<10}{text}" for name, text in COMMANDS.items())), end="")
        return 0 if given else 2
    name = given[0]
    if name not in COMMANDS:
        raise UserError(f"unknown command 'sweep {name}'{did_you_mean(name, COMMANDS)}")
    if find_spec("optuna") is None:
        raise UserError("sweeps need Optuna: pip install 'sequence-workbench[sweeps]'")
    status: int = importlib.import_module(f"workbench.cli.sweep.{name}").main(given[1:])
    return status

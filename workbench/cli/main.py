"""The command line's ground floor: finds the command, and turns a user's mistake into one line."""

import importlib
import os
import sys

COMMANDS = {
    "list": ("workbench.cli.list", "architectures and tasks, and their options"),
    "train": ("workbench.cli.train", "one architecture on one task"),
    "compare": ("workbench.cli.compare", "architectures on tasks, with several seeds, and a report"),
    "sweep": ("workbench.cli.sweep", "architectures tuned with as many trials each, on one machine or many"),
    "reproduce": ("workbench.cli.reproduce", "a table of a paper, trained in its setting, with our columns beside it"),
    "analyze": ("workbench.cli.analyze", "why: how far back models remember, and what they forget"),
    "profile": ("workbench.cli.profile", "what a step of each architecture costs on this machine"),
    "sync": ("workbench.cli.sync", "what has been run, sent to a W&B account"),
    "dashboard": ("workbench.cli.dashboard", "the W&B workspace of what has been run, as a file or in W&B"),
    "view": ("workbench.cli.view", "report, progress and trials in a browser, served here"),
    "report": ("workbench.cli.report", "the report of what has been run, made again"),
}

HELP = """usage: workbench COMMAND [options]

A comparative workbench for sequence architectures: which one remembers, how far back, and at what cost.

commands:
{commands}

Each command explains itself: workbench COMMAND --help

examples:
  workbench list
  workbench compare --tasks digits,addition --architectures lstm,rda-exp-tanh,tcn --out results
  workbench report results
"""


def main(arguments: list[str] | None = None) -> int:
    """Runs a command and returns the exit status: 0 done, 1 a run failed, 2 the user's mistake, 3 the time was
    up before all was done, 130 interrupted."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(HELP.format(commands="\n".join(f"  {name:<11}{text}" for name, (_, text) in COMMANDS.items())), end="")
        return 0 if arguments else 2
    from workbench.errors import UserError

    try:
        name = arguments[0]
        if name not in COMMANDS:
            from architectures.suggest import did_you_mean

            raise UserError(f"unknown command {name!r}{did_you_mean(name, COMMANDS)}")
        # A module of the user's own is looked for where the user is, behind everything installed: also behind this
        # project, which is found by other means than the path where it is installed to be worked on.
        root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
        sys.path += [path for path in (root, os.getcwd()) if path not in sys.path]
        status: int = importlib.import_module(COMMANDS[name][0]).main(arguments[1:])
        return status
    except UserError as error:
        print(f"workbench: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("workbench: interrupted", file=sys.stderr)
        return 130
    except OSError as error:
        if not isinstance(error, BrokenPipeError):
            print(f"workbench: {error}; free the way, then run the same command again", file=sys.stderr)
            return 2
        # Whoever read our output has gone; Python must not try to flush it once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


if __name__ == "__main__":
    sys.exit(main())

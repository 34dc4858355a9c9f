"""Entry point of the command line: runs the command that is named, and prints a user's mistake as one line."""

import importlib
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

COMMANDS = {
    "list": ("workbench.cli.list", "architectures and tasks, and their options"),
    "train": ("workbench.cli.train", "one architecture on one task"),
    "demo": ("workbench.cli.demo", "six architectures on five tasks in some minutes, and the report"),
    "compare": ("workbench.cli.compare", "architectures on tasks, with several seeds, and a report"),
    "suite": ("workbench.cli.suite", "what architectures can hold, forget, track and find, and a square that says it"),
    "sweep": ("workbench.cli.sweep", "architectures tuned with as many trials each, on one machine or many"),
    "reproduce": ("workbench.cli.reproduce", "a table of a paper, trained in its setting, with our columns beside it"),
    "analyze": ("workbench.cli.analyze", "how far back models remember, why, and what they forget"),
    "profile": ("workbench.cli.profile", "the cost of a step of each architecture on this machine"),
    "sync": ("workbench.cli.sync", "send results to a W&B account"),
    "dashboard": ("workbench.cli.dashboard", "the W&B workspace of the results, as a file or in W&B"),
    "status": ("workbench.cli.status", "how many runs have finished, are under way, have failed, and what is left"),
    "view": ("workbench.cli.view", "report, progress and trials in a browser, served here"),
    "report": ("workbench.cli.report", "write the report of the results again"),
    "export": ("workbench.cli.export", "pack results into one file, to carry them to another machine"),
    "import": ("workbench.cli.import_archive", "unpack such a file, and merge it into a folder of results"),
    "rm": ("workbench.cli.rm", "remove runs from the results"),
    "completion": ("workbench.cli.completion", "a script for bash, zsh or tcsh that completes what is typed"),
}

HELP = """usage: workbench COMMAND [options]

A comparative workbench for sequence architectures: which one remembers, how far back, and at what cost.

commands:
{commands}

options:
  -h, --help     show this help; workbench COMMAND --help shows that of a command
  --version      show the version

examples:
  workbench demo
  workbench list
  workbench compare --tasks digits,addition --architectures lstm,rda-exp-tanh,tcn --out results
  workbench report results
"""


PRINTING = frozenset({"list", "profile", "completion", "status", "sweep status", "sweep best"})
"""Commands whose output is their result."""
SHOWING = frozenset({"-h", "--help", "--dry-run"})
"""Options with which any command only shows something."""
BACKEND_VARIABLE = "MPLBACKEND"
"""The environment variable that names matplotlib's backend."""


def main(arguments: list[str] | None = None) -> int:
    """Runs a command.

    Args:
        arguments: the command and its arguments; by default those of this process.

    Returns:
        The exit status: 0 done, 1 a run failed, 2 the user's mistake, 3 the time was up before all was done,
        130 interrupted.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    from workbench.cli.streams import lasting_streams

    with lasting_streams() as output, drawing_into_files():
        try:
            status = answer(arguments)
        except SystemExit as end:
            # As jsonargparse ends after --help.
            output.flush()
            if end.code or output.failure is None:
                raise
            status = 0
        output.flush()
        if output.failure is not None and status == 0 and prints_result(arguments):
            print(f"workbench: the output could not be written: {output.failure}", file=sys.stderr)
            status = 1
    return status


def prints_result(arguments: Sequence[str]) -> bool:
    """Returns whether what a command prints is all that it is for; the results of others are in files."""
    name = " ".join(arguments[:2]) if arguments[:1] == ["sweep"] else "".join(arguments[:1])
    return name.partition(" ")[0] not in COMMANDS or name in PRINTING or bool(SHOWING & {*arguments})


@contextmanager
def drawing_into_files() -> Iterator[None]:
    """Lets matplotlib draw into files, as all commands do.

    The environment of a notebook names a backend for cells, which may not even be installed here.
    """
    before = os.environ.get(BACKEND_VARIABLE)
    os.environ[BACKEND_VARIABLE] = "agg"
    try:
        yield
    finally:
        if before is None:
            del os.environ[BACKEND_VARIABLE]
        else:
            os.environ[BACKEND_VARIABLE] = before


def answer(arguments: list[str]) -> int:
    """Shows the help or the version, or runs a command; returns the exit status."""
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(HELP.format(commands="\n".join(f"  {name:<11}{text}" for name, (_, text) in COMMANDS.items())), end="")
        return 0 if arguments else 2
    if arguments[0] == "--version":
        print(f"workbench {installed_version()}")
        return 0
    return run_command(arguments)


def run_command(arguments: list[str]) -> int:
    """Runs the command that is named first, and prints a user's mistake as one line; returns the exit status."""
    from workbench.errors import UserError, one_line
    from workbench.own_packages import own_packages

    try:
        name = arguments[0]
        if name not in COMMANDS:
            from architectures.suggest import did_you_mean

            raise UserError(f"unknown command {name!r}{did_you_mean(name, COMMANDS)}")
        # Custom modules are looked for in the current folder, after everything installed, and after this project too,
        # which an editable install does not find through the path.
        root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
        sys.path += [path for path in (root, os.getcwd()) if path not in sys.path]
        with own_packages():
            status: int = importlib.import_module(COMMANDS[name][0]).main(arguments[1:])
        return status
    except UserError as error:
        print(one_line(f"workbench: {error}"), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("workbench: interrupted", file=sys.stderr)
        return 130
    except OSError as error:
        print(one_line(f"workbench: {error}; fix this, then run the same command again"), file=sys.stderr)
        return 2


def installed_version() -> str:
    """Returns the version of the installed package."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("sequence-workbench")
    except PackageNotFoundError:
        return "(version unknown: the package is not installed)"


if __name__ == "__main__":
    sys.exit(main())

"""`workbench completion`: a script by which a shell completes commands, options and their values.

The script is static, so that the key answers at once: completion that asks the program, as argcomplete does, would
start Python at every press.
"""

import argparse
import typing
from argparse import SUPPRESS
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import architectures
from workbench import tasks
from workbench.cli.parser import Parser
from workbench.errors import UserError
from workbench.logger_interface import LoggerName

SHELLS = ("bash", "zsh", "tcsh")
DESCRIPTION = """Print a script by which a shell completes commands, options, their values, and names of tasks and
architectures. After an upgrade it has to be printed again."""
EXAMPLES = """examples:
  workbench completion bash > ~/.local/share/bash-completion/completions/workbench
  workbench completion zsh > ~/.zfunc/_workbench     (with fpath+=(~/.zfunc) before compinit in ~/.zshrc)
  source <(workbench completion bash)                (for this shell alone)
"""
FOLDERS = frozenset({"out", "dir", "data_dir", "copy"})
"""Options and arguments that name folders."""
FILES = frozenset({"config", "file", "to", "json"})
"""Those that name files."""


def main(arguments: list[str]) -> int:
    """Runs the command; returns the exit status."""
    shell = build_parser().parse_args(arguments).shell
    if shell is None:
        raise UserError(f"name a shell: {', '.join(SHELLS)}")
    if find_spec("shtab") is None:
        raise UserError("completion needs shtab: pip install 'sequence-workbench[completion]'")
    import shtab

    print(shtab.complete(whole_parser(), shell))
    return 0


def build_parser() -> Parser:
    """Returns the parser of the command."""
    parser = Parser(prog="workbench completion", description=DESCRIPTION, examples=EXAMPLES)
    kind = typing.Literal["bash", "zsh", "tcsh"]
    parser.add_argument("shell", nargs="?", type=kind, default=None, help="bash, zsh or tcsh", metavar="SHELL")
    return parser


def whole_parser() -> argparse.ArgumentParser:
    """Returns one parser for all commands, in argparse's own classes, which describes them to a shell."""
    from workbench.cli.main import COMMANDS

    whole = argparse.ArgumentParser(prog="workbench")
    whole.add_argument("--version", action="store_true", help="show the version")
    commands = whole.add_subparsers()
    for name, (module_name, text) in COMMANDS.items():
        command = commands.add_parser(name, help=text)
        subcommands = subcommand_parsers(name, import_module(module_name))
        if subcommands is None:
            copy_arguments(import_module(module_name).build_parser(), command)
            continue
        group = command.add_subparsers()
        for subname, parser in subcommands.items():
            copy_arguments(parser, group.add_parser(subname))
    return whole


def subcommand_parsers(name: str, module: Any) -> Mapping[str, Parser] | None:
    """Returns the parsers of a command's subcommands, by name.

    Returns:
        `None` if the command has no subcommands.
    """
    if name == "dashboard":
        return {subname: build() for subname, build in module.PARSERS.items()}
    if name == "sweep":
        return {subname: import_module(f"{module.__name__}.{subname}").build_parser() for subname in module.COMMANDS}
    return None


def copy_arguments(source: Parser, target: argparse.ArgumentParser) -> None:
    """Adds the arguments of a parser to one of argparse's own, with what a shell is to complete their values with."""
    import shtab

    for action in source._actions:
        if action.help == SUPPRESS or action.dest == "help":
            continue
        flags = action.option_strings or [action.dest]
        if action.nargs == 0:
            target.add_argument(*flags, action="store_true", help=action.help)
            continue
        added = target.add_argument(*flags, nargs=action.nargs, choices=find_choices(action), help=action.help)
        if action.dest in FOLDERS | FILES:
            added.complete = shtab.DIRECTORY if action.dest in FOLDERS else shtab.FILE  # type: ignore[attr-defined]


def find_choices(action: argparse.Action) -> list[str] | None:
    """Returns the values that an argument may have; `None` if they cannot be listed."""
    if action.dest in ("task", "tasks"):
        return list(tasks.names())
    if action.dest in ("architecture", "architectures", "untrained"):
        return list(architectures.names())
    if action.dest == "name" and not action.option_strings:
        return [*architectures.names(), *tasks.names()]
    if action.dest == "logger":
        return list(typing.get_args(LoggerName))
    hint = getattr(action, "_typehint", None)
    # A choice may also be left out: Literal[...] | None.
    for kind in (hint, *typing.get_args(hint)):
        if typing.get_origin(kind) is typing.Literal:
            return [str(choice) for choice in typing.get_args(kind)]
    return None

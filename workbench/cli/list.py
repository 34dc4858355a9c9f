"""`workbench list`: architectures and tasks, and their options."""

import inspect
import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, fields
from inspect import Parameter
from typing import Any

import architectures
from architectures.family import FamilyRow
from architectures.parameter_rules import describe_rules, find_rules
from architectures.registry import ARCHITECTURES, load_encoder_class
from architectures.suggest import did_you_mean
from workbench import tasks
from workbench.cli.parser import Parser
from workbench.custom_parts import is_custom, user_errors
from workbench.docstrings import argument_help
from workbench.tasks.file_names import handle, is_file

DESCRIPTION = "Show every architecture and every task; with a name, what it is and which options it takes."
SHOWN_WIDTH = 8
"""Width of the encoder whose parameters are looked at."""
FAMILY_LEGEND = (
    "What is read at step t weighs step i with its weight, times all that was kept since, over a normaliser.",
    "H units, N heads of D units, S states; state and path are those of a layer.",
)
EXAMPLES = """examples:
  workbench list
  workbench list --family
  workbench list rda
  workbench list addition
"""


def main(arguments: list[str]) -> int:
    """Runs the command; returns the exit status."""
    parser = build_parser()
    options = parser.parse_args(arguments)
    if options.family and options.name is not None:
        parser.error(f"--family lists all relatives of the RDA; leave out {options.name}")
    print(list_family() if options.family else list_all() if options.name is None else describe(options.name))
    return 0


def build_parser() -> Parser:
    """Returns the parser of the command."""
    parser = Parser(prog="workbench list", description=DESCRIPTION, examples=EXAMPLES)
    parser.add_argument("name", nargs="?", default=None, type=str, help="one of them", metavar="NAME")
    parser.add_argument(
        "--family",
        action="store_true",
        help="the relatives of the RDA: what each keeps of its past, and how it reads it",
    )
    return parser


def list_family() -> str:
    """Returns a table of the relatives of the RDA, by year."""
    rows = sorted(
        ((entry.family.year, name, entry.family) for name, entry in ARCHITECTURES.items() if entry.family is not None),
        key=lambda row: row[:2],
    )
    columns = [field.name for field in fields(FamilyRow)]
    table = [["name", *columns], *([name, *(str(getattr(row, key)) for key in columns)] for _, name, row in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)) for row in table]
    return "\n".join(line.rstrip() for line in [*lines, "", *FAMILY_LEGEND])


def list_all() -> str:
    """Returns the names of all architectures and tasks, in a line each."""
    entries = {name: entry.summary for name, entry in ARCHITECTURES.items()}
    return "\n".join(["architectures:", *format_entries(entries), "", "tasks:", *format_entries(tasks.SUMMARIES)])


def describe(name: str) -> str:
    """Returns the description of an architecture or a task, and its options with types and defaults.

    Raises:
        UserError: if nothing has that name.
    """
    with user_errors(name):
        if name not in ARCHITECTURES and name not in tasks.names() and ":" not in name:
            raise ValueError(f"unknown name {name!r}{did_you_mean(name, [*ARCHITECTURES, *tasks.names()])}")
        if name in tasks.names() or is_file(name) or (is_custom(name) and is_task(name)):
            cls: type = tasks.load(name)
            defaults = {key: item.default for key, item in tasks.options(name).items()}
            hints, kind = typing.get_type_hints(cls), "task"
        else:
            cls, kind = load_encoder_class(name), "architecture"
            defaults = {key: item.default for key, item in architectures.options(name).items()}
            hints = typing.get_type_hints(cls.__init__)
    texts = argument_help(cls)
    called = handle(name) if is_file(name) else name
    entries = {
        f"--{kind}.{called}.{key}": f"{texts.get(key, '')} ({format_type(hints.get(key))}{format_default(default)})"
        for key, default in defaults.items()
    }
    about = (inspect.getdoc(cls) or name).split("Args:")[0].rstrip()
    training = [] if kind == "task" else describe_training(name, defaults)
    return "\n".join([about, "", "options:", *format_entries(entries), *training])


def describe_training(name: str, defaults: Mapping[str, Any]) -> list[str]:
    """Returns lines that say which parameters of an architecture are trained in another way than the others.

    None where there are no such parameters, and for one that has options without defaults, besides its width.
    """
    import torch

    needed = [key for key, default in defaults.items() if default is Parameter.empty]
    if not {*needed} <= {"hidden_size"}:
        return []
    with torch.random.fork_rng(devices=[]):
        rules = find_rules(architectures.build(name, 1, **dict.fromkeys(needed, SHOWN_WIDTH)))
    return ["", "training:", *(f"  {line}" for line in describe_rules(rules))] if rules else []


def is_task(name: str) -> bool:
    """Returns whether a dotted path leads to a task; if not, it should lead to an architecture."""
    try:
        tasks.load(name)
    except ValueError:
        return False
    return True


def format_entries(entries: Mapping[str, str]) -> list[str]:
    """Returns names and texts as lines of two columns."""
    width = max(map(len, entries), default=0)
    return [f"  {name:<{width}}  {text}" for name, text in entries.items()]


def format_type(hint: Any) -> str:
    """Returns the type of an option as users read it."""
    if typing.get_origin(hint) is typing.Literal:
        return " | ".join(map(str, typing.get_args(hint)))
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return " | ".join("None" if part is type(None) else format_type(part) for part in typing.get_args(hint))
    return str(getattr(hint, "__name__", hint)) if isinstance(hint, type) else str(hint)


def format_default(default: Any) -> str:
    """Returns the default of an option as users read it; empty if it has none."""
    return "" if default is MISSING or default is Parameter.empty else f", default {default}"

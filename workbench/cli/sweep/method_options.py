"""Options of a sweep's sampler and pruner: --sampler_options.NAME VALUE and --pruner_options.NAME VALUE."""

import re
from typing import Any

import yaml

from workbench.cli.parser import Parser
from workbench.docstrings import argument_help
from workbench.errors import UserError
from workbench.files import describe_error, parse_yaml

METHOD_OPTION = re.compile(r"--(?P<kind>sampler|pruner)[-_]options\.(?P<name>[\w-]+)$")
METHOD_OPTIONS = ("sampler_options", "pruner_options")
METHOD_FIELDS = ("sampler", "pruner", *METHOD_OPTIONS)
"""Fields of a sweep that are options of its command only as text; a class is imported where it is used."""


def split_method_options(arguments: list[str]) -> tuple[list[str], dict[str, dict[str, Any]]]:
    """Takes the options of the sampler and the pruner out of a command line.

    Returns:
        The other arguments; and the options by `sampler_options` or `pruner_options` and name, their values read as
        YAML.

    Raises:
        UserError: if a value is missing or unreadable.
    """
    plain: list[str] = []
    options: dict[str, dict[str, Any]] = {}
    rest = iter(arguments)
    for argument in rest:
        flag, equals, text = argument.partition("=")
        match = METHOD_OPTION.fullmatch(flag)
        if match is None:
            plain.append(argument)
            continue
        if not equals:
            text = next(rest, "")
            if text == "" or text.startswith("--"):
                raise UserError(f"{flag} needs a value")
        try:
            value = parse_yaml(text)
        except (yaml.YAMLError, UnicodeEncodeError) as error:
            raise UserError(f"{flag}: {text!r} is not a readable value: {describe_error(error)}") from None
        options.setdefault(f"{match['kind']}_options", {})[match["name"].replace("-", "_")] = value
    return plain, options


def merge_method_options(from_file: Any, from_command_line: dict[str, Any]) -> Any:
    """Returns the options of a sampler or a pruner: a file's, overridden by those of the command line.

    What is no mapping is returned as it is, for the sweep to refuse.
    """
    if from_file is None:
        return from_command_line
    return {**from_file, **from_command_line} if isinstance(from_file, dict) else from_file


def add_method_options(parser: Parser) -> None:
    """Adds the options that name a sampler and a pruner, and those of their classes."""
    from sweeps.sweep import Sweep

    texts = argument_help(Sweep)
    group = parser.add_argument_group("how it is searched")
    group.add_argument("--sampler", type=str, default="tpe", help=texts["sampler"])
    group.add_argument("--sampler-options", type=Any, default={}, help=texts["sampler_options"])
    group.add_argument("--pruner", type=str | None, default=None, help=texts["pruner"])
    group.add_argument("--pruner-options", type=Any, default={}, help=texts["pruner_options"])

"""jsonargparse in the bench's way: dashes, one line for a mistake, options described where they are defined."""

import os
import re
import typing
from argparse import SUPPRESS, RawDescriptionHelpFormatter
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, NoReturn

import yaml
from jsonargparse import ArgumentParser, DefaultHelpFormatter

from architectures.suggest import did_you_mean
from workbench import files
from workbench.data.downloads import VARIABLE
from workbench.docstrings import argument_help
from workbench.errors import UserError
from workbench.files import one_line

Options = dict[str, dict[str, Any]]
"""Options by the name of the task or architecture that they belong to."""

PART_OPTION = re.compile(r"--(\w+)\.(.+)\.(\w[\w-]*)$")
PART_KINDS = ("task", "architecture")


class Formatter(RawDescriptionHelpFormatter, DefaultHelpFormatter):
    """Types and defaults in the help, and examples as they were written."""


class Parser(ArgumentParser):
    """A parser whose mistakes are `UserError`s."""

    def __init__(self, prog: str, description: str, examples: str) -> None:
        super().__init__(
            prog=prog,
            usage=f"{prog} [options]",
            description=description,
            epilog=examples,
            formatter_class=Formatter,
            print_config=None,
            # An option added tomorrow would change what an abbreviation means.
            allow_abbrev=False,
        )

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        raise UserError(self._explain(" ".join(message.split())))

    def _explain(self, message: str) -> str:
        shown = [action for action in self._actions if action.help != SUPPRESS and action.dest != "print_shtab"]
        options = [
            option for action in shown for option in action.option_strings if option[:2] == "--" and option[-1] != "+"
        ]
        if found := re.search(r"[Uu]nrecognized arguments: (\S+)", message):
            name = found[1].partition("=")[0]
            if not name.startswith("--"):
                return f"unexpected argument {found[1]!r}"
            # An abbreviation means what begins with it.
            begun = [option for option in options if option.startswith(name)]
            whole = f"; did you mean {' or '.join(map(repr, begun))}?" if begun else did_you_mean(name, options)
            return f"unknown option {found[1]}{whole}"
        if found := re.match(r"argument (--[\w-]+): expected one argument", message):
            return f"{found[1]} needs a value; one that begins with a dash is given as {found[1]}=VALUE"
        if found := re.search(r"Option '([^']+)' is not accepted|[Kk]ey '([^']+)' is not expected", message):
            key = found[1] or found[2]
            return f"unknown key {key!r}{did_you_mean(key, [option[2:].replace('-', '_') for option in options])}"
        if found := re.search(r'Parser key "([^"]+)": (.*)', message):
            key, reason = found.groups()
            reason = re.sub(r"<class '(\w+)'>", r"\1", reason).replace("typing.", "")
            if found := re.match(r"Does not .* Subtypes: \[list\[str\], str\].* Given value: (.*)", reason):
                return f"--{key.replace('_', '-')}: expected text, or a list of it, got {found[1]}"
            reason = re.sub(r"^Expected an? (.*)\. Got value: ?(.*)$", r"expected \1, got \2", reason)
            if reason.startswith("expected dict"):
                # Hidden: they take what a file says of tasks and architectures.
                return f"--{key} goes with an option, --{key}.NAME.OPTION VALUE{did_you_mean(f'--{key}', options)}"
            reason = re.sub(
                r"^Does not .* Subtypes: \[(\w+(?:\[[^]]*\])?), NoneType\].* value: ?(.*?)$",
                r"expected \1, got \2",
                reason,
            )
            if choices := re.match(r"expected Literal\[(.*)\], got ?(.*)$", reason):
                known = ", ".join(choice.strip("' ") for choice in choices[1].split(","))
                # YAML takes off, no and their like for truth values.
                quoted = " (in quotes)" if choices[2] in ("True", "False") else ""
                return f"--{key.replace('_', '-')} {choices[2]!r} is unknown; known: {known}{quoted}"
            return f"--{key.replace('_', '-')}: {reason}"
        return message

    def add_data_dir(self) -> None:
        """An option for where the files of data are; `chosen` sees to it."""
        self.add_argument(
            "--data-dir",
            type=str,
            default=None,
            help=f"folder with the files of data sets that are not downloaded; by default {VARIABLE}",
            metavar="DIR",
        )

    def add_fields(self, described: type, title: str, skip: tuple[str, ...] = ()) -> None:
        """An option for each field of a dataclass, with its type, its default and its line of the docstring."""
        hints, texts = typing.get_type_hints(described), argument_help(described)
        group = self.add_argument_group(title)
        for item in fields(described):
            if item.name in texts and item.name not in skip:
                default = None if item.default is MISSING else item.default
                kind = list[str] | str if hints[item.name] == tuple[str, ...] else hints[item.name]
                group.add_argument(
                    "--" + item.name.replace("_", "-"), type=kind, default=default, help=texts[item.name]
                )


def chosen_values(
    parser: Parser, given: list[str], kinds: Sequence[str] = PART_KINDS
) -> tuple[dict[str, Any], dict[str, Options]]:
    """Parses a command's arguments, over the YAML file that `--config` names where the command takes one.

    Returns:
        The values; and what `--KIND.NAME.OPTION VALUE` says, for each of the kinds, by kind and name.
    """
    plain, parts = split_parts(given, kinds)
    check_files(plain)
    values = parser.parse_args(plain).as_dict()
    if (folder := values.pop("data_dir", None)) is not None:
        # In the environment, so that every process that is started finds it.
        os.environ[VARIABLE] = str(Path(folder).expanduser().absolute())
    return values, parts


def check_files(given: Sequence[str]) -> None:
    """Refuses a file given as --config that says something twice, which jsonargparse takes for the last that was said.

    Raises:
        UserError: if it does, or is no YAML.
    """
    for argument, after in zip(given, [*given[1:], ""], strict=False):
        flag, equals, text = argument.partition("=")
        path = Path(text if equals else after)
        if flag != "--config" or not path.is_file():
            continue
        try:
            found = files.parse_yaml(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, yaml.YAMLError) as error:
            raise UserError(f"{path}, given as --config, is no readable YAML: {one_line(error)}") from None
        if not isinstance(found, Mapping):
            raise UserError(f"{path}, given as --config, holds no options, each with its value: steps: 1000")
        names: dict[str, Any] = {}
        for key in found:
            # jsonargparse takes an option written either way, and one of an option's own by its path.
            name = str(key).replace("-", "_")
            for one in {name, name.partition(".")[0]} & {*names}:
                raise UserError(f"{path}, given as --config, has an option twice: {names[one]} and {key}")
            names[name] = key


def merge_parts(kind: str, from_file: Mapping[Any, Any] | None, given: Options) -> Options:
    """A file's options of tasks or architectures, overridden by those of the command line.

    Raises:
        UserError: if the file has anything but a mapping of options by name.
    """
    file = from_file or {}
    for name, options in file.items():
        if not isinstance(name, str) or not isinstance(options, Mapping | None):
            raise UserError(f"under {kind!r}, the file must have options by name, not {name}: {options!r}")
    return {name: {**(file.get(name) or {}), **given.get(name, {})} for name in {**file, **given}}


def split_parts(given: list[str], kinds: Sequence[str] = PART_KINDS) -> tuple[list[str], dict[str, Options]]:
    """Takes the options of tasks and architectures, or of other kinds, out of a command line.

    Returns:
        The other arguments; and the options by kind, name and option, their values read as YAML.

    Raises:
        UserError: if a value is missing or unreadable.
    """
    plain: list[str] = []
    parts: dict[str, Options] = {}
    rest = iter(given)
    for argument in rest:
        flag, equals, text = argument.partition("=")
        found = PART_OPTION.fullmatch(flag)
        if found is None or found[1] not in kinds:
            plain.append(argument)
            continue
        if not equals:
            text = next(rest, "")
            if text == "" or text.startswith("--"):
                raise UserError(f"{flag} needs a value")
        kind, name, option = found.groups()
        try:
            value = files.parse_yaml(text)
        except yaml.YAMLError as error:
            raise UserError(f"{flag}: {text!r} is no readable value: {one_line(error)}") from None
        parts.setdefault(kind, {}).setdefault(name, {})[option.replace("-", "_")] = value
    return plain, parts

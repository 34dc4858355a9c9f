"""Command line parser: jsonargparse with one-line errors and option texts from docstrings."""

import os
import re
import types
import typing
from argparse import SUPPRESS, RawDescriptionHelpFormatter
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields
from itertools import pairwise
from pathlib import Path
from typing import Any, NoReturn

import yaml
from jsonargparse import ArgumentParser, DefaultHelpFormatter, _loaders_dumpers

import architectures
from architectures.option_values import type_hints
from architectures.registry import load_encoder_class
from architectures.suggest import did_you_mean
from workbench import files, tasks
from workbench.cli.habits import describe_data_file, describe_habit, find_habit, is_data_file
from workbench.custom_parts import PART_KINDS
from workbench.data.downloads import DATA_VARIABLE
from workbench.docstrings import argument_help
from workbench.errors import UserError, one_line
from workbench.files import describe_error
from workbench.tasks.file_names import PREFIX, is_file

NamedOptions = dict[str, dict[str, Any]]
"""Options by the name of the task or architecture that they belong to."""

TASK_OPTIONS = ("--task", "--tasks")
"""Options that name tasks."""
NAMED_OPTION = re.compile(r"--(\w+)\.(.+)\.(\w[\w-]*)$")
"""--KIND.NAME.OPTION, as in --task.addition.length."""


# By default jsonargparse reads 0100 in a file as octal, and 1:30 as 90 anywhere. Its set_loader replaces the loader of
# files, but not that of values; this replaces both.
_loaders_dumpers.yaml_default_loader = files.PlainLoader  # type: ignore[assignment]


class HelpFormatter(RawDescriptionHelpFormatter, DefaultHelpFormatter):
    """Help with types and defaults, and with examples as they were written."""


class Parser(ArgumentParser):
    """Command line parser that raises `UserError`.

    Args:
        prog: the command, as in "workbench train".
        description: text at the top of the help.
        examples: text at the end of the help.
    """

    def __init__(self, prog: str, description: str, examples: str) -> None:
        super().__init__(
            prog=prog,
            usage=f"{prog} [options]",
            description=description,
            epilog=examples,
            formatter_class=HelpFormatter,
            print_config=None,
            # An option added tomorrow would change what an abbreviation means.
            allow_abbrev=False,
        )
        self.named: dict[str, list[str]] = {}
        """The names of tasks and architectures that were given, by the kinds whose options the command takes."""

    def parse_args(self, args: Sequence[str] | None = None, *others: Any, **named: Any) -> Any:  # type: ignore[override]
        """Returns the values of a command line, as jsonargparse does.

        Raises:
            UserError: if it cannot be read, whatever jsonargparse or a conversion raises.
        """
        try:
            return super().parse_args(args, *others, **named)
        except UserError:
            raise
        except Exception as error:
            raise UserError(describe_unreadable(self, args or (), error)) from None

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raises `UserError` with a message of jsonargparse, reworded."""
        raise UserError(self._reword(" ".join(message.split())))

    def _reword(self, message: str) -> str:
        visible = [action for action in self._actions if action.help != SUPPRESS and action.dest != "print_shtab"]
        options = [
            option for action in visible for option in action.option_strings if option[:2] == "--" and option[-1] != "+"
        ]
        if match := re.search(r"[Uu]nrecognized arguments: (\S+)", message):
            return self._describe_unknown(match[1], options)
        if match := re.match(r"argument (--[\w-]+)(?:/--[\w-]+\+)?: expected one argument", message):
            return f"{match[1]} needs a value; one that begins with a dash is given as {match[1]}=VALUE"
        if match := re.search(r"Option '([^']+)' is not accepted|[Kk]ey '([^']+)' is not expected", message):
            key = match[1] or match[2]
            hint = self._describe_habit(key, options, in_file=True)
            hint = hint or did_you_mean(key, [option[2:].replace("-", "_") for option in options])
            return f"unknown key {key!r}{hint}"
        if match := re.search(r'Parser key "([^"]+)": (.*)', message):
            if nested := re.search(r"NestedArg\(key='([^']+)'", match[2]):
                return self._describe_unknown(f"--{match[1].replace('_', '-')}.{nested[1]}", options)
            return self._reword_type_error(match[1], match[2], options)
        return message

    def _describe_unknown(self, argument: str, options: list[str]) -> str:
        name = argument.partition("=")[0]
        if not name.startswith("-"):
            if is_data_file(name) and (option := next((each for each in TASK_OPTIONS if each in options), None)):
                return describe_data_file(name, option)
            return f"unexpected argument {argument!r}"
        # An abbreviation stands for the options that begin with it.
        completions = [option for option in options if option.startswith(name.replace("_", "-"))]
        if name.startswith("--") and completions:
            return f"unknown option {argument}; did you mean {' or '.join(map(repr, completions))}?"
        if habit := self._describe_habit(name, options):
            return f"unknown option {argument}{habit}"
        return f"unknown option {argument}{did_you_mean(name, options)}"

    def _describe_habit(self, name: str, options: list[str], *, in_file: bool = False) -> str:
        habit = find_habit(name)
        return "" if habit is None else describe_habit(habit, options, self.named, in_file=in_file)

    def _reword_type_error(self, key: str, reason: str, options: list[str]) -> str:
        reason = re.sub(r"<class '(\w+)'>", r"\1", reason).replace("typing.", "")
        if match := re.match(r"Does not .* Subtypes: \[list\[str\], str\].* Given value: (.*)", reason):
            return f"--{key.replace('_', '-')}: expected text, or a list of it, got {match[1]}"
        reason = re.sub(r"^Expected an? (.*)\. Got value: ?(.*)$", r"expected \1, got \2", reason)
        if reason.startswith("expected dict"):
            # The hidden options, which take what a file says about tasks and architectures.
            return f"--{key} goes with an option, --{key}.NAME.OPTION VALUE{did_you_mean(f'--{key}', options)}"
        reason = re.sub(
            r"^Does not .* Subtypes: \[(\w+(?:\[[^]]*\])?), NoneType\].* value: ?(.*?)$",
            r"expected \1, got \2",
            reason,
        )
        if match := re.match(r"expected Literal\[(.*)\], got ?(.*)$", reason):
            choices = ", ".join(choice.strip("' ") for choice in match[1].split(","))
            # YAML reads off, no and the like as truth values.
            quoted = " (in quotes)" if match[2] in ("True", "False") else ""
            return f"--{key.replace('_', '-')} {match[2]!r} is unknown; known: {choices}{quoted}"
        return f"--{key.replace('_', '-')}: {reason}"

    def add_data_dir(self) -> None:
        """Adds the option for the folder of data files, which `parse_arguments` applies."""
        self.add_argument(
            "--data-dir",
            type=str,
            default=None,
            help=f"folder with the files of data sets that are not downloaded; by default {DATA_VARIABLE}",
            metavar="DIR",
        )

    def add_fields(self, cls: type, title: str, skip: tuple[str, ...] = ()) -> None:
        """Adds an option for each field of a dataclass, with its type, its default and its line of the docstring.

        Args:
            cls: the dataclass; fields that its docstring does not describe are left out. Only what is skipped may be
                annotated by a string, as types that would have to be imported are.
            title: of the group of options in the help.
            skip: names of fields to leave out.
        """
        texts = argument_help(cls)
        group = self.add_argument_group(title)
        for item in fields(cls):
            if item.name in texts and item.name not in skip:
                default = None if item.default is MISSING or item.default == () else item.default
                kind: Any = list[str] | str if item.type == tuple[str, ...] else item.type
                group.add_argument(
                    "--" + item.name.replace("_", "-"), type=kind, default=default, help=texts[item.name]
                )


def parse_arguments(
    parser: Parser, arguments: list[str], kinds: Sequence[str] = PART_KINDS
) -> tuple[dict[str, Any], dict[str, NamedOptions]]:
    """Parses the arguments of a command, over the YAML file that `--config` names if the command has that option.

    Returns:
        The values; and what `--KIND.NAME.OPTION VALUE` says for each of the kinds, by kind and name.

    Raises:
        UserError: if the arguments, or the file, are wrong.
    """
    parser.named = {kind: find_names(arguments, kind) for kind in kinds}
    plain, named = split_named_options(arguments, kinds)
    plain = join_repeated(plain, "--logger")
    check_config_files(plain)
    values = read_arguments(parser, plain)
    if (folder := values.pop("data_dir", None)) is not None:
        # In the environment, so that every process that is started finds it.
        os.environ[DATA_VARIABLE] = str(files.expand_home(folder).absolute())
    return values, named


def join_repeated(arguments: Sequence[str], option: str) -> list[str]:
    """Returns arguments in which an option that was given several times is given once, with commas between its values.

    Only the last would count otherwise.
    """
    rest: list[str] = []
    values: list[str] = []
    remaining = iter(arguments)
    for argument in remaining:
        flag, equals, text = argument.partition("=")
        if flag != option:
            rest.append(argument)
        elif equals or (text := next(remaining, "")):
            values.append(text)
        else:
            # Without a value, which the parser tells the user.
            return list(arguments)
    return [*rest, f"{option}={','.join(values)}"] if len(values) > 1 else list(arguments)


def read_arguments(parser: Parser, arguments: list[str]) -> dict[str, Any]:
    """Returns the values of a command line.

    Raises:
        UserError: if it cannot be read.
    """
    return dict(parser.parse_args(arguments).as_dict())


def describe_unreadable(parser: Parser, arguments: Sequence[str], error: Exception) -> str:
    """Returns a message for arguments that a parser broke at: the option to blame, if one is, and the reason."""
    reason = "it is nested too deeply" if isinstance(error, RecursionError) else describe_error(error)
    for flag, text in pairwise([*arguments, ""]):
        name, equals, value = flag.partition("=")
        if not name.startswith("--") or not is_unreadable(parser, [flag] if equals else [flag, text]):
            continue
        return f"{name}: {one_line(value if equals else text)!r} cannot be read: {reason}"
    return f"the options cannot be read: {reason}"


def is_unreadable(parser: Parser, arguments: list[str]) -> bool:
    """Returns whether a parser breaks at some arguments, other than by a message."""
    try:
        ArgumentParser.parse_args(parser, arguments)
    except UserError:
        return False
    except Exception:
        return True
    return False


def split_named_options(
    arguments: list[str], kinds: Sequence[str] = PART_KINDS
) -> tuple[list[str], dict[str, NamedOptions]]:
    """Takes the options of tasks and architectures, or of other kinds, out of a command line.

    Returns:
        The other arguments; and the options by kind, name and option. Their values are read as YAML, but for those of
        options that are declared as str, which are the text as it was typed.

    Raises:
        UserError: if a value is missing or unreadable.
    """
    plain: list[str] = []
    named: dict[str, NamedOptions] = {}
    rest = iter(arguments)
    for argument in rest:
        flag, equals, text = argument.partition("=")
        match = NAMED_OPTION.fullmatch(flag)
        if match is None or match[1] not in kinds:
            check_has_name(flag, kinds)
            plain.append(argument)
            continue
        if not equals:
            text = next(rest, "")
            if text == "" or text.startswith("--"):
                raise UserError(f"{flag} needs a value")
        kind, name, option = match[1], match[2], match[3].replace("-", "_")
        try:
            value = read_option(text, find_type(kind, name, option))
        except (yaml.YAMLError, UnicodeEncodeError) as error:
            raise UserError(f"{flag}: {text!r} is not a readable value: {describe_error(error)}") from None
        named.setdefault(kind, {}).setdefault(name, {})[option] = value
    return plain, named


def find_names(arguments: Sequence[str], kind: str) -> list[str]:
    """Returns the names of tasks or architectures that the arguments of a command give."""
    flags = (f"--{kind}", f"--{kind}s")
    lists = [text for flag, text in pairwise([*arguments, ""]) if flag in flags]
    lists += [
        argument.partition("=")[2] for argument in arguments if argument.startswith(tuple(f"{f}=" for f in flags))
    ]
    return [name.strip() for text in lists for name in text.split(",") if name.strip() and not name.startswith("-")]


def check_has_name(flag: str, kinds: Sequence[str]) -> None:
    """Refuses an option of a task or an architecture that lacks the name, or is no more than the name.

    Args:
        flag: as it was typed, without a value.
        kinds: of options that have a name in them.

    Raises:
        UserError: that says how it is written.
    """
    kind, dot, rest = flag.removeprefix("--").partition(".")
    if not flag.startswith("--") or kind not in kinds or not dot:
        return
    if ":" in rest or rest in tasks.names() or rest in architectures.names():
        raise UserError(f"{flag} lacks an option: {flag}.OPTION VALUE (workbench list {rest} shows them)")
    raise UserError(f"{flag} lacks a name: --{kind}.NAME.{rest or 'OPTION'} VALUE (workbench list NAME shows them)")


def read_option(text: str, kind: Any) -> Any:
    """Returns the value that a text on the command line stands for.

    Args:
        text: as it was typed.
        kind: the declared type; for str the text is the value, for str | None too unless it is null.

    Raises:
        yaml.YAMLError: if it is not YAML, for any other type.
        UnicodeEncodeError: if it holds bytes that are not UTF-8, which no file of results could hold.
    """
    choices = typing.get_args(kind) if typing.get_origin(kind) in (typing.Union, types.UnionType) else (kind,)
    if str not in choices or not {*choices} <= {str, type(None)}:
        return files.parse_yaml(text)
    text.encode()
    return None if text == "null" and type(None) in choices else text


def find_type(kind: str, name: str, option: str) -> Any:
    """Returns the declared type of an option of a task or an architecture; `Any` if it has none, or is not known."""
    try:
        if kind == "task":
            # What is no name of the catalogue nor a dotted path is the handle of a file.
            known = name in tasks.names() or (":" in name and not is_file(name))
            return type_hints(tasks.load(name if known else PREFIX + name)).get(option, Any)
        if kind == "architecture":
            return type_hints(load_encoder_class(name).__init__).get(option, Any)
    except Exception:
        # A wrong name, or custom code that cannot be imported, is reported where it is used.
        pass
    return Any


def check_config_files(arguments: Sequence[str]) -> None:
    """Refuses a file given as --config that has an option twice, of which jsonargparse would take the last.

    Raises:
        UserError: if it does, or is not a YAML mapping.
    """
    for argument, following in zip(arguments, [*arguments[1:], ""], strict=False):
        flag, equals, text = argument.partition("=")
        path = Path(text if equals else following)
        if flag != "--config" or not path.is_file():
            continue
        try:
            values = files.parse_yaml(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, yaml.YAMLError) as error:
            raise UserError(f"{path}, given as --config, is not readable YAML: {describe_error(error)}") from None
        if not isinstance(values, Mapping):
            raise UserError(f"{path}, given as --config, must hold options, each with its value: steps: 1000")
        keys: dict[str, Any] = {}
        for key in values:
            # jsonargparse takes an option with dashes or underscores, and that of a task nested or by its path.
            name = str(key).replace("-", "_")
            for earlier in {name, name.partition(".")[0]} & {*keys}:
                raise UserError(f"{path}, given as --config, has an option twice: {keys[earlier]} and {key}")
            keys[name] = key

"""Text, JSON and YAML files: written atomically, and read with one-line errors."""

import errno
import json
import os
import platform
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml

from architectures.limits import quote
from workbench.errors import UserError

STR, INT, FLOAT = "tag:yaml.org,2002:str", "tag:yaml.org,2002:int", "tag:yaml.org,2002:float"
TIMESTAMP = "tag:yaml.org,2002:timestamp"

NUMBERS = {
    INT: re.compile(r"[-+]?[0-9]+\Z"),
    FLOAT: re.compile(
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z|[-+]?\.(inf|Inf|INF)\Z|\.(nan|NaN|NAN)\Z"
    ),
}
"""The numbers of YAML 1.2's core schema, but for 0x10 and 0o17. Tried in this order: what is an int is no float."""

MAX_VALUES = 1_000_000
"""Most values that a file stands for, each alias counted as what it leads to: a few lines could stand for more than
any memory holds."""
MAX_DEPTH = 100
"""Most levels that values lie within each other: what walks through them calls itself for each."""
NO_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EINVAL})
"""What a file system says on which a file has one name only."""
IN_USE = (5, 32)
"""Numbers of the errors by which Windows refuses to replace an open file: access denied, sharing violation."""
REPLACE_SECONDS = 2.0
"""Seconds for which a file may be kept open by whoever reads it."""

UNQUOTED_HASH = re.compile(r"(?=.{12}\Z)(0[0-9]+|[0-9]+e[0-9]+)\Z")
"""A hash of 12 hexadecimal digits that YAML 1.1, which earlier versions wrote, takes for text without quotes."""


class PlainRules:
    """Rules of a safe loader, with numbers as people write them: 0100 is 100, 1e-3 is 0.001; 1:30 and 0x10 are text.

    A date is text, too. Truth values are those of YAML 1.1, with yes, no, on and off.
    """

    yaml_implicit_resolvers = {  # noqa: RUF012
        first: [(tag, pattern) for tag, pattern in resolvers if tag not in (INT, FLOAT, TIMESTAMP)]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def get_single_node(self) -> yaml.Node | None:
        """Returns the node of the document, checked; `None` if there is none.

        Raises:
            yaml.YAMLError: as `parse_yaml` does.
        """
        node: yaml.Node | None = super().get_single_node()  # type: ignore[misc]
        if node is not None:
            _check_node(self, node, set(), {})
        return node

    def construct_int(self, node: yaml.ScalarNode) -> int:
        """Returns a whole number, in decimal digits.

        Raises:
            ValueError: if it is anything else, by an explicit tag.
        """
        return int(_check_number(node, INT))

    def construct_float(self, node: yaml.ScalarNode) -> float:
        """Returns a number that may have a point and an exponent.

        Raises:
            ValueError: if it is anything else, by an explicit tag.
        """
        # YAML has a point before inf and nan; Python has none.
        return float(re.sub(r"\.(?=[a-z])", "", _check_number(node, FLOAT).lower()))


class PlainLoader(PlainRules, yaml.SafeLoader):
    """The loader whose errors people read."""


# Not every build of PyYAML has it.
class FastLoader(PlainRules, getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """The same on libyaml, which took a fifth of the time for 630 configurations; its errors say less."""


class PlainDumper(yaml.SafeDumper):
    """The safe dumper, with quotes about text that either `PlainLoader` or YAML 1.1 would take for anything else."""

    def represent_text(self, text: str) -> yaml.ScalarNode:
        """Returns the node of a string."""
        # In any other style PyYAML writes these line breaks as they are, and reads them as others.
        return self.represent_scalar(STR, text, style='"' if re.search(r"[\x85\u2028\u2029]", text) else None)


for _tag, _pattern in NUMBERS.items():
    for _class in (PlainLoader, FastLoader, PlainDumper):
        _class.add_implicit_resolver(_tag, _pattern, list("-+.0123456789"))
for _loader in (PlainLoader, FastLoader):
    _loader.add_constructor(INT, _loader.construct_int)  # type: ignore[type-var]
    _loader.add_constructor(FLOAT, _loader.construct_float)  # type: ignore[type-var]
PlainDumper.add_representer(str, PlainDumper.represent_text)


def _check_number(node: yaml.ScalarNode, tag: str) -> str:
    text: str = node.value
    if not NUMBERS[tag].match(text):
        raise ValueError(f"invalid literal for a number: {text!r}")
    return text


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside `path` to write to; renames it to `path` once it is on disk, or removes it.

    What processes of this machine that were killed had begun to write to `path` is removed, too.
    """
    temporary = _temporary_path(path)
    _remove_abandoned(path)
    try:
        yield temporary
        # Windows writes out only files that are open for writing.
        with temporary.open("r+b") as file:
            os.fsync(file.fileno())
        _replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _temporary_path(path: Path) -> Path:
    # With the machine's name: a folder may be shared with others, on which the process has another number.
    return path.with_name(f".{path.name}.{platform.node()}.{os.getpid()}.tmp")


def _remove_abandoned(path: Path) -> None:
    """Removes the temporary files for a path of processes that ran on this machine and are gone."""
    if os.name != "posix":
        # Elsewhere a signal of 0 is not a question.
        return
    prefix = f".{path.name}.{platform.node()}."
    with suppress(OSError):
        for name in os.listdir(path.parent):
            process = name[len(prefix) : -len(".tmp")]
            if not (name.startswith(prefix) and name.endswith(".tmp") and process.isdecimal()):
                continue
            try:
                os.kill(int(process), 0)
            except ProcessLookupError:
                path.with_name(name).unlink(missing_ok=True)


def _replace(temporary: Path, path: Path) -> None:
    """Renames a file to the place of another; on Windows it waits until nobody has that one open, for a while."""
    until = time.monotonic() + REPLACE_SECONDS
    while True:
        try:
            temporary.replace(path)
        except PermissionError as error:
            if getattr(error, "winerror", None) not in IN_USE or time.monotonic() > until:
                raise
            time.sleep(REPLACE_SECONDS / 100)
        else:
            return


def create_whole(path: Path, content: bytes) -> bool:
    """Creates a file with all of its content at once, unless there is one, also if several machines do so at a time.

    Returns:
        False if there is one already.
    """
    temporary = _temporary_path(path)
    _remove_abandoned(path)
    try:
        temporary.write_bytes(content)
        try:
            os.link(temporary, path)
        except FileExistsError:
            # A server that answers twice says so although it has made the link.
            return temporary.stat().st_nlink == 2
        except OSError as error:
            if error.errno not in NO_LINKS:
                raise
            return _create_exclusively(path, content)
        return True
    finally:
        temporary.unlink(missing_ok=True)


def _create_exclusively(path: Path, content: bytes) -> bool:
    try:
        with path.open("xb") as file:
            file.write(content)
    except FileExistsError:
        return False
    return True


def write_text(path: Path, text: str) -> None:
    """Writes a text file, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Writes strict JSON (no NaN), atomically."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def write_yaml(path: Path, value: Any) -> None:
    """Writes YAML that `read_yaml` reads as the same value, keys in their order, atomically."""
    write_text(path, yaml.dump(value, Dumper=PlainDumper, sort_keys=False, allow_unicode=True, width=110))


def read_json(path: Path) -> dict[str, Any]:
    """Reads a JSON object.

    Raises:
        UserError: if the file cannot be read or holds anything else.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except RecursionError:
        raise UserError(f"{path} is not readable JSON: it is nested too deeply") from None
    except (ValueError, OSError) as error:
        raise UserError(f"{path} is not readable JSON: {describe_error(error)}") from None
    if not isinstance(value, dict):
        raise UserError(f"{path} does not hold a JSON object")
    return value


def read_yaml(path: Path) -> dict[str, Any]:
    """Reads a YAML mapping, as `parse_yaml` does.

    Raises:
        UserError: if the file is missing, cannot be read or holds anything else, or has a key twice.
    """
    try:
        value = parse_yaml(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"there is no file {path}") from None
    except (yaml.YAMLError, ValueError, OSError) as error:
        raise UserError(f"{path} is not readable YAML: {describe_error(error)}") from None
    if not isinstance(value, dict):
        raise UserError(f"{path} does not hold a YAML mapping")
    return value


def expand_home(path: str) -> Path:
    """Returns a path in which ~ and ~name stand for homes.

    Raises:
        UserError: if nobody has that name, or this user has no home.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise UserError(f"there is no home for {path}; name the whole path") from None


def describe_error(error: BaseException) -> str:
    """Returns an exception's message as one line, or the name of its type if it has none."""
    try:
        # PyTorch appends a trace of its C++ code.
        text = str(error).partition("\nException raised from ")[0]
    except Exception:
        text = ""
    # A terminal would obey control characters.
    plain = "".join(char if char.isprintable() else "\ufffd" for char in " ".join(text.split()))
    return plain or type(error).__name__


def ensure_writable(folder: Path) -> None:
    """Creates a folder, if it is missing, and makes sure that files can be written in it.

    Raises:
        UserError: if they cannot.
    """
    probe = _temporary_path(folder / "writable")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(folder / "writable")
        probe.touch()
        probe.unlink()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or describe_error(error)
        raise UserError(f"cannot write to {folder}: {reason}") from None


def parse_yaml(text: str) -> Any:
    """Returns the value of a YAML text, with `FastLoader` or, if it finds anything wrong, with `PlainLoader`.

    Raises:
        yaml.YAMLError: if it is not YAML, contains itself by an alias, stands for millions of values by aliases of
            aliases, or has a key twice in one mapping: the last one would win silently.
    """
    with suppress(yaml.YAMLError, ValueError, LookupError, AttributeError, RecursionError):
        fast = FastLoader(text)
        try:
            return fast.get_single_data()
        finally:
            fast.dispose()
    loader = PlainLoader(text)
    try:
        return loader.get_single_data()
    except yaml.MarkedYAMLError as error:
        # The caller names the file.
        raise yaml.YAMLError(str(error).replace('in "<unicode string>", ', "in ")) from None
    except yaml.YAMLError:
        raise
    except RecursionError:
        raise yaml.YAMLError("it is nested too deeply") from None
    except ValueError as error:
        # PyYAML raises Python's own errors for !!timestamp 2020-13-45 and !!int x ...
        raise yaml.YAMLError(f"a value is not of the type that it seems to be: {error}") from None
    except (LookupError, AttributeError):
        # ... and for !!bool x and !!timestamp x.
        raise yaml.YAMLError("a value is not of the type that its tag says") from None
    finally:
        loader.dispose()


def _check_node(loader: Any, node: yaml.Node, ancestors: set[int], sizes: dict[int, int]) -> int:
    """Returns how many values a node stands for, each alias counted as what it leads to.

    Args:
        loader: what composed it.
        node: the node.
        ancestors: the nodes that contain it, by `id`.
        sizes: of the nodes that were checked before, to which an alias may lead; filled.
    """
    if id(node) in ancestors:
        raise yaml.YAMLError("an alias refers to a value that contains it")
    if isinstance(node, yaml.ScalarNode):
        return 1
    if id(node) in sizes:
        return sizes[id(node)]
    if len(ancestors) > MAX_DEPTH:
        raise yaml.YAMLError("it is nested too deeply")
    path, size = ancestors | {id(node)}, 1
    lines: dict[Any, int] = {}
    for key, value in node.value if isinstance(node, yaml.MappingNode) else ((None, item) for item in node.value):
        size += _check_node(loader, value, path, sizes)
        if key is not None:
            size += _check_node(loader, key, path, sizes)
            _keep_hash(key, value)
        if size > MAX_VALUES:
            raise yaml.YAMLError(f"its aliases stand for more than {MAX_VALUES:,} values")
        if not isinstance(key, yaml.ScalarNode) or key.tag == "tag:yaml.org,2002:merge":
            continue
        # Compared as values: 1 and 01 are one key.
        name, line = loader.construct_object(key), key.start_mark.line + 1
        if name in lines:
            where = f"line {line}" if lines[name] == line else f"lines {lines[name]} and {line}"
            raise yaml.YAMLError(f"the key {quote(key.value)} is there twice, in {where}")
        lines[name] = line
    sizes[id(node)] = size
    return size


def _keep_hash(key: yaml.Node, value: yaml.Node) -> None:
    """Leaves a hash of code or data as text, though earlier versions left out its quotes."""
    if key.value == "source" and isinstance(value, yaml.ScalarNode) and UNQUOTED_HASH.match(value.value):
        value.tag = STR

"""Files that are there whole or not at all."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from workbench.errors import UserError


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yields a path beside `path` to write to; renames it to `path` once it is safely on disk, or removes it."""
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield aside
        with aside.open("rb") as file:
            os.fsync(file.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Writes a whole text file, atomically."""
    with atomic_path(path) as aside:
        aside.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Writes strict JSON (no NaN), atomically."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def write_yaml(path: Path, value: Any) -> None:
    """Writes YAML in the order given, atomically."""
    write_text(path, yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=110))


def read_json(path: Path) -> dict[str, Any]:
    """Reads a JSON object.

    Raises:
        UserError: if the file holds anything else.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise UserError(f"{path} is no readable JSON: {one_line(error)}") from None
    if not isinstance(value, dict):
        raise UserError(f"{path} holds no JSON object")
    return value


def read_yaml(path: Path) -> dict[str, Any]:
    """Reads a YAML mapping, with the safe loader.

    Raises:
        UserError: if the file is absent or holds anything else, or has a key twice.
    """
    try:
        value = parse_yaml(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"there is no file {path}") from None
    except (yaml.YAMLError, ValueError, OSError) as error:
        raise UserError(f"{path} is no readable YAML: {one_line(error)}") from None
    if not isinstance(value, dict):
        raise UserError(f"{path} holds no YAML mapping")
    return value


def one_line(error: BaseException) -> str:
    """An exception's message without its line breaks; its type where it has none, or one that cannot be had."""
    try:
        # What comes then is where PyTorch's C++ code was.
        text = str(error).partition("\nException raised from ")[0]
    except Exception:
        text = ""
    # A terminal would take control characters for orders.
    plain = "".join(char if char.isprintable() else "\ufffd" for char in " ".join(text.split()))
    return plain or type(error).__name__


def writable(folder: Path) -> None:
    """Makes the folder, if it is not there.

    Raises:
        UserError: if files cannot be made in it.
    """
    probe = folder / f".writable.{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or one_line(error)
        raise UserError(f"cannot write to {folder}: {why}") from None


def parse_yaml(text: str) -> Any:
    """What YAML says, with the safe loader.

    Raises:
        yaml.YAMLError: if it is no YAML, has a key twice in one mapping, of which the last would win and nobody would
            know, or something that is part of itself.
    """
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _check_event(loader, node, set(), set())
        return loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        # The file is named by whoever has it.
        raise yaml.YAMLError(str(error).replace('in "<unicode string>", ', "in ")) from None
    except yaml.YAMLError:
        raise
    except RecursionError:
        raise yaml.YAMLError("it goes too deep") from None
    except ValueError as error:
        # PyYAML lets it through: 2020-13-45, !!int x.
        raise yaml.YAMLError(f"a value is not of the type that it seems to be: {error}") from None
    except (LookupError, AttributeError):
        # And these: !!bool x, !!timestamp x.
        raise yaml.YAMLError("a value is not of the type that its tag says") from None
    finally:
        loader.dispose()


def _check_event(loader: Any, node: yaml.Node, around: set[int], checked: set[int]) -> None:
    if id(node) in around:
        raise yaml.YAMLError("an alias stands for what it is a part of")
    # An alias leads to what may have been checked before.
    if id(node) in checked or isinstance(node, yaml.ScalarNode):
        return
    checked.add(id(node))
    inside = around | {id(node)}
    if isinstance(node, yaml.SequenceNode):
        for value in node.value:
            _check_event(loader, value, inside, checked)
        return
    lines: dict[Any, int] = {}
    for key, value in node.value:
        _check_event(loader, key, inside, checked)
        _check_event(loader, value, inside, checked)
        if not isinstance(key, yaml.ScalarNode) or key.tag == "tag:yaml.org,2002:merge":
            continue
        # As values: 1 and 0x1 are one key.
        name, line = loader.construct_object(key), key.start_mark.line + 1
        if name in lines:
            where = f"line {line}" if lines[name] == line else f"lines {lines[name]} and {line}"
            raise yaml.YAMLError(f"the key {key.value!r} is there twice, in {where}")
        lines[name] = line

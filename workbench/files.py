"""Files that are there whole or not at all."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from workbench import plain_yaml
from workbench.errors import UserError


@contextmanager
def written_aside(path: Path) -> Iterator[Path]:
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
    with written_aside(path) as aside:
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
        value = plain_yaml.parse(path.read_text(encoding="utf-8"))
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

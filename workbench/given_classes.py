"""Classes that were given as objects and that no module has: those of a notebook's cell, or made by `wrap`.

They have a name for this process, and for those that it starts, which `workbench.spawned` gives them. What a folder of
results says of them is data: the name, and a hash of their code. Whoever probes or trains them again gives them again.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cloudpickle

from architectures.registry import define
from workbench.errors import UserError
from workbench.files import describe_error
from workbench.source_text import collect_texts

NAME = re.compile(r"[A-Za-z_][\w.+-]*")
"""Names that a class may have: they become the names of folders."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenClass:
    """A class that was given as an object."""

    kind: str
    """task or architecture."""
    name: str
    cls: type
    source: str
    """Hash of its code, as `class_source` has it."""


GIVEN: dict[tuple[str, str], GivenClass] = {}
"""Those of this process, by kind and name."""


def give(kind: str, name: str, cls: type, texts: Mapping[str, str] | None = None) -> str:
    """Gives a class a name, under which it is found from now on; a class of the same name before it is replaced.

    Args:
        kind: task or architecture.
        name: of its run's folder.
        cls: the class.
        texts: its code, and what else it depends on, by name; by default read from where it was written.

    Returns:
        The name.

    Raises:
        UserError: if the name cannot be that of a folder, or the code cannot be read.
    """
    if not NAME.fullmatch(name):
        raise UserError(f"{name!r} cannot be the name of {article(kind)}: letters, digits and . _ + - make one")
    given = GivenClass(kind=kind, name=name, cls=cls, source=hash_texts(class_texts(cls) if texts is None else texts))
    accept(given)
    return name


def accept(given: GivenClass) -> None:
    """Makes a class known under its name."""
    GIVEN[given.kind, given.name] = given
    define(given.kind, given.name, given.cls)


def given_source(cls: type) -> str | None:
    """Returns the hash of the code of a class that was given as an object; `None` for any other class."""
    return next((given.source for given in GIVEN.values() if given.cls is cls), None)


def class_texts(cls: type) -> dict[str, str]:
    """Returns the text of a class, and of what it uses of its own module, by name.

    Raises:
        UserError: if the text of one of them is not known.
    """
    return collect_texts(cls, cls.__module__)


def hash_texts(texts: Mapping[str, Any]) -> str:
    """Returns a hash of texts by name, whatever their order."""
    digest = hashlib.sha256()
    for name in sorted(texts):
        digest.update(f"{name}\0{texts[name]}\0".encode())
    return digest.hexdigest()[:12]


def article(kind: str) -> str:
    """Returns a kind of part with its article."""
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"


def find_unpicklable() -> str | None:
    """Returns a line about the first given class that cannot be sent to another process; `None` if all can."""
    for given in GIVEN.values():
        try:
            cloudpickle.dumps(given)
        except Exception as error:
            return f"{given.kind} {given.name} cannot be sent to other processes ({describe_error(error)})"
    return None

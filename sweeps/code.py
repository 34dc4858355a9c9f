"""Whether a user's own code is still what a study was made with."""

from typing import Literal

import architectures.catalogue
import workbench.tasks
from workbench.errors import UserError
from workbench.resolve import source, users_mistake


def code_of(kind: Literal["task", "architecture"], name: str) -> str | None:
    """The hash of the code of a task or an architecture as it is now; `None` for a name of a catalogue.

    Raises:
        UserError: if there is none of that name.
    """
    with users_mistake(f"{kind} {name}"):
        found: type = workbench.tasks.load(name) if kind == "task" else architectures.catalogue.load(name)
        return source(found, name)


def check_code(kind: Literal["task", "architecture"], name: str, then: str | None, study: str) -> None:
    """Refuses other code than that of the hash.

    Raises:
        UserError: if it is another, or gone.
    """
    if code_of(kind, name) != then:
        why = f"the code of {kind} {name} is not what study {study} was made with"
        raise UserError(f"{why}; put it back, or begin another study (--name)")

"""Whether a user's own code, and the data of a task, are still what a study was made with."""

from architectures.catalogue import load
from workbench.config import Part
from workbench.errors import UserError
from workbench.resolve import resolve_task, source, users_mistake


def code_of(name: str) -> str | None:
    """The hash of the code of an architecture as it is now; `None` for a name of the catalogue.

    Raises:
        UserError: if there is none of that name.
    """
    with users_mistake(f"architecture {name}"):
        return source(load(name), name)


def check_code(name: str, then: str | None, study: str) -> None:
    """Refuses other code of an architecture than that of the hash.

    Raises:
        UserError: if it is another, or gone.
    """
    if code_of(name) != then:
        raise not_as(f"architecture {name}", study)


def check_task(part: Part, study: str) -> None:
    """Refuses other code, or other data, of a task than those that a part was resolved with.

    Raises:
        UserError: if they are others, or gone.
    """
    now, _ = resolve_task(part.name, part.options)
    if now.source != part.source:
        raise not_as(f"task {part.name}", study)


def not_as(what: str, study: str) -> UserError:
    """Why a study does not go on."""
    return UserError(
        f"the code of {what} is not what study {study} was made with; put it back, or begin another study (--name)"
    )

"""Custom parts: tasks and architectures that users bring, named as package.module:Class.

Their code belongs to an experiment as much as their options do, so its hash is part of the experiment's identity.
"""

import inspect
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, get_args

from architectures.registry import ARCHITECTURES, get_entry, load_encoder_class
from workbench import tasks
from workbench.config import Part
from workbench.custom_code import BUILT_IN, hash_files, written_hash
from workbench.custom_files import hash_data, says_its_data
from workbench.errors import UserError
from workbench.files import describe_error
from workbench.given_classes import GIVEN, given_source
from workbench.tasks.file_names import is_file, path_of

if TYPE_CHECKING:
    from workbench.tasks import Task

PartKind = Literal["task", "architecture"]
PART_KINDS: tuple[PartKind, ...] = get_args(PartKind)
"""Every kind of part that a user may bring. Options are given to one as --KIND.NAME.OPTION VALUE."""

REVISION = "revision "
"""Beginning of the part of a source that is the revision of a name of the catalogue."""
REVISED = re.compile(rf"(?P<revision>{REVISION}\d+(?: with \S+ \d+)?)(?:-(?P<hashes>.+))?")
"""A source that says a revision, such as "revision 2-1f0c", or "revision 1 with grid-lstm 2"."""


def is_custom(name: str) -> bool:
    """Returns whether a name is that of a user's class, by its path package.module:Class or given as an object.

    It is not if it is a name of the catalogue, or of a file.
    """
    return (":" in name and not is_file(name)) or is_given(name)


def is_given(name: str) -> bool:
    """Returns whether a name is that of a class which was given as an object, now or when results were made."""
    return ":" not in name and name not in ARCHITECTURES and name not in tasks.CATALOGUE


def check_unchanged(kind: PartKind, part: Part, owner: str, remedy: str) -> None:
    """Refuses a part whose code, or data, is no longer what it was when the part was resolved.

    Custom code is imported for it, but only after its files were compared, as far as they say what belongs to it.

    Args:
        kind: task or architecture.
        part: as it was resolved. A custom one without a hash of its code is taken as unchanged.
        owner: what was made with it, as in "the experiment".
        remedy: what the user can do, as in "put it back".

    Raises:
        UserError: if it has changed, or is gone; or if weights of an architecture mean something else by now.
    """
    changed = "data" if is_file(part.name) else "code or the data" if kind == "task" else "code"
    refusal = UserError(f"the {changed} of {kind} {part.name} is not what {owner} was made with; {remedy}")
    hashes = split_revision(part.source)[1]
    if is_given(part.name) and hashes is not None and (kind, part.name) not in GIVEN:
        raise UserError(
            f"{kind} {part.name} is a class that {owner} was given as an object, of a notebook or a script; give it "
            f"again, as in workbench.analyze(folder, parts=[{part.name}])"
        )
    if is_custom(part.name) and hashes is not None and not is_given(part.name):
        written = written_hash(part.name)
        if written is not None and written not in hashes.split("-"):
            raise refusal
    source: str | None
    data = None
    if kind == "task" and is_file(part.name):
        # Before it is read: what does not fit the options any more has changed.
        with user_errors(f"task {part.name}"):
            # It imports NumPy and pandas.
            from workbench.tasks.own_data import data_hash

            source = data_hash(part.path or path_of(part.name), part.options.get("split"))
        if source != hashes:
            raise refusal
    elif kind == "task":
        with user_errors(f"task {part.name}"):
            task = tasks.build(part.name, **part.arguments)
            source, data = task_source(part.name, task), task.data
    else:
        source = architecture_source(part.name, part.options)
        if (other := find_other_equations(part)) is not None:
            raise UserError(
                f"the equations of {other} have changed since {owner} was made, and its weights would mean something "
                "else; train a new one"
            )
    now = split_revision(source)[1]
    if kind == "task" and is_custom(part.name) and data is None and hashes is not None and "-" not in hashes:
        # Results from before the files that custom code reads were hashed have no hash of them to compare with.
        now = None if now is None else now.partition("-")[0]
    # What an earlier revision trained can still be read, as long as the equations are the same.
    if now != hashes and (part.source is not None or data is not None):
        raise refusal


def split_revision(source: str | None) -> tuple[str | None, str | None]:
    """Returns the revision in a source, such as "revision 2", and the hashes; `None` for what it does not have."""
    revised = REVISED.fullmatch(source or "")
    if revised is None:
        return None, source
    return revised["revision"], revised["hashes"]


def task_source(name: str, task: "Task") -> str | None:
    """Returns a hash of what a task depends on beside its name and options; `None` if that is the same everywhere.

    It joins its revision, if it is not the first, the hash of its code, if it is custom, and the hash of the files that
    it reads, if they are the user's.
    """
    revision = f"{REVISION}{task.revision}" if task.revision > 1 else None
    data = task.data
    if data is None and is_custom(name) and not says_its_data(task):
        data = hash_data(task, class_files_of(type(task)))
    parts = (revision, class_source(type(task), name), data)
    return "-".join(part for part in parts if part is not None) or None


def architecture_source(name: str, options: Mapping[str, Any]) -> str | None:
    """Returns a hash of the code of a custom architecture as it is now; for a name of the catalogue its revision.

    `None` stands for the first revision, which results of earlier versions have. Where one runs another (`base`), the
    other's revision counts, too.

    Args:
        name: of the architecture.
        options: its options.

    Raises:
        UserError: if there is no architecture of that name.
    """
    with user_errors(f"architecture {name}"):
        entry = get_entry(name)
        base = ARCHITECTURES.get(str(options.get("base"))) if name in ARCHITECTURES else None
        if base is not None and base.revision > base.revision_when_nested:
            return f"{REVISION}{entry.revision} with {options['base']} {base.revision}"
        if entry.revision > 1:
            return f"{REVISION}{entry.revision}"
        return class_source(load_encoder_class(name), name)


def find_other_equations(part: Part) -> str | None:
    """Returns the architecture whose equations are others than when a part was resolved: itself, or its `base`."""
    # Such as "revision 2", or "revision 1 with gru 3" where it runs another one.
    revision = (split_revision(part.source)[0] or f"{REVISION}1").removeprefix(REVISION)
    own, _, nested = revision.partition(" with ")
    entry = ARCHITECTURES.get(part.name)
    if entry is None:
        return None
    if int(own) < entry.equations_since:
        return part.name
    base = ARCHITECTURES.get(str(part.options.get("base")))
    if base is not None:
        before = int(nested.rpartition(" ")[2]) if nested else base.revision_when_nested
        if before < base.equations_since:
            return str(part.options["base"])
    return None


def class_source(cls: type, name: str) -> str | None:
    """Returns a hash of the code of a custom class; `None` for a name of the catalogue.

    The files that define the class and its base classes are hashed, except those of the bench and of PyTorch.

    Args:
        cls: the task's or the architecture's class.
        name: its name in the experiment.
    """
    if not is_custom(name):
        return None
    return given_source(cls) or hash_files(class_files_of(cls))


def class_files_of(cls: type) -> set[str]:
    """Returns the files that define a class and its base classes, except those of the bench and of PyTorch."""
    custom = [base for base in cls.__mro__ if base.__module__.partition(".")[0] not in BUILT_IN]
    return {path for base in custom if (path := source_file(base)) is not None}


def source_file(cls: type) -> str | None:
    """Returns the file that a class is written in; `None` for one of a notebook."""
    try:
        return inspect.getsourcefile(cls)
    except (OSError, TypeError):
        return None


@contextmanager
def user_errors(label: str) -> Iterator[None]:
    """Turns the errors of a task or an architecture, and any exception from custom code, into one line.

    Args:
        label: which it is, as in "task copy": the line begins with it.

    Raises:
        UserError: in place of any other exception.
    """
    try:
        yield
    except UserError:
        raise
    except (ValueError, TypeError) as error:
        message = describe_error(error)
        raise UserError(message if message.startswith(("unknown", label)) else f"{label}: {message}") from error
    except Exception as error:
        raise UserError(f"{label}: {type(error).__name__}: {describe_error(error)}") from error

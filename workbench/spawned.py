"""What a spawned process needs before its work: classes that no module has, and packages that the user's files hide."""

import pickle
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from types import ModuleType
from typing import Any

import cloudpickle

from workbench.given_classes import GIVEN, accept
from workbench.own_packages import own_packages


def pack(target: Callable[..., None], arguments: Sequence[Any]) -> bytes:
    """Returns a call for `run_packed` in another process.

    Args:
        target: a function of a module.
        arguments: its arguments after the connection; what a notebook or a script defines goes along by value.
    """
    # In two steps: the classes have to be there before anything that names them is read.
    return pickle.dumps((cloudpickle.dumps(list(GIVEN.values())), cloudpickle.dumps((target, tuple(arguments)))))


def run_packed(connection: Connection, packed: bytes) -> None:
    """Calls what `pack` packed, with a connection before its arguments. A process's target."""
    classes, call = pickle.loads(packed)
    for given in pickle.loads(classes):
        accept(given)
    # The user's classes may have imported modules of the user's that have the names of packages here.
    with own_packages():
        target, arguments = pickle.loads(call)
        target(connection, *arguments)


@contextmanager
def without_main() -> Iterator[None]:
    """Hides the script that runs from `multiprocessing`, which would run it again in every process it starts.

    Nothing that a process needs comes from it: `pack` takes along by value what it defines. So a script needs no
    `if __name__ == "__main__"`.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main

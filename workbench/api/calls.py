"""What every function of the API shares: its own packages on the path, and lines to the user."""

import sys
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from workbench.errors import one_line
from workbench.own_packages import own_packages

P = ParamSpec("P")
T = TypeVar("T")


def api(function: Callable[P, T]) -> Callable[P, T]:
    """Lets a function import this project's packages whatever modules of their names the user has imported."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        with own_packages():
            return function(*args, **kwargs)

    return call


def say(line: str) -> None:
    """Tells the user what is done, on stderr."""
    print(one_line(line), file=sys.stderr, flush=True)


def warn(line: str) -> None:
    """Tells the user what went wrong or is worth a second look, on stderr."""
    say(f"workbench: {line}")

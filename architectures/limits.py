"""Bounds of sizes that no machine could compute, refused before anything is built; and wrong values, quoted in short.

Without them a size typed with too many digits builds modules for hours, overflows a shape, or takes all memory. Each
bound lies far beyond ten times what the papers train.
"""

import reprlib
from typing import Any

MAX_WIDTH = 2**20
"""Most features, units, channels or symbols: a square matrix of that width takes 4 TiB."""
MAX_LAYERS = 1000
"""Most layers: a stack of so many takes a second to build, and gradients have not survived far fewer."""
MAX_TAPS = 2**16
"""Most taps of a convolution's kernel."""
MAX_STEPS = 10**9
"""Most steps of a sequence, of what an output sees, or of what a unit is to remember."""

CONTAINERS = reprlib.Repr()
"""Writes a list or a mapping without ever looking at more than its first items: one that holds another many times, in
several places and at several depths, may stand for more than memory holds."""
CONTAINERS.maxstring = CONTAINERS.maxother = 200

MAX_QUOTE = 80
"""Most characters of a value in a message."""


def quote(value: Any) -> str:
    """Returns a value as messages quote it: its literal, with the middle left out if it is long.

    Example:
        >>> quote("a" * 70_000)
        "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa ... aaaaaaaaaaaaaaaaaaaa'"
    """
    try:
        literal = repr(value) if isinstance(value, str | int | float) else CONTAINERS.repr(value)
        text = " ".join(literal.split())
    except ValueError:
        # Python refuses to write whole numbers of more than 4,300 digits.
        text = "a value with a number of too many digits to be written"
    except Exception:
        text = f"a value of {type(value).__name__}"
    return text if len(text) <= MAX_QUOTE else f"{text[: MAX_QUOTE - 26]} ... {text[-21:]}"


def check_whole(name: str, value: Any, *, least: int = 1, most: int, why: str) -> None:
    """Raises an error, by name, for anything but a whole number within bounds.

    Args:
        name: of the option.
        value: its value.
        least: the lower bound, itself included.
        most: the upper bound, itself included.
        why: what is wrong beyond the upper one, as in "more than any machine has memory for".

    Raises:
        TypeError: if the value is not a whole number.
        ValueError: if it lies outside.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be a whole number, not {quote(value)}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, not {quote(value)}")
    if value > most:
        raise ValueError(f"{name} must be at most {most:,}, not {quote(value)}: {why}")


def check_width(least: int = 1, **sizes: Any) -> None:
    """Raises an error, by name, for widths that are not whole numbers from `least` to `MAX_WIDTH`."""
    for name, value in sizes.items():
        check_whole(name, value, least=least, most=MAX_WIDTH, why="no machine has the memory for more")


def check_layers(**counts: Any) -> None:
    """Raises an error, by name, for numbers of layers that are not whole numbers from 1 to `MAX_LAYERS`."""
    for name, value in counts.items():
        check_whole(name, value, most=MAX_LAYERS, why="more take hours to build, and no gradient passes them")


def check_steps(least: int = 1, **counts: Any) -> None:
    """Raises an error, by name, for numbers of steps that are not whole numbers from `least` to `MAX_STEPS`."""
    for name, value in counts.items():
        check_whole(name, value, least=least, most=MAX_STEPS, why="no machine has the memory for longer sequences")


def check_reach(steps: int, means: str) -> None:
    """Raises an error if an output would see more than `MAX_STEPS` steps.

    Args:
        steps: what it sees.
        means: the options that make it so, as in "40 layers with kernels of 7".
    """
    if steps > MAX_STEPS:
        raise ValueError(f"{means} would look further back than {MAX_STEPS:,} steps; fewer or smaller ones do")


def check_flag(**flags: Any) -> None:
    """Raises a TypeError, by name, for anything but true or false: a text such as "no" would count as true."""
    for name, value in flags.items():
        if not isinstance(value, bool):
            raise TypeError(f"{name} must be true or false, not {quote(value)}")

"""Palettes of figures: the project's own, and qualitative ones of seaborn and matplotlib by name.

A palette is in use within a `with` statement, and nowhere else: two reports of one process do not share it.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

import seaborn as sns
from seaborn.palettes import MPL_QUAL_PALS, SEABORN_PALETTES

from architectures.suggest import did_you_mean
from workbench.errors import UserError

OWN = "workbench"
"""Name of the project's own palette, a fixed color for each architecture (`analysis.style.LINE_STYLES`)."""
GREY = "grey"
"""Name of the palette for print without color."""
GREYS = ("#000000", "#7d7d7d", "#3d3d3d", "#929292", "#5f5f5f")
"""Greys with a contrast of 3:1 or more against white; markers and dashes tell apart what shares one."""

_current: ContextVar[str] = ContextVar("palette", default=OWN)


def names() -> tuple[str, ...]:
    """Returns the names of all palettes, the project's own first."""
    return (OWN, GREY, *SEABORN_PALETTES, *MPL_QUAL_PALS)


def check_palette(name: str) -> str:
    """Returns the name of a palette.

    Raises:
        UserError: if there is none of that name; the message has similar ones.
    """
    if name not in names():
        raise UserError(f"unknown palette {name!r}{did_you_mean(name, names())}")
    return name


@contextmanager
def use_palette(name: str) -> Iterator[None]:
    """Draws everything within with a palette: lines, markers and the samples beside names in tables.

    Raises:
        UserError: if there is no palette of that name.
    """
    token = _current.set(check_palette(name))
    try:
        yield
    finally:
        _current.reset(token)


def current_palette() -> str:
    """Returns the name of the palette in use."""
    return _current.get()


def current_colors() -> tuple[str, ...] | None:
    """Returns the colors of the palette in use as `#rrggbb`; `None` for the project's own."""
    name = _current.get()
    if name == OWN:
        return None
    return GREYS if name == GREY else tuple(sns.color_palette(name).as_hex())


def is_grey() -> bool:
    """Returns whether the palette in use is the one for print without color."""
    return _current.get() == GREY


def share_colors(places: Sequence[int], colors: Sequence[str]) -> list[str]:
    """Returns a color for each of some places in a list that is longer than the palette.

    Each place has the color at its own position, counted round and round, or the next one that is free: a name has the
    same color in two reports as long as that keeps the colors within each apart. None returns before all are used.

    Args:
        places: different places, 0 or more.
        colors: the palette.
    """
    chosen: list[str] = []
    free: list[int] = []
    for place in places:
        free = free or list(range(len(colors)))
        index = min(free, key=lambda index: (index - place) % len(colors))
        free.remove(index)
        chosen.append(colors[index])
    return chosen

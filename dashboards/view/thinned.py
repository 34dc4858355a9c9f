"""Curves of many steps with no more points than can be seen: a browser would stand still over a million of them."""

from dataclasses import replace
from itertools import pairwise

import numpy as np

from analysis.curves import Panels
from analysis.histories import History, Lost

POINTS = 1000
"""Of a line, about; a figure is some hundred pixels wide."""


def panels(drawn: Panels) -> Panels:
    """What there is to draw, every line thinned."""
    return {column: [history(each) for each in histories] for column, histories in drawn.items()}


def history(full: History) -> History:
    """A row's curve, and the runs that were lost."""
    seen = places(full.mean)
    return replace(
        full,
        step=full.step[seen],
        mean=full.mean[seen],
        half=full.half[seen],
        lost=tuple(lost(each) for each in full.lost),
    )


def lost(full: Lost) -> Lost:
    """A run that diverged."""
    seen = places(full.value)
    return replace(full, step=full.step[seen], value=full.value[seen])


def places(values: np.ndarray) -> np.ndarray:
    """Which values are drawn: the lowest and the highest of each stretch, so that no spike is lost, and both ends.

    Args:
        values: finite, (time,).

    Returns:
        Their places, in order; all of them where there are few.
    """
    if len(values) <= POINTS:
        return np.arange(len(values))
    edges = np.linspace(0, len(values), POINTS // 2 + 1).astype(int)
    found = {0, len(values) - 1}
    for begin, end in pairwise(edges):
        stretch = values[begin:end]
        found |= {int(begin + stretch.argmin()), int(begin + stretch.argmax())}
    return np.array(sorted(found))

"""Lines that fall over many decades."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from analysis.plots.panel import Line, Panel, line
from analysis.probed import Probed
from analysis.scales import Scale

DECADES = 12
"""That a panel shows at most, from its largest value down; a line ends where it falls below."""


def lines_of(rows: Sequence[Probed], name: str) -> list[Line]:
    """The rows' curves of that name."""
    found = [(probed, probed.curve(name)) for probed in rows]
    return [_banded(line(probed, curve), probed) for probed, curve in found if curve is not None]


def from_logs(lines: Sequence[Line]) -> list[Line]:
    """Lines of what their values are the logarithms to base 10 of."""

    def power(values: np.ndarray | None) -> np.ndarray | None:
        return None if values is None else np.asarray(10.0**values)

    return [replace(each, y=10.0**each.y, low=power(each.low), high=power(each.high)) for each in lines]


def falling(lines: Sequence[Line], x_label: str, y_label: str, *, log_x: bool = False) -> Panel | None:
    """A panel of lines on a logarithmic axis; `None` if nothing positive is left to be drawn."""
    if log_x:
        lines = [_picked(each, each.x > 0) for each in lines]
    tops = [float(each.y[each.y > 0].max()) for each in lines if (each.y > 0).any()]
    if not tops:
        return None
    top = max(tops)
    floor = top * 10.0**-DECADES
    shown = [replace(each, y=np.where(each.y >= floor, each.y, np.nan)) for each in lines]
    shown = [each for each in shown if np.isfinite(each.y).sum() > 1]
    if not shown:
        return None
    low = min(float(np.nanmin(each.y)) for each in shown)
    room = (top / low) ** 0.05 if top / low > 10 else 10**0.25
    scale = Scale(low=low / room, high=top * room, log=True)
    return Panel(lines=shown, x_label=x_label, y_label=y_label, log_x=log_x, scale=scale)


def _banded(each: Line, probed: Probed) -> Line:
    """Without its band where that is over two seeds: 12.7 standard errors wide, it would hide all other lines."""
    return replace(each, low=None, high=None) if len(probed.findings) == 2 else each


def _picked(each: Line, where: np.ndarray) -> Line:
    low, high = (None if values is None else values[where] for values in (each.low, each.high))
    return replace(each, x=each.x[where], y=each.y[where], low=low, high=high)

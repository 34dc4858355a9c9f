"""Texts in figures, cut to the room that they have."""

from collections.abc import Iterable
from functools import lru_cache

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from analysis.style import theme

TICK = 8.5
"""Points of the text at ticks."""
GAP = 4.0
"""Points between neighbours."""


@lru_cache(maxsize=4096)
def width(text: str, size: float = TICK) -> float:
    """The points that a text is wide."""
    with theme():
        # At 72 dots to the inch, a pixel is a point.
        figure = Figure(dpi=72)
        FigureCanvasAgg(figure)
        return float(figure.text(0, 0, text, fontsize=size, parse_math=False).get_window_extent().width)


def widest(texts: Iterable[str], size: float) -> float:
    """The points of the widest text; 0 where there is none."""
    return max((width(text, size) for text in texts), default=0.0)


def fitted(text: str, room: float, size: float = TICK) -> str:
    """The text, or as much of its beginning as fits with an ellipsis; nothing where not even that does.

    Args:
        text: what should stand there.
        room: points that it may take.
        size: of the font, in points.
    """
    if width(text, size) <= room:
        return text
    kept = next((cut for cut in range(len(text) - 1, 0, -1) if width(f"{text[:cut]}…", size) <= room), 0)
    return f"{text[:kept]}…" if kept else ""

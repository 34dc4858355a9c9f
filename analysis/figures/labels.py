"""Labels beside the ends of curves, in place of a legend, and texts that are fitted to the room they have."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.transforms import Affine2D
from scipy.optimize import isotonic_regression

from analysis.style import AID_COLOR, TEXT_COLOR, theme

MAX_CHARACTERS = 28
"""Characters per line of a label."""
FONT_SIZE = 9.5
"""Font size of labels, in points."""
LINE_HEIGHT = 1.3 * FONT_SIZE
"""Points from one line to the next."""
LEADER_WIDTH, SAMPLE_WIDTH, LABEL_GAP = 12.0, 22.0, 5.0
"""Points from the axes to the sample of the curve, of the sample, and from there to the text."""
TICK_FONT_SIZE = 8.5
"""Font size of the text at ticks, in points."""
TEXT_GAP = 4.0
"""Points between neighbouring texts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """The label at the end of a curve."""

    text: str
    y: float
    """The end of the curve, as a fraction of the axes' height."""
    plot_keywords: dict[str, Any]
    """The keyword arguments of `Axes.plot` that the curve was drawn with."""

    @property
    def lines(self) -> list[str]:
        """The text, wrapped."""
        return wrap_text(self.text)


def add_labels(axes: Axes, labels: Sequence[Label]) -> None:
    """Writes labels to the right of the axes, without overlap, each as close to the end of its curve as possible."""
    figure = axes.get_figure(root=True)
    assert figure is not None, "the axes are in no figure"
    points = axes.get_window_extent().transformed(Affine2D().scale(72 / figure.dpi))
    ordered = sorted(labels, key=lambda label: (label.y, label.text))
    heights = [LINE_HEIGHT * len(label.lines) / points.height for label in ordered]
    keywords: dict[str, Any] = {"transform": axes.transAxes, "clip_on": False}

    def x(offset: float) -> float:
        return 1 + offset / points.width

    for label, y in zip(ordered, spread_boxes([label.y for label in ordered], heights), strict=True):
        axes.plot([x(2), x(LEADER_WIDTH - 2)], [label.y, y], color=AID_COLOR, linewidth=0.5, marker="", **keywords)
        sample = [x(LEADER_WIDTH), x(LEADER_WIDTH + SAMPLE_WIDTH / 2), x(LEADER_WIDTH + SAMPLE_WIDTH)]
        axes.plot(sample, [y, y, y], **{**label.plot_keywords, "markevery": [1]}, **keywords)
        for number, line in enumerate(label.lines):
            # Aligned by the baseline: centered, a name with a descender would be higher than its neighbours.
            below = LINE_HEIGHT * (number - (len(label.lines) - 1) / 2) + 0.35 * FONT_SIZE
            position = (x(LEADER_WIDTH + SAMPLE_WIDTH + LABEL_GAP), y - below / points.height)
            axes.text(*position, line, transform=axes.transAxes, fontsize=FONT_SIZE, color=TEXT_COLOR, parse_math=False)


def labels_height(labels: Sequence[Label]) -> float:
    """Returns the height of the labels one below the other, in points."""
    return LINE_HEIGHT * sum(len(label.lines) for label in labels)


def labels_margin(labels: Sequence[Label]) -> float:
    """Returns the width that the labels need to the right of the axes, in points."""
    # At 72 dots per inch, a pixel is a point.
    figure = Figure(dpi=72)
    FigureCanvasAgg(figure)
    texts = (figure.text(0, 0, line, fontsize=FONT_SIZE, parse_math=False) for label in labels for line in label.lines)
    widest = max((text.get_window_extent().width for text in texts), default=0.0)
    return LEADER_WIDTH + SAMPLE_WIDTH + LABEL_GAP + widest + LABEL_GAP


def spread_boxes(wanted: Sequence[float], heights: Sequence[float]) -> list[float]:
    """Returns centers of boxes that do not overlap, as close as possible to where they are wanted.

    The boxes are stacked in order: with the heights of the boxes below subtracted, their positions must not decrease,
    and isotonic regression gives the closest such positions. The stack is then moved to between 0 and 1 if it fits.

    Args:
        wanted: the wanted centers, ascending.
        heights: the heights of the boxes.
    """
    offsets = np.cumsum(heights) - np.asarray(heights) / 2
    bottoms = isotonic_regression(np.asarray(wanted) - offsets).x
    top = max(0.0, 1 - sum(heights))
    centers: list[float] = (np.clip(bottoms, 0.0, top) + offsets).tolist()
    return centers


def wrap_text(text: str, width: int = MAX_CHARACTERS) -> list[str]:
    """Wraps a text after spaces and the characters that join dotted paths and options."""
    lines, rest = [], text
    while len(rest) > width:
        cut = max((rest.rfind(sign, 0, width) for sign in " .:,/_-"), default=-1) + 1 or width
        lines.append(rest[:cut].rstrip())
        rest = rest[cut:].lstrip()
    return [*lines, rest] if rest else lines


@lru_cache(maxsize=4096)
def text_width(text: str, size: float = TICK_FONT_SIZE) -> float:
    """Returns the width of a text at a font size, both in points."""
    with theme():
        # At 72 dots per inch, a pixel is a point.
        figure = Figure(dpi=72)
        FigureCanvasAgg(figure)
        return float(figure.text(0, 0, text, fontsize=size, parse_math=False).get_window_extent().width)


def max_text_width(texts: Iterable[str], size: float) -> float:
    """Returns the width of the widest text in points; 0 without texts."""
    return max((text_width(text, size) for text in texts), default=0.0)


def fit_text(text: str, room: float, size: float = TICK_FONT_SIZE) -> str:
    """Returns the text, or as much of its beginning as fits with an ellipsis; nothing if not even that fits.

    Args:
        text: the text.
        room: the width that it may have, in points.
        size: the font size, in points.
    """
    if text_width(text, size) <= room:
        return text
    length = next((cut for cut in range(len(text) - 1, 0, -1) if text_width(f"{text[:cut]}…", size) <= room), 0)
    return f"{text[:length]}…" if length else ""

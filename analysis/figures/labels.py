"""Labels beside the ends of curves, in place of a legend: none overlaps another."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.transforms import Affine2D

from analysis.style import FAINT, INK, theme

WRAP = 28
"""Characters to a line of a label."""
SIZE = 9.5
"""Points."""
LINE = 1.3 * SIZE
"""Points from one line to the next."""
LEADER, SAMPLE, LABEL_GAP = 12.0, 22.0, 5.0
"""Points from the axes to the sample of the curve, its length, and from there to the text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """What stands beside the end of a curve."""

    text: str
    y: float
    """Where the curve ends, as a fraction of the axes' height."""
    line: dict[str, Any]
    """The keywords that the curve was drawn with."""

    @property
    def lines(self) -> list[str]:
        """The text, broken where it is too long for a line."""
        return wrapped(self.text)


def wrapped(text: str, width: int = WRAP) -> list[str]:
    """Breaks a text after spaces and the signs that dotted paths and options are joined with."""
    lines, rest = [], text
    while len(rest) > width:
        cut = max((rest.rfind(sign, 0, width) for sign in " .:,/_-"), default=-1) + 1 or width
        lines.append(rest[:cut].rstrip())
        rest = rest[cut:].lstrip()
    return [*lines, rest] if rest else lines


def height(labels: Sequence[Label]) -> float:
    """The points that the labels take up, one below the other."""
    return LINE * sum(len(label.lines) for label in labels)


def margin(labels: Sequence[Label]) -> float:
    """The points that the labels need to the right of the axes."""
    # At 72 dots to the inch, a pixel is a point.
    figure = Figure(dpi=72)
    FigureCanvasAgg(figure)
    lines = (figure.text(0, 0, line, fontsize=SIZE, parse_math=False) for label in labels for line in label.lines)
    widest = max((line.get_window_extent().width for line in lines), default=0.0)
    return LEADER + SAMPLE + LABEL_GAP + widest + LABEL_GAP


def add(axes: Axes, labels: Sequence[Label]) -> None:
    """Writes the labels to the right of the axes, each as near to its curve's end as the others allow."""
    figure = axes.get_figure(root=True)
    assert figure is not None, "the axes are in no figure"
    points = axes.get_window_extent().transformed(Affine2D().scale(72 / figure.dpi))
    ordered = sorted(labels, key=lambda label: (label.y, label.text))
    heights = [LINE * len(label.lines) / points.height for label in ordered]
    aid: dict[str, Any] = {"transform": axes.transAxes, "clip_on": False}

    def x(offset: float) -> float:
        return 1 + offset / points.width

    for label, y in zip(ordered, spread([label.y for label in ordered], heights), strict=True):
        axes.plot([x(2), x(LEADER - 2)], [label.y, y], color=FAINT, linewidth=0.5, marker="", **aid)
        ends = [x(LEADER), x(LEADER + SAMPLE / 2), x(LEADER + SAMPLE)]
        axes.plot(ends, [y, y, y], **{**label.line, "markevery": [1]}, **aid)
        for number, line in enumerate(label.lines):
            # By the baseline: centred, a name with a descender would stand higher than its neighbours.
            below = LINE * (number - (len(label.lines) - 1) / 2) + 0.35 * SIZE
            where = (x(LEADER + SAMPLE + LABEL_GAP), y - below / points.height)
            axes.text(*where, line, transform=axes.transAxes, fontsize=SIZE, color=INK, parse_math=False)


def spread(wanted: Sequence[float], heights: Sequence[float]) -> list[float]:
    """Centres for boxes that do not overlap, as near as can be to where they are wanted.

    Boxes that would overlap are merged into a block around their common mean (pool adjacent violators), and the
    whole is kept between 0 and 1 as far as it fits.

    Args:
        wanted: the centres, ascending.
        heights: of the boxes.
    """
    offsets = [sum(heights[:index]) + heights[index] / 2 for index in range(len(heights))]
    blocks: list[list[float]] = []  # of wanted bottoms of the stack, one block for boxes that touch
    for centre, offset in zip(wanted, offsets, strict=True):
        blocks.append([centre - offset])
        while len(blocks) > 1 and mean(blocks[-2]) > mean(blocks[-1]):
            last = blocks.pop()
            blocks[-1] += last
    bottoms = [mean(block) for block in blocks for _ in block]
    top = max(0.0, 1 - sum(heights))
    return [min(max(bottom, 0.0), top) + offset for bottom, offset in zip(bottoms, offsets, strict=True)]


def mean(values: Sequence[float]) -> float:
    """The arithmetic mean."""
    return sum(values) / len(values)


TICK = 8.5
"""Points of the text at ticks."""
TEXT_GAP = 4.0
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

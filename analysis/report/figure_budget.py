"""Figures of the page within a budget of bytes: as they are, packed together, or left in their files."""

import base64
import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

from analysis.report.blocks import Figure
from analysis.report.compact_svg import FigureStyles, figure_name

PLAIN_BYTES = 50_000
"""Bytes of figures that stand in the page as they are.

All others are seen without a script only beside their files.
"""
PACKED_BYTES = 700_000
"""Bytes of figures that stand in the page packed, in a third of them, for its script to unpack.

All others are in their files only.
"""
FEW_TASKS = 4
"""Tasks up to which a page has the whole budget."""
PACKED_BYTES_OF_MANY = 150_000
"""Bytes of packed figures in a page of more tasks, whose tables take the room."""
SUFFIXES = ("svg", "png", "pdf")


@dataclass(frozen=True, slots=True, kw_only=True)
class PageFigure:
    """A figure as it stands in the page."""

    svg: Markup | None
    """The drawing; `None` if it is packed, or only in its files."""
    index: int | None
    """Its place among the packed drawings; `None` if it is not packed."""
    files: tuple[tuple[str, str], ...]
    """Format and address of each of its files."""


@dataclass(slots=True)
class FigureBudget:
    """What of the budget of bytes is left, and the styles of the figures so far.

    Figures are to be added in order of their weight: the headline figure of each chapter first.
    """

    plain: int = PLAIN_BYTES
    packed: int = PACKED_BYTES
    drawings: list[str] = field(default_factory=list)
    """The packed drawings."""
    styles: FigureStyles = field(default_factory=FigureStyles)

    def add(self, figure: Figure, files: Iterable[str]) -> PageFigure:
        """Returns a figure as it stands in the page.

        Args:
            figure: the figure.
            files: names of the files in the folder of figures.
        """
        name, names = figure_name(figure.svg), set(files)
        svg = self.styles.compact(figure.svg)
        drawing, index = None, None
        if len(svg) <= self.plain:
            drawing = svg
            self.plain -= len(svg)
        elif len(svg) <= self.packed:
            index = len(self.drawings)
            self.drawings.append(svg)
            self.packed -= len(svg)
        return PageFigure(
            svg=drawing,
            index=index,
            files=tuple(
                (suffix.upper(), f"figures/{name}.{suffix}") for suffix in SUFFIXES if f"{name}.{suffix}" in names
            ),
        )


def pack(texts: Sequence[str]) -> str:
    """Returns texts as a JSON list, deflated and in base64; empty if there are none.

    Browsers read it with `DecompressionStream("deflate-raw")`.
    """
    if not texts:
        return ""
    deflater = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    text = json.dumps(texts, ensure_ascii=False)
    return base64.b64encode(deflater.compress(text.encode()) + deflater.flush()).decode("ascii")


def place_figures(
    heads: Iterable[Figure], rests: Iterable[Figure], files: Iterable[str], budget: FigureBudget
) -> Mapping[int, PageFigure]:
    """Returns every figure of a page as it stands there, by the identity of the block.

    Args:
        heads: the figures that are always shown.
        rests: those that are folded away.
        files: names of the files in the folder of figures.
        budget: the budget of bytes.
    """
    names = set(files)
    return {id(figure): budget.add(figure, names) for figures in (heads, rests) for figure in figures}

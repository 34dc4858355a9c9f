"""What a report is made of. A chapter is a title and blocks; every analysis builds its own and hands it to the page."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from markupsafe import Markup

from analysis.style import LineStyle


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """Sentences."""

    kind: ClassVar[str] = "text"
    sentences: tuple[str, ...]
    role: Literal["plain", "summary", "fair", "unfair"] = "plain"
    lead: str = ""
    """A word or two in bold before them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Points:
    """Sentences, a line each."""

    kind: ClassVar[str] = "points"
    sentences: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of a table."""

    heading: str
    group: str = ""
    """A heading above it and its neighbours of the same group."""
    kind: Literal["number", "text", "lines", "prose"] = "number"
    """Numbers are set flush right, in figures of equal width; lines are broken where the text breaks them, and prose
    where it has to be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A cell of a table."""

    text: str
    strong: bool = False
    look: LineStyle | None = None
    """Of the curve that the cell names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table. The first cell of every line is its heading."""

    kind: ClassVar[str] = "table"
    caption: str
    columns: tuple[Column, ...]
    lines: tuple[tuple[Cell, ...], ...]
    footer: tuple[tuple[Cell, ...], ...] = ()
    """Lines that are no rows of the comparison, such as a baseline."""

    @property
    def groups(self) -> list[tuple[str, int]]:
        """The headings above the columns, with the number of columns below each."""
        found: list[tuple[str, int]] = []
        for column in self.columns:
            if found and found[-1][0] == column.group:
                found[-1] = (column.group, found[-1][1] + 1)
            else:
                found.append((column.group, 1))
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A figure, as an element of the page (`analysis.report.output_files.inline`)."""

    kind: ClassVar[str] = "figure"
    svg: Markup
    caption: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Definitions:
    """Terms and what they mean."""

    kind: ClassVar[str] = "definitions"
    terms: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A file's text, folded away under its title."""

    kind: ClassVar[str] = "listing"
    title: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """A heading inside a chapter, such as the task that what follows is about."""

    kind: ClassVar[str] = "heading"
    text: str


Block = Heading | Text | Points | Table | Figure | Definitions | Listing


@dataclass(frozen=True, slots=True, kw_only=True)
class Chapter:
    """A part of the report, with a line in its contents."""

    anchor: str
    """Its name in links: lower-case letters, digits and hyphens, its own in the whole page."""
    title: str
    blocks: tuple[Block, ...]
    outline: str = ""
    """What its line in the contents says beside the title."""

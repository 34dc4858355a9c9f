"""Building blocks of the report: a chapter is a title and blocks of text, tables and figures."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from markupsafe import Markup

from analysis.style import LineStyle


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A paragraph."""

    kind: ClassVar[str] = "text"
    sentences: tuple[str, ...]
    role: Literal["plain", "summary", "fair", "unfair"] = "plain"
    lead: str = ""
    """A word or two in bold at the start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Points:
    """A bulleted list of sentences."""

    kind: ClassVar[str] = "points"
    sentences: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of a table."""

    heading: str
    group: str = ""
    """Heading above this column and its neighbours of the same group."""
    kind: Literal["number", "text", "lines", "prose"] = "number"
    """Numbers are right-aligned, with digits of equal width; `lines` keep their line breaks, `prose` is wrapped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A cell of a table."""

    text: str
    strong: bool = False
    line_style: LineStyle | None = None
    """Style of the curve that the cell names, drawn beside the text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table. The first cell of every row is the row's heading."""

    kind: ClassVar[str] = "table"
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    footer: tuple[tuple[Cell, ...], ...] = ()
    """Rows that do not take part in the comparison, such as a baseline."""

    @property
    def groups(self) -> list[tuple[str, int]]:
        """The headings above the columns, with the number of columns below each."""
        groups: list[tuple[str, int]] = []
        for column in self.columns:
            if groups and groups[-1][0] == column.group:
                groups[-1] = (column.group, groups[-1][1] + 1)
            else:
                groups.append((column.group, 1))
        return groups


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A figure (`analysis.report.output_files.save_and_inline`), placed in the page by `figure_budget`."""

    kind: ClassVar[str] = "figure"
    svg: Markup
    caption: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Definitions:
    """Terms and their definitions."""

    kind: ClassVar[str] = "definitions"
    terms: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """The text of a file, folded away under its title."""

    kind: ClassVar[str] = "listing"
    title: str
    text: str
    note: str = ""
    """Text in small print behind the title."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """A heading inside a chapter, such as the task that the following blocks are about."""

    kind: ClassVar[str] = "heading"
    text: str


Block = Heading | Text | Points | Table | Figure | Definitions | Listing


@dataclass(frozen=True, slots=True, kw_only=True)
class Chapter:
    """A chapter of the report, with an entry in the table of contents."""

    anchor: str
    """Name in links: lower-case letters, digits and hyphens, unique in the page."""
    title: str
    blocks: tuple[Block, ...]
    outline: str = ""
    """What the chapter says, shown for its entry in the table of contents."""

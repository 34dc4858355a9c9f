"""Chapters folded to their sentences and one figure."""

from markupsafe import Markup

from analysis.report.blocks import Block, Cell, Chapter, Column, Figure, Heading, Listing, Table, Text
from analysis.report.fold import MAX_OPEN_ROWS, fold_chapter

OPENING = Text(sentences=("It is so.",), role="summary")
WARNING = Text(sentences=("But beware.",), role="unfair")
FIGURE = Figure(svg=Markup("<svg></svg>"), caption="one")
OTHER = Figure(svg=Markup("<svg></svg>"), caption="two")


def table(rows: int = 1) -> Table:
    return Table(caption="t", columns=(Column(heading="a"),), rows=((Cell(text="1"),),) * rows)


def fold(*blocks: Block) -> tuple[tuple[Block, ...], tuple[Block, ...], str]:
    folded = fold_chapter(Chapter(anchor="it", title="It", blocks=blocks))
    return folded.head, folded.rest, folded.contents


def test_the_opening_and_the_first_figure_stay() -> None:
    first, second, prose = Heading(text="copy"), Heading(text="digits"), Text(sentences=("More.",))
    assert fold(WARNING, OPENING, first, prose, FIGURE, table(), second, OTHER) == (
        (WARNING, OPENING, first, FIGURE),
        (prose, table(), second, OTHER),
        "1 figure and 1 table",
    )


def test_a_table_stands_in_for_a_figure() -> None:
    assert fold(OPENING, table(), table()) == ((OPENING, table()), (table(),), "1 table")
    long = table(MAX_OPEN_ROWS + 1)
    assert fold(OPENING, long) == ((OPENING,), (long,), "1 table")


def test_what_opens_with_no_summary_is_folded_whole() -> None:
    listing = Listing(title="lstm", text="a: 1")
    assert fold(Text(sentences=(), lead="copy"), listing, listing)[0] == ()
    assert fold(Text(sentences=("Plain.",)))[2] == "the whole text"

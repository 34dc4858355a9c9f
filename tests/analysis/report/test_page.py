"""The page's data and scripts, which no content of a run can break out of."""

import json
import math
from dataclasses import replace

from markupsafe import Markup

from analysis.report.blocks import Block, Cell, Chapter, Column, Figure, Heading, Listing, Table, Text
from analysis.report.page import (
    CURVE_LIBRARY,
    SCRIPT,
    Page,
    mark_commands,
    read_script,
    read_styles,
    render_page,
    to_script_json,
)
from tests.analysis.page import Page as ParsedPage

HOSTILE = "</script><!-- <script>alert(1)</script> & \u2028 '\""


def test_json_in_a_script_cannot_end_it() -> None:
    value = {HOSTILE: [HOSTILE, 1.5, math.inf, math.nan, None, ("a", -math.inf)]}
    text = to_script_json(value)
    assert not set(text) & set("<>&\u2028\u2029")
    assert json.loads(text) == {HOSTILE: [HOSTILE, 1.5, None, None, None, ["a", None]]}


def test_scripts_lose_only_indentation_and_comments() -> None:
    text = read_script(SCRIPT)
    assert text.startswith("(() => {")
    assert text.endswith("})();")
    assert "//" not in "".join(line for line in text.splitlines() if line.startswith("//"))
    assert "innerHTML" not in text
    assert read_script(CURVE_LIBRARY).startswith("/*! https://github.com/leeoniya/uPlot")


def test_commands_in_sentences_are_code_and_the_rest_is_escaped() -> None:
    assert mark_commands("`a <b>` on <c>, `d`") == "<code>a &lt;b&gt;</code> on &lt;c&gt;, <code>d</code>"
    assert mark_commands("one ` alone") == "one ` alone"
    page = Page(title="", overview="`workbench analyze` adds", chapters=[])
    assert "<code>workbench analyze</code> adds" in render_page(page)


def test_styles_are_without_comments() -> None:
    text = read_styles(("report.css",))
    assert "/*" not in text
    assert text.count("{") == text.count("}") > 50


def test_a_page_without_tasks_has_chapters_only() -> None:
    chapter = Chapter(
        anchor="it",
        title="It <b>is</b>",
        outline="so",
        blocks=(Text(sentences=(HOSTILE,), role="summary"), Listing(title="lstm", note="a1b2c3", text=HOSTILE)),
    )
    source = render_page(Page(title="t", overview="o", chapters=(chapter,)))
    page = ParsedPage(source)
    assert "It <b>is</b>" in page.text
    assert HOSTILE in page.paragraphs
    assert "lstm a1b2c3" in page.text
    assert "script" not in page.tags
    assert len(page.scripts) == 2
    assert "b" not in page.tags
    assert "uPlot" not in source.partition("<script")[0]


def test_a_caption_that_another_task_has_word_for_word_stands_once() -> None:
    long, other = "What each of the many curves means, at length, and its band.", "Another."
    figures = [Figure(svg=Markup("<svg viewBox='0 0 1 1'></svg>"), caption=text) for text in (long, other, long, other)]
    blocks: tuple[Block, ...] = (Heading(text="copy"), *figures[:2], Heading(text="digits"), *figures[2:])
    one = Chapter(anchor="it", title="It", blocks=blocks)
    two = replace(one, anchor="that", blocks=(Heading(text="text"), Figure(svg=figures[0].svg, caption=long)))
    source = render_page(Page(title="t", overview="o", chapters=(one, two)))
    assert source.count(long) == 2
    assert source.count("As described under copy.") == 1
    assert source.count(other) == 2


def test_cells_and_rows_are_read_back_without_their_end_tags() -> None:
    rows = (("lstm", "1 & 2"), ("gru", "<3>"))
    table = Table(
        caption="T",
        columns=(Column(heading="name", kind="text"), Column(heading="a\nb")),
        rows=tuple(tuple(Cell(text=text, strong=text == "<3>") for text in row) for row in rows),
        footer=((Cell(text="trivial"), Cell(text="")),),
    )
    chapter = Chapter(anchor="it", title="It", blocks=(Text(sentences=("So.",), role="summary"), table))
    page = ParsedPage(render_page(Page(title="t", overview="o", chapters=(chapter,))))
    cells = [[cell.strip() for cell in row] for row in page.tables["T"]]
    assert cells == [["name", "a\nb"], ["lstm", "1 & 2"], ["gru", "<3>"], ["trivial", ""]]

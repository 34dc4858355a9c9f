"""The page's data and scripts, which no content of a run can break out of."""

import json
import math

from analysis.report.blocks import Chapter, Listing, Text
from analysis.report.page import CURVE_LIBRARY, SCRIPT, Page, read_script, read_styles, render_page, to_script_json
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

"""Markdown: escaped text, code without backticks, tables."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.papers.markdown import escape, inline_code, markdown_table

UNESCAPED = re.compile(r"(?<!\\)(?:\\\\)*[`*_{}\[\]<>|#&~$]")
"""A character of markup that is not escaped by a backslash."""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("steps until loss < 0.001", r"steps until loss \< 0.001"),
        ("<script>alert(1)</script>", r"\<script\>alert(1)\</script\>"),
        ("a|b", r"a\|b"),
        ("`rm`", r"\`rm\`"),
        ("a\\|b", r"a\\\|b"),
        ("[x](y) *z* _w_ #1", r"\[x\](y) \*z\* \_w\_ \#1"),
        ("&lt;b&gt; ~~no~~ $x$", r"\&lt;b\&gt; \~\~no\~\~ \$x\$"),
        ("two\nlines\t and  spaces ", "two lines and spaces"),
        ("5.8 \u00d7 10⁻⁵ ± 0.1", "5.8 \u00d7 10⁻⁵ ± 0.1"),
        ("", ""),
    ],
)
def test_a_text_shows_as_it_is(text, expected):
    assert escape(text) == expected


@given(st.text(alphabet="ab \n\\`*_{}[]<>|#&~$.-", max_size=30))
def test_of_whatever_text_no_markup_is_left_and_nothing_is_lost(text):
    escaped = escape(text)
    assert UNESCAPED.search(escaped) is None
    assert re.sub(r"\\(.)", r"\1", escaped) == " ".join(text.split())


def test_code_holds_no_backtick_of_its_own():
    assert inline_code("a `b`\nc|d <script>") == "`a 'b' c|d <script>`"


def test_a_table_has_its_columns_and_its_lines():
    lines = [("a", escape("x|y"), "1"), ("b", "z", "2")]
    assert markdown_table(("name", "text", "n"), lines, left=2) == (
        "| name | text | n |\n| --- | --- | ---: |\n| a | x\\|y | 1 |\n| b | z | 2 |"
    )
    assert markdown_table(("name", "n"), iter([])) == "| name | n |\n| --- | ---: |"

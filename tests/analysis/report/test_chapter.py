"""How a chapter of a probe is put together, whatever was probed."""

from types import SimpleNamespace
from typing import Any

from analysis.probes.aggregate import SectionResults
from analysis.report.blocks import Chapter, Heading, Points, Text
from analysis.report.chapter import build_chapter

FIGURE = Text(sentences=("a figure",))


def task(title, rows=("gru",), absent=()):
    of: Any = SimpleNamespace(title=title)
    return SectionResults(section=of, rows=tuple(rows), absent=tuple(absent))


def put_together(*sections, sentences=("Most.", "More.", "Less."), **rest):
    return build_chapter(
        sections, anchor="it", title="It", sentences=lambda section: sentences, proof=lambda section: [FIGURE], **rest
    )


def test_one_task():
    lost = [("rnn", "no gates"), ("tcn", "no state"), ("gru", "no gates")]
    assert put_together(task("copy", absent=lost), lacking=lambda section: ["Half of it: too long."]) == Chapter(
        anchor="it",
        title="It",
        blocks=(
            Text(sentences=("Most.",), role="summary"),
            Points(sentences=("More.", "Less.")),
            FIGURE,
            Text(
                sentences=("Half of it: too long.", "rnn and gru: no gates.", "tcn: no state."), lead="Not available."
            ),
        ),
    )


def test_several_tasks_have_headings_and_those_without_rows_are_left_out():
    found = put_together(task("copy"), task("empty", rows=(), absent=[("gru", "no recall")]), task("digits"))
    assert found is not None
    assert found.blocks == (
        Text(sentences=("On copy: Most.", "On digits: Most."), role="summary"),
        Heading(text="copy"),
        Points(sentences=("More.", "Less.")),
        FIGURE,
        Heading(text="digits"),
        Points(sentences=("More.", "Less.")),
        FIGURE,
    )


def test_where_there_is_nothing_to_say_the_figures_stand_alone():
    found = put_together(task("copy"), sentences=())
    assert found is not None
    assert found.blocks == (Text(sentences=(), role="summary"), FIGURE)


def test_without_any_row_there_is_no_chapter():
    assert put_together() is None
    assert put_together(task("copy", rows=(), absent=[("gru", "no recall")])) is None

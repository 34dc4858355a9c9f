"""Chapter builder: sentences, evidence and what is unavailable, task by task."""

from types import SimpleNamespace
from typing import Any

import numpy as np

from analysis.figures.panels import Line, Panel
from analysis.grouping import Row
from analysis.probes.aggregate import RowResults, SectionResults
from analysis.probes.result import ProbeResult
from analysis.report.blocks import Chapter, Heading, Points, Text
from analysis.report.chapter import (
    MANY_ROWS,
    alt_text,
    build_chapter,
    capitalize_first,
    describe_intervals,
    first_of_many,
    labels_by_unavailable,
)
from analysis.style import LINE_STYLES

FIGURE = Text(sentences=("a figure",))


def section_results(title, rows=("gru",), absent=()):
    section: Any = SimpleNamespace(title=title)
    return SectionResults(section=section, rows=tuple(rows), absent=tuple(absent))


def build(*sections, sentences=("Most.", "More.", "Less."), **rest):
    return build_chapter(
        sections,
        anchor="it",
        title="It",
        sentences=lambda section: sentences,
        evidence=lambda section: [FIGURE],
        **rest,
    )


def test_one_task():
    absent = [("rnn", "no gates"), ("tcn", "no state"), ("gru", "no gates")]
    assert build(
        section_results("copy", absent=absent), unavailable=lambda section: ["Half of it: too long."]
    ) == Chapter(
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
    chapter = build(
        section_results("copy"),
        section_results("empty", rows=(), absent=[("gru", "no recall")]),
        section_results("digits"),
    )
    assert chapter is not None
    assert chapter.blocks == (
        Text(sentences=("On copy: Most.", "On digits: Most."), role="summary"),
        Heading(text="copy"),
        Points(sentences=("More.", "Less.")),
        FIGURE,
        Heading(text="digits"),
        Points(sentences=("More.", "Less.")),
        FIGURE,
    )


def test_without_sentences_the_figures_stand_alone():
    chapter = build(section_results("copy"), sentences=())
    assert chapter is not None
    assert chapter.blocks == (Text(sentences=(), role="summary"), FIGURE)


def test_without_any_row_there_is_no_chapter():
    assert build() is None
    assert build(section_results("copy", rows=(), absent=[("gru", "no recall")])) is None


def row_results(label, *results):
    return RowResults(row=Row(label=label, line_style=LINE_STYLES["lstm"], runs=()), results=results)


def test_rows_are_grouped_by_what_they_lack_and_why():
    blind = ProbeResult(unavailable={"recall": "it is blind"})
    rows = [
        row_results("lstm", blind, ProbeResult(unavailable={"extrapolation": "too long"})),
        row_results("gru"),
        row_results("rda", blind),
        row_results("tcn", ProbeResult(unavailable={"recall": "no symbols"})),
    ]
    labels = labels_by_unavailable(rows)
    assert list(labels.items()) == [
        (("recall", "it is blind"), ["lstm", "rda"]),
        (("extrapolation", "too long"), ["lstm"]),
        (("recall", "no symbols"), ["tcn"]),
    ]
    assert labels_by_unavailable(rows, ("extrapolation",)) == {("extrapolation", "too long"): ["lstm"]}


def test_intervals_of_single_seeds_are_named():
    one, two = row_results("lstm", ProbeResult()), row_results("gru", ProbeResult(), ProbeResult())
    end = "are over test sequences, of one seed, and say nothing about other seeds."
    assert describe_intervals([two]) == ""
    assert describe_intervals([one]) == f"The intervals {end}"
    assert describe_intervals([one, two]) == f"The intervals of lstm {end}"


def test_the_alternative_text_names_axes_and_curves():
    lines = [Line(label=name, x=np.ones(1), y=np.ones(1), plot_keywords={}) for name in ("lstm", "gru")]
    panels = [Panel(lines=lines, x_label="lag", y_label="norm"), Panel(lines=lines[:1], x_label="step", y_label="loss")]
    text = alt_text(section_results("copy"), panels)
    assert text == "copy: norm against lag for lstm and gru; loss against step for lstm"


def test_sentences_begin_with_a_capital_letter_or_a_label():
    rows = [row_results("lstm")]
    assert capitalize_first("the recall is 0.", rows) == "The recall is 0."
    assert capitalize_first("lstm recalls most.", rows) == "lstm recalls most."


def test_of_many_rows_the_first_are_told():
    rows = [f"row {number}" for number in range(MANY_ROWS + 1)]
    assert first_of_many(rows[:MANY_ROWS]) == rows[:MANY_ROWS]
    assert first_of_many(rows) == ["row 0", "row 1", "row 2", "row 3", "row 4", "8 rows more, in the table"]

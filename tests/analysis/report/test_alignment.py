"""Chapter on alignment: sentences, table and figures for known results."""

from pathlib import Path

from analysis.formatting import ABSENT
from analysis.grouping import Section
from analysis.probes.aggregate import RowResults, SectionResults
from analysis.probes.result import Curve, Heatmap, Metric, ProbeResult
from analysis.report.alignment import chapter
from analysis.report.blocks import Figure, Table, Text
from tests.analysis.chapter_sentences import chapter_text
from tests.analysis.report_runs import named_row


def share(value: float) -> Metric:
    return Metric(value=value, low=value - 0.01, high=value + 0.01, unit="share", what="")


def result(aligned: float | None, longest: float) -> ProbeResult:
    curve = Curve.from_arrays([2, 4], [1, longest], x_unit="steps", y_unit="accuracy", what="")
    maps = Heatmap.from_arrays(
        [[0, 1], [1, 0]], rows=[3, 4], columns=[1, 2], row_name="", column_name="", unit="share", what=""
    )
    looks = aligned is not None
    return ProbeResult(
        metrics={
            "accuracy_longest": share(longest),
            "free_accuracy_longest": share(longest - 0.2),
            **({"aligned_first": share(aligned)} if aligned is not None else {}),
        },
        curves={"length": curve, "free_length": curve},
        heatmaps={"map": maps, "truth": maps} if looks else {},
        unavailable={} if looks else {"maps": "it has no attention"},
    )


def section_of(**rows: ProbeResult) -> SectionResults:
    results = tuple(RowResults(row=named_row(name), results=(each,)) for name, each in rows.items())
    section = Section(anchor="translate", title="translate, length=20", rows=tuple(each.row for each in results))
    return SectionResults(section=section, rows=results)


def test_the_chapter_says_who_looks_at_the_source_and_who_can_do_long_ones(tmp_path: Path) -> None:
    built = chapter([section_of(seq2seq=result(0.97, 0.98), lstm=result(None, 0.5))], tmp_path)
    assert built is not None
    text = chapter_text(built)
    assert "seq2seq is right most often at the longest sources, with its own answers as inputs, 0.780" in text
    assert "seq2seq is right most often at the longest sources, 0.980 [0.970, 0.990]; the next, lstm, has 0.500" in text
    missing = [block for block in built.blocks if isinstance(block, Text) and block.lead == "Not available."]
    assert [block.sentences for block in missing] == [("Weights of the input's steps of lstm: it has no attention.",)]
    assert "weight at the step that is asked for, where that changes: seq2seq is the only row" in text
    (table,) = (block for block in built.blocks if isinstance(block, Table))
    assert [[cell.text for cell in row] for row in table.rows] == [
        ["seq2seq", "0.970 [0.960, 0.980]", "0.980 [0.970, 0.990]", "0.780 [0.770, 0.790]"],
        ["lstm", ABSENT, "0.500 [0.490, 0.510]", "0.300 [0.290, 0.310]"],
    ]
    figures = [block for block in built.blocks if isinstance(block, Figure)]
    # Accuracy against length, and the maps.
    assert len(figures) == 2
    assert {path.name for path in tmp_path.iterdir()} == {
        f"alignment-translate-{kind}.svg" for kind in ("length", "maps")
    }


def test_there_is_no_chapter_without_results(tmp_path: Path) -> None:
    assert chapter([section_of()], tmp_path) is None

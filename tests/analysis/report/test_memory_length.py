"""Chapter on the length of memory: sentences, table and figures for known results."""

from dataclasses import replace
from pathlib import Path

import pytest

from analysis.formatting import ABSENT, MULTIPLICATION_SIGN
from analysis.grouping import Section
from analysis.probes.aggregate import RowResults, SectionResults
from analysis.probes.result import Curve, Metric, ProbeResult
from analysis.report.blocks import Chapter, Figure, Heading, Table, Text
from analysis.report.memory_length import chapter, extrapolation_panel
from tests.analysis.chapter_sentences import chapter_text
from tests.analysis.report_runs import named_row

CURVES = (
    "recall",
    "capacity",
    "gradient_share",
    "extrapolation_loss",
    "extrapolation_trivial",
    "extrapolation_accuracy",
    "extrapolation_floor_bag_of_values",
)


def metric(
    value: float, low: float | None = None, high: float | None = None, *, unit: str = "steps", at_least: bool = False
) -> Metric:
    return Metric(value=value, low=low, high=high, unit=unit, what="", censored=at_least)


def probe_result(
    horizon: Metric, *, lags: tuple[int, int] = (11, 110), accuracy: float = 0.8, missing: dict[str, str] | None = None
) -> ProbeResult:
    """Returns the result of a model of which everything was measured."""
    line = Curve.from_arrays(
        [1, 2, 4], [0.9, 0.6, 0.1], low=[0.8, 0.5, 0.0], high=[1, 0.7, 0.2], x_unit="", y_unit="", what=""
    )
    return ProbeResult(
        metrics={
            "horizon": horizon,
            "recall_accuracy": metric(accuracy, accuracy - 0.01, accuracy + 0.01, unit="share"),
            "recall_bound": metric(0.5625, unit="share"),
            "smallest_lag": metric(lags[0]),
            "largest_lag": metric(lags[1]),
            "memory_capacity": metric(5.0, 4.5, 5.5, unit="outputs"),
            "states": metric(32, unit="1"),
            "field_50": metric(3, 2, 4),
            "field_90": metric(10, 9, 11),
            "field_95": metric(20, 19, 21),
            "extrapolation": metric(4, 2, 8, unit=f"{MULTIPLICATION_SIGN} the training length"),
        },
        curves=dict.fromkeys(CURVES, line),
        labels={"reach": "unbounded"},
        unavailable=missing or {},
    )


def section_results(
    title: str = "copy, length=100", /, **rows: ProbeResult | tuple[ProbeResult, ...]
) -> SectionResults:
    row_results = tuple(
        RowResults(
            row=named_row(name),
            results=results if isinstance(results, tuple) else (results,),
        )
        for name, results in rows.items()
    )
    section = Section(anchor=title.split(",")[0], title=title, rows=tuple(probed.row for probed in row_results))
    return SectionResults(section=section, rows=row_results)


def build(folder: Path, *sections: SectionResults) -> Chapter:
    built = chapter(sections, folder)
    assert built is not None
    return built


def table_cells(chapter: Chapter) -> dict[str, dict[str, str]]:
    (block,) = (block for block in chapter.blocks if isinstance(block, Table))
    names = [f"{column.group}/{column.heading}" for column in block.columns]
    return {row[0].text: dict(zip(names, [cell.text for cell in row], strict=True)) for row in block.rows}


def test_floors_are_drawn_beside_the_trivial_loss() -> None:
    panel = extrapolation_panel(section_results(lstm=probe_result(metric(80))).rows)
    assert panel is not None
    assert [line.label for line in panel.lines] == ["lstm", "trivial", "bag of values"]
    assert panel.lines[2].y.tolist() == pytest.approx([0.9, 0.6, 0.1])


def test_intervals_apart_have_a_winner(tmp_path: Path) -> None:
    text = chapter_text(
        build(tmp_path, section_results(lstm=probe_result(metric(80, 75, 85)), gru=probe_result(metric(40, 35, 45))))
    )
    assert (
        "lstm recalls from farthest back, 80 steps [75, 85]; the next, gru, has 40 steps [35, 45], 0.500 times as "
        "much; its interval is apart from that one (indicative). The lags run"
    ) in text
    assert "The lags run from 11 to 110 steps." in text
    assert "lstm has the largest" not in text
    assert "The memory capacity of gru and lstm is the same, 5 outputs [4.50, 5.50]." in text


def test_intervals_that_overlap_have_none(tmp_path: Path) -> None:
    text = chapter_text(
        build(tmp_path, section_results(lstm=probe_result(metric(80, 60, 85)), gru=probe_result(metric(65, 60, 70))))
    )
    assert "lstm recalls from farthest back, 80 steps [60, 85]; the next, gru, has 65 steps [60, 70]" in text
    assert "they are not told apart with 1 seed (indicative)" in text


def test_who_reaches_the_end_of_the_lags_is_not_told_apart(tmp_path: Path) -> None:
    end = metric(110, 100, 110, at_least=True)
    text = chapter_text(
        build(
            tmp_path,
            section_results(lstm=probe_result(end), gru=probe_result(end), rwa=probe_result(metric(20, 10, 30))),
        )
    )
    assert "Recall horizon: 2 of 3 reach the limit tested, 110 steps: gru and lstm; then rwa, 20 steps" in text
    assert "who reaches the largest still recalls more than half way from chance to all there." in text
    assert "accuracy there" not in text


def test_the_accuracy_at_the_largest_lags_decides_among_those_who_reach_them(tmp_path: Path) -> None:
    rows = {}
    for name, accuracy in (("lstm", 0.99), ("gru", 0.7)):
        complete = probe_result(metric(110, 110, 110, at_least=True))
        at_limit = metric(accuracy, accuracy - 0.01, accuracy + 0.01, unit="share")
        rows[name] = replace(complete, metrics={**complete.metrics, "accuracy_at_limit": at_limit})
    text = chapter_text(build(tmp_path, section_results(**rows)))
    assert "the accuracy there tells them apart: lstm 0.990 [0.980, 1], then gru 0.700 [0.690, 0.710]" in text


def test_nobody_recalls_anything(tmp_path: Path) -> None:
    nothing = probe_result(metric(0, 0, 11))
    built = build(tmp_path, section_results(lstm=nothing, gru=nothing))
    assert "The lags run from 11 to 110 steps, and none of gru and lstm recalls at the smallest" in chapter_text(built)
    assert table_cells(built)["lstm"]["recall/horizon,\nsteps"] == "< 11"


def test_nothing_is_held(tmp_path: Path) -> None:
    complete = probe_result(metric(80, 75, 85))
    nothing = replace(
        complete,
        metrics={**complete.metrics, "memory_capacity": metric(0, 0, 0, unit="outputs"), "field_95": metric(0, 0, 0)},
    )
    text = chapter_text(build(tmp_path, section_results(lstm=nothing, gru=nothing)))
    assert "Nothing learned yet: the memory capacity of gru and lstm is 0 outputs." in text
    assert "the lag within which 95 % of the squared gradient lie of gru and lstm is 0 steps." in text


def test_a_single_lag_is_told_by_accuracy(tmp_path: Path) -> None:
    one, other = (
        probe_result(metric(12, 12, 12, at_least=True), lags=(12, 12), accuracy=accuracy) for accuracy in (0.9, 0.7)
    )
    text = chapter_text(build(tmp_path, section_results("multicopy", lstm=one, rda=other)))
    assert "Everything is recalled at one lag, 12 steps: lstm recalls most, 0.900 [0.890, 0.910]; the next" in text


def test_a_single_seed_says_so_and_several_are_averaged(tmp_path: Path) -> None:
    one = probe_result(metric(80, 75, 85))
    assert "of one seed, and say nothing about other seeds" in chapter_text(build(tmp_path, section_results(lstm=one)))
    other = replace(one, metrics={**one.metrics, "horizon": metric(60, 55, 65), "field_50": metric(1, 0, 2)})
    built = build(tmp_path, section_results(lstm=(one, other)))
    assert "of one seed" not in chapter_text(built)
    row = table_cells(built)["lstm"]
    # Student's t for two seeds is 12.7 standard errors: 70 -+ 127, and a horizon is not negative.
    assert row["recall/horizon,\nsteps"] == "70 [0, 197]"
    # The same for both, so an interval says nothing of what is a property.
    assert row["memory capacity/at\nmost"] == "32"
    assert row["/reach,\nsteps"] == "all"


def test_a_share_stays_a_share(tmp_path: Path) -> None:
    seeds = tuple(probe_result(metric(80, 75, 85), accuracy=accuracy) for accuracy in (0.9, 1.0))
    row = table_cells(build(tmp_path, section_results(lstm=seeds)))["lstm"]
    assert row["recall/accuracy,\nall lags"].endswith(", 1]")


@pytest.mark.usefixtures("all_default_formats")
def test_figures_are_drawn_where_there_is_something_to_see(tmp_path: Path) -> None:
    built = build(
        tmp_path, section_results(lstm=probe_result(metric(80, 75, 85)), rda=probe_result(metric(40, 35, 45)))
    )
    figures = [block for block in built.blocks if isinstance(block, Figure)]
    assert len(figures) == 4
    assert all("<svg" in figure.svg and figure.caption for figure in figures)
    assert {path.name for path in tmp_path.glob("*.png")} == {
        f"memory-length-copy-{kind}.png" for kind in ("recall", "capacity", "gradient", "extrapolation")
    }
    for figure in figures:
        assert "lstm" in figure.svg
        assert "rda" in figure.svg
    assert "half way" in figures[0].svg
    assert "trivial" in figures[3].svg


@pytest.mark.parametrize("points", [0, 1])
def test_a_curve_of_a_point_or_less_is_no_figure(tmp_path: Path, points: int) -> None:
    complete = probe_result(metric(12, 12, 12, at_least=True))
    curve = Curve.from_arrays([12.0][:points], [0.9][:points], x_unit="", y_unit="", what="")
    built = build(tmp_path, section_results(lstm=replace(complete, curves=dict.fromkeys(complete.curves, curve))))
    assert not [block for block in built.blocks if isinstance(block, Figure)]
    assert not list(tmp_path.iterdir())


def test_what_is_missing_is_named_with_its_reason_and_its_rows(tmp_path: Path) -> None:
    complete = probe_result(metric(80, 75, 85), missing={"extrapolation_16": "too long"})
    partial = ProbeResult(
        metrics={"field_95": metric(30, 28, 31)},
        unavailable={"memory_capacity": "it is blind", "extrapolation_16": "too long"},
    )
    results = replace(section_results(lstm=complete, rda=partial), absent=(("custom", "RuntimeError: no"),))
    built = build(tmp_path, results)
    (text,) = (block for block in built.blocks if isinstance(block, Text) and block.lead == "Not available.")
    assert text.sentences == (
        "Memory capacity of rda: it is blind.",
        "Extrapolation at 16 times the training length: too long.",
        "custom: RuntimeError: no.",
    )
    assert (
        "rda has 95 % of its squared gradient within the largest lag, 30 steps [28, 31]; the next, lstm"
        in chapter_text(built)
    )
    assert table_cells(built)["rda"]["recall/horizon,\nsteps"] == ABSENT


def solved_up_to(length: Metric, sequences: float | None = None, accuracy: Metric | None = None) -> ProbeResult:
    """Returns the result of a model of which it is known up to which length the task stays solved."""
    complete = probe_result(metric(80, 75, 85))
    counted = {} if sequences is None else {"solved_sequences": metric(sequences, unit="sequences")}
    rated = {} if accuracy is None else {"solved_accuracy": accuracy}
    return replace(complete, metrics={**complete.metrics, "solved_up_to": length, **counted, **rated})


def test_a_solved_length_says_on_how_many_sequences_it_rests(tmp_path: Path) -> None:
    longest = metric(16, 2, 16, unit="1", at_least=True)
    perfect = {32: metric(1, 0.893, 1, unit="share"), 4: metric(1, 0.51, 1, unit="share")}
    gru = (solved_up_to(longest, 32, perfect[32]), solved_up_to(longest, 4, perfect[4]))
    built = build(tmp_path, section_results(lstm=solved_up_to(longest, 32, perfect[32]), gru=gru))
    cells = table_cells(built)
    group = "longer sequences"
    assert cells["lstm"][f"{group}/solved\nup to, in T"] == "\u2265 16 [\u2265 2]"
    assert cells["lstm"][f"{group}/accuracy\nthere"] == "1 [0.893, 1]"
    assert [cells[name][f"{group}/sequences\nthere"] for name in ("lstm", "gru")] == ["32", "4"]
    assert (
        "Solved up to a length means that the criterion holds at every length tested up to it, on at least 4 test "
        "sequences of each. So many without a mistake show an accuracy of at least 0.51; the lower end of the interval "
        "asks for the criterion's accuracy less 0.125."
    ) in chapter_text(built)


def test_a_solved_length_of_earlier_results_and_one_by_the_loss(tmp_path: Path) -> None:
    longest = metric(16, 16, 16, unit="1", at_least=True)
    earlier = build(tmp_path, section_results(lstm=solved_up_to(longest)))
    assert "longer sequences/solved\nup to, in T" in table_cells(earlier)["lstm"]
    assert "longer sequences/sequences\nthere" not in table_cells(earlier)["lstm"]
    assert "Solved up to" not in chapter_text(earlier)
    by_loss = chapter_text(build(tmp_path, section_results(lstm=solved_up_to(longest, 32))))
    assert "on at least 32 test sequences of each." in by_loss
    assert "mistake" not in by_loss


def test_a_heading_for_each_of_several_tasks_and_no_chapter_of_nothing(tmp_path: Path) -> None:
    one, other = (section_results(title, lstm=probe_result(metric(80, 75, 85))) for title in ("copy", "multicopy"))
    built = build(tmp_path, one, other)
    assert [block.text for block in built.blocks if isinstance(block, Heading)] == ["copy", "multicopy"]
    assert "On copy: " in chapter_text(built)
    assert "On multicopy: " in chapter_text(built)
    assert chapter([replace(one, rows=())], tmp_path) is None

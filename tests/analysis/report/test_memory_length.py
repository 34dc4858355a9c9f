"""The chapter on memory: its sentences and its table follow from the numbers, and its figures are there."""

from dataclasses import replace
from pathlib import Path

import pytest

from analysis.formatting import ABSENT, TIMES
from analysis.grouping import Row, Section
from analysis.probes.aggregate import RowResults, SectionResults
from analysis.probes.result import Curve, Metric, ProbeResult
from analysis.report.blocks import Chapter, Figure, Heading, Table, Text
from analysis.report.memory_length import chapter
from analysis.style import LINE_STYLES
from tests.analysis.chapter_sentences import said as words

CURVES = (
    "recall",
    "capacity",
    "gradient_share",
    "extrapolation_loss",
    "extrapolation_trivial",
    "extrapolation_accuracy",
)


def number(
    value: float, low: float | None = None, high: float | None = None, *, unit: str = "steps", at_least: bool = False
) -> Metric:
    return Metric(value=value, low=low, high=high, unit=unit, what="", censored=at_least)


def findings(
    horizon: Metric, *, lags: tuple[int, int] = (11, 110), accuracy: float = 0.8, missing: dict[str, str] | None = None
) -> ProbeResult:
    """What a model of which all was measured comes to."""
    line = Curve.of([1, 2, 4], [0.9, 0.6, 0.1], low=[0.8, 0.5, 0.0], high=[1, 0.7, 0.2], x_unit="", y_unit="", what="")
    return ProbeResult(
        metrics={
            "horizon": horizon,
            "recall_accuracy": number(accuracy, accuracy - 0.01, accuracy + 0.01, unit="share"),
            "recall_bound": number(0.5625, unit="share"),
            "smallest_lag": number(lags[0]),
            "largest_lag": number(lags[1]),
            "memory_capacity": number(5.0, 4.5, 5.5, unit="outputs"),
            "states": number(32, unit="1"),
            "field_50": number(3, 2, 4),
            "field_90": number(10, 9, 11),
            "field_95": number(20, 19, 21),
            "extrapolation": number(4, 2, 8, unit=f"{TIMES} the training length"),
        },
        curves=dict.fromkeys(CURVES, line),
        labels={"reach": "unbounded"},
        unavailable=missing or {},
    )


def section(title: str = "copy, length=100", /, **rows: ProbeResult | tuple[ProbeResult, ...]) -> SectionResults:
    probed = tuple(
        RowResults(
            row=Row(label=name, look=LINE_STYLES[name], runs=()),
            results=found if isinstance(found, tuple) else (found,),
        )
        for name, found in rows.items()
    )
    kept = Section(anchor=title.split(",")[0], title=title, rows=tuple(each.row for each in probed))
    return SectionResults(section=kept, rows=probed)


def made(folder: Path, *sections: SectionResults) -> Chapter:
    found = chapter(sections, folder)
    assert found is not None
    return found


def table(found: Chapter) -> dict[str, dict[str, str]]:
    (block,) = (block for block in found.blocks if isinstance(block, Table))
    names = [f"{column.group}/{column.heading}" for column in block.columns]
    return {line[0].text: dict(zip(names, [cell.text for cell in line], strict=True)) for line in block.lines}


def test_intervals_apart_have_a_winner(tmp_path: Path) -> None:
    said = words(made(tmp_path, section(lstm=findings(number(80, 75, 85)), gru=findings(number(40, 35, 45)))))
    assert "lstm recalls from farthest back, 80 steps [75, 85]; its interval lies above all others" in said
    assert "The lags run from 11 to 110 steps." in said
    assert "lstm has the largest" not in said
    assert "memory capacity, 5 outputs [4.50, 5.50], but no winner" in said


def test_intervals_that_overlap_have_none(tmp_path: Path) -> None:
    said = words(made(tmp_path, section(lstm=findings(number(80, 60, 85)), gru=findings(number(65, 60, 70)))))
    assert "lstm recalls from farthest back, 80 steps [60, 85], but no winner: the interval of gru overlaps" in said


def test_who_reaches_the_end_of_the_lags_is_not_told_apart(tmp_path: Path) -> None:
    end = number(110, 100, 110, at_least=True)
    said = words(made(tmp_path, section(lstm=findings(end), gru=findings(end), rwa=findings(number(20, 10, 30)))))
    assert "gru recalls from farthest back, ≥ 110 steps [≥ 100], but no winner" in said
    assert "at the largest gru and lstm still recall more than half way from chance to all." in said


def test_nobody_recalls_anything(tmp_path: Path) -> None:
    nothing = findings(number(0, 0, 11))
    found = made(tmp_path, section(lstm=nothing, gru=nothing))
    assert "The lags run from 11 to 110 steps, and none of gru and lstm recalls at the smallest" in words(found)
    assert table(found)["lstm"]["recall/horizon,\nsteps"] == "< 11"


def test_nothing_is_held(tmp_path: Path) -> None:
    whole = findings(number(80, 75, 85))
    nothing = replace(
        whole,
        metrics={**whole.metrics, "memory_capacity": number(0, 0, 0, unit="outputs"), "field_95": number(0, 0, 0)},
    )
    said = words(made(tmp_path, section(lstm=nothing, gru=nothing)))
    assert "The memory capacity of gru and lstm is 0 outputs." in said
    assert "The lag within which 95 % of the squared gradient lie of gru and lstm is 0 steps." in said


def test_a_single_lag_is_told_by_accuracy(tmp_path: Path) -> None:
    one, other = (findings(number(12, 12, 12, at_least=True), lags=(12, 12), accuracy=each) for each in (0.9, 0.7))
    said = words(made(tmp_path, section("multicopy", lstm=one, rda=other)))
    assert "Everything is recalled at one lag, 12 steps: lstm recalls most, 0.900 [0.890, 0.910]; its interval" in said


def test_a_single_seed_says_so_and_several_are_averaged(tmp_path: Path) -> None:
    one = findings(number(80, 75, 85))
    assert "of one seed, and say nothing of other seeds" in words(made(tmp_path, section(lstm=one)))
    other = replace(one, metrics={**one.metrics, "horizon": number(60, 55, 65), "field_50": number(1, 0, 2)})
    found = made(tmp_path, section(lstm=(one, other)))
    assert "of one seed" not in words(found)
    row = table(found)["lstm"]
    # Student's t for two seeds is 12.7 standard errors: 70 -+ 127, and a horizon is not negative.
    assert row["recall/horizon,\nsteps"] == "70 [0, 197]"
    # The same for both, so an interval says nothing of what is a property.
    assert row["memory capacity/at\nmost"] == "32"
    assert row["/reach,\nsteps"] == "all"


def test_a_share_stays_a_share(tmp_path: Path) -> None:
    seeds = tuple(findings(number(80, 75, 85), accuracy=accuracy) for accuracy in (0.9, 1.0))
    row = table(made(tmp_path, section(lstm=seeds)))["lstm"]
    assert row["recall/accuracy,\nall lags"].endswith(", 1]")


def test_figures_are_drawn_where_there_is_something_to_see(tmp_path: Path) -> None:
    found = made(tmp_path, section(lstm=findings(number(80, 75, 85)), rda=findings(number(40, 35, 45))))
    figures = [block for block in found.blocks if isinstance(block, Figure)]
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
    whole = findings(number(12, 12, 12, at_least=True))
    curve = Curve.of([12.0][:points], [0.9][:points], x_unit="", y_unit="", what="")
    found = made(tmp_path, section(lstm=replace(whole, curves=dict.fromkeys(whole.curves, curve))))
    assert not [block for block in found.blocks if isinstance(block, Figure)]
    assert not list(tmp_path.iterdir())


def test_what_is_missing_is_named_with_its_reason_and_its_rows(tmp_path: Path) -> None:
    whole = findings(number(80, 75, 85), missing={"extrapolation_16": "too long"})
    less = ProbeResult(
        metrics={"field_95": number(30, 28, 31)},
        unavailable={"memory_capacity": "it is blind", "extrapolation_16": "too long"},
    )
    made_of = replace(section(lstm=whole, rda=less), absent=(("mine", "RuntimeError: no"),))
    found = made(tmp_path, made_of)
    (text,) = (block for block in found.blocks if isinstance(block, Text) and block.lead == "Not available.")
    assert text.sentences == (
        "Memory capacity of rda: it is blind.",
        "Extrapolation at 16 times the training length: too long.",
        "mine: RuntimeError: no.",
    )
    assert "rda has 95 % of its squared gradient within the largest lag, 30 steps [28, 31]; its interval" in words(
        found
    )
    assert table(found)["rda"]["recall/horizon,\nsteps"] == ABSENT


def test_a_heading_for_each_of_several_tasks_and_no_chapter_of_nothing(tmp_path: Path) -> None:
    one, other = (section(title, lstm=findings(number(80, 75, 85))) for title in ("copy", "multicopy"))
    found = made(tmp_path, one, other)
    assert [block.text for block in found.blocks if isinstance(block, Heading)] == ["copy", "multicopy"]
    assert "On copy: " in words(found)
    assert "On multicopy: " in words(found)
    assert chapter([replace(one, rows=())], tmp_path) is None

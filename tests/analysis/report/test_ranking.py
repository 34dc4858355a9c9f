"""Ranking chapter: ranks, winners and sentences for known numbers, and reports of probed runs."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from analysis.formatting import format_estimate
from analysis.grouping import Row, Section, build_sections
from analysis.probes import records, registry
from analysis.probes.aggregate import by_probe, load_probe_records
from analysis.probes.records import ProbeRecord
from analysis.probes.result import Metric, ProbeResult
from analysis.report import build, latex
from analysis.report.answers import (
    Decider,
    Question,
    describe_answer,
    format_ranks,
    has_clear_first,
    is_empty_answer,
    rows_near_first,
)
from analysis.report.blocks import Cell, Column, Table, Text
from analysis.report.ranking import QUESTIONS, chapter, geometric_estimate, longer_extrapolation, short_titles
from analysis.report.summary import headline
from analysis.statistics import Estimate
from analysis.style import LINE_STYLES
from tests.analysis.page import Page
from tests.analysis.report_runs import experiment, read_rows, write_run
from tests.analysis.toy_probe import count_parameters, install_probes
from workbench.errors import UserError
from workbench.results import finished_runs

RECALL = Question(
    text="Who remembers longest?", best_phrase="recalls from farthest back", quantity="recall", metric="n"
)
COST = Question(text="What does it cost?", best_phrase="costs least", quantity="cost", highest=False)


def ranked_rows(*rows: tuple[str, float, float, float] | tuple[str, float]) -> list[tuple[Row, Estimate]]:
    """Returns rows with these names, values and interval ends, the best first."""
    pairs = []
    for name, value, *ends in rows:
        low, high = ends or (math.nan, math.nan)
        row = Row(label=name, line_style=LINE_STYLES["lstm"], runs=())
        pairs.append((row, Estimate(value=value, low=low, high=high, unit="steps", seeds=3)))
    return pairs


def censored(pairs: list[tuple[Row, Estimate]], *names: str) -> list[tuple[Row, Estimate]]:
    """Returns the same rows, with the measurements of some censored."""
    return [(row, replace(estimate, censored=row.label in names)) for row, estimate in pairs]


def test_an_interval_apart_from_all_others_wins() -> None:
    answer = ranked_rows(("rda", 620, 590, 650), ("lstm", 41, 30, 52), ("gru", 40, 20, 60))
    assert has_clear_first(answer)
    assert format_ranks(with_seeds(answer, 4)) == ["1 a", "2 b", "3 b"]
    assert format_ranks(answer) == ["(1)", "(2)", "(3)"]
    assert describe_answer(RECALL, answer) == (
        "rda recalls from farthest back, 620 steps [590, 650]; the next, lstm, has 41 steps [30, 52], 0.0661 times as "
        "much; its interval is apart from those of all 2 others (indicative)."
    )
    # From four seeds on it is more than an indication.
    assert describe_answer(RECALL, with_seeds(answer, 4)).endswith("from those of all 2 others.")


def test_the_least_wins_where_little_is_good() -> None:
    answer = ranked_rows(("gru", 1, 0.9, 1.1), ("lstm", 2, 1.2, 2.8))
    text = describe_answer(COST, answer)
    assert "the next, lstm, has 2 steps [1.20, 2.80], 2.00 times as much; its interval is apart from that one" in text


@pytest.mark.parametrize(
    ("second", "size"),
    [
        (("lstm", 41.0, 30.0, 590.0), "41 steps [30, 590], 0.0661 times"),
        (("lstm", 600.0, 100.0, 1100.0), "600 steps [100, 1,100], 0.968 times"),
    ],
)
def test_an_overlap_leaves_the_size_of_the_difference_and_who_is_behind(
    second: tuple[str, float, float, float], size: str
) -> None:
    answer = ranked_rows(("rda", 620, 590, 650), second, ("gru", 5, 4, 6))
    assert not has_clear_first(answer)
    assert format_ranks(with_seeds(answer, 4)) == ["1 a", "2 a", "3 b"]
    assert describe_answer(RECALL, answer) == (
        f"rda recalls from farthest back, 620 steps [590, 650]; the next, lstm, has {size} as much; with 3 seeds it is "
        "not told apart from 1 of the 2 others (lstm), and 1 is clearly behind (indicative)."
    )
    alone = describe_answer(RECALL, with_seeds(answer[:2], 5))
    assert alone.endswith("as much; they are not told apart with 5 seeds.")


def test_shares_are_compared_by_their_difference() -> None:
    answer = [
        (row, replace(estimate, unit="share"))
        for row, estimate in ranked_rows(("rda", 0.9, 0.8, 1.0), ("lstm", 0.75, 0.7, 0.85))
    ]
    assert "the next, lstm, has 0.750 [0.700, 0.850], 0.150 less" in describe_answer(RECALL, answer)


def test_an_overlap_with_a_later_one_counts_too() -> None:
    answer = ranked_rows(("rda", 620, 400, 840), ("lstm", 300, 290, 310), ("gru", 200, 0, 450), ("rwa", 190, 0, 420))
    assert [row.label for row in rows_near_first(answer)] == ["gru", "rwa"]
    assert format_ranks(with_seeds(answer, 4)) == ["1 a", "2 b", "3 ab", "4 ab"]
    assert "not told apart from 2 of the 3 others (gru and rwa), and 1 is clearly behind" in describe_answer(
        RECALL, answer
    )
    everyone = ranked_rows(("rda", 620, 0, 1240), *((f"lstm-{i}", 600.0 - i, 0.0, 1200.0) for i in range(6)))
    assert "with 3 seeds it is not told apart from any of the 6 others (indicative)" in describe_answer(
        RECALL, everyone
    )


def test_what_has_no_interval_neither_wins_nor_lets_win() -> None:
    answer = ranked_rows(("rda", 620), ("lstm", 41, 30, 52))
    assert not has_clear_first(answer)
    assert format_ranks(with_seeds(answer, 4)) == ["1 a", "2 a"]
    assert describe_answer(RECALL, answer).endswith(
        "0.0661 times as much; they are not told apart with 3 seeds (indicative)."
    )
    assert describe_answer(RECALL, with_seeds(ranked_rows(("rda", 620), ("lstm", 41)), 1)).endswith(
        "there are no intervals to tell them apart by (indicative)."
    )
    answer = ranked_rows(("rda", 620, 590, 650), ("lstm", 41), ("gru", 5, 4, 6))
    assert not has_clear_first(answer)
    assert format_ranks(with_seeds(answer, 4)) == ["1 a", "2 ab", "3 b"]
    assert "from 1 of the 2 others (lstm), and 1 is clearly behind" in describe_answer(RECALL, answer)


def with_seeds(pairs: list[tuple[Row, Estimate]], seeds: int) -> list[tuple[Row, Estimate]]:
    return [(row, replace(estimate, seeds=seeds)) for row, estimate in pairs]


def test_a_measurement_that_ended_may_lie_above() -> None:
    pairs = ranked_rows(("rda", 1000, 1000, 1000), ("lstm", 900, 890, 910), ("gru", 5, 4, 6))
    assert has_clear_first(censored(pairs, "rda"))
    assert not has_clear_first(censored(pairs, "lstm"))
    assert format_ranks(with_seeds(censored(pairs, "rda", "lstm"), 4)) == ["1 a", "2 a", "3 b"]
    assert describe_answer(RECALL, censored(pairs, "rda")).startswith(
        "rda recalls from farthest back, \u2265 1000 steps [\u2265 1000]".replace("1000", "1,000")
    )


LIMITED = replace(RECALL, probe="memory_length", decider=Decider(metric="a", quantity="the accuracy there"))


def accuracies(*rows: tuple[str, float, float, float]) -> list[tuple[Row, Estimate]]:
    return [(row, replace(estimate, unit="share")) for row, estimate in ranked_rows(*rows)]


def test_who_reaches_the_limit_of_the_test_is_told_apart_there_or_by_a_longer_one() -> None:
    pairs = censored(ranked_rows(("gru", 24, 24, 24), ("lstm", 24, 24, 24), ("rda", 24, 24, 24)), "gru", "lstm", "rda")
    assert format_ranks(with_seeds(pairs, 4)) == ["1= a", "1= a", "1= a"]
    assert describe_answer(RECALL, pairs) == "all reach the limit tested, 24 steps."
    rows = {row.label: row for row, _ in pairs}

    def deciding(*values: tuple[str, float, float, float]) -> list[tuple[Row, Estimate]]:
        return [(rows[row.label], estimate) for row, estimate in accuracies(*values)]

    even = deciding(("gru", 0.9, 0.85, 0.95), ("lstm", 0.93, 0.88, 0.97), ("rda", 0.95, 0.9, 0.98))
    assert describe_answer(LIMITED, pairs, deciding=even, longer=100) == (
        "all reach the limit tested, 24 steps; the accuracy there, 0.900 to 0.950, does not tell them apart "
        "(indicative). A longer test may tell them apart: "
        "`workbench analyze FOLDER --probes memory_length --length 100`."
    )
    apart = deciding(("gru", 0.6, 0.55, 0.65), ("lstm", 0.93, 0.91, 0.95), ("rda", 0.99, 0.98, 1.0))
    assert describe_answer(LIMITED, pairs, deciding=apart, longer=100) == (
        "all reach the limit tested, 24 steps; the accuracy there tells them apart: rda 0.990 [0.980, 1], then lstm "
        "0.930 [0.910, 0.950] (indicative)."
    )


def test_who_does_not_reach_the_limit_follows() -> None:
    pairs = censored(
        ranked_rows(("gru", 24, 24, 24), ("lstm", 24, 24, 24), ("rda", 20, 8, 32), ("rnn", 7, 6, 8)),
        *("gru", "lstm", "rda"),
    )
    # Of rda only some seeds reach it.
    assert describe_answer(LIMITED, pairs, longer=100) == (
        "2 of 4 reach the limit tested, 24 steps: gru and lstm; then rda, ≥ 20 steps [≥ 8], and 1 row more. A longer "
        "test may tell them apart: `workbench analyze FOLDER --probes memory_length --length 100`."
    )


def test_equal_numbers_have_equal_ranks() -> None:
    answer = ranked_rows(
        ("rda", 9, 8, 10), *((name, 3.0, 2.0, 4.0) for name in ("gru", "lstm", "rnn")), ("rwa", 1, 0, 2)
    )
    assert format_ranks(with_seeds(answer, 4)) == ["1 a", "2= b", "2= b", "2= b", "5 b"]
    assert format_ranks(ranked_rows(("gru", 5), ("lstm", 5), ("rnn", 3))) == ["(1=)", "(1=)", "(3)"]
    tied = ranked_rows(("gru", 5, 4, 6), ("lstm", 5, 4, 6), ("rnn", 3, 2, 3.5))
    assert format_ranks(with_seeds(tied, 4)) == ["1= a", "1= a", "3 b"]
    assert describe_answer(RECALL, tied) == (
        "gru and lstm tie for the first place by recall, 5 steps [4, 6]; the next, rnn, has 3 steps [2, 3.50], 0.600 "
        "times as much; 1 of the other 1 is clearly behind (indicative)."
    )


def test_a_geometric_mean_is_that_of_the_logarithms() -> None:
    estimate = geometric_estimate([0.001, 0.1], "")
    assert estimate is not None
    assert estimate.value == pytest.approx(0.01)
    # Student's quantile for one degree of freedom is 12.706, and the standard error of log10 is 1.
    assert math.log10(estimate.high) == pytest.approx(-2 + 12.7062, rel=1e-4)
    assert math.log10(estimate.low) == pytest.approx(-2 - 12.7062, rel=1e-4)
    arithmetic = geometric_estimate([-1.0, 3.0], "")
    assert arithmetic is not None
    assert arithmetic.value == 1
    assert geometric_estimate([], "") is None


def test_one_row_is_no_race() -> None:
    answer = ranked_rows(("rda", 620, 590, 650))
    assert not has_clear_first(answer)
    assert describe_answer(RECALL, answer) == "rda is the only row with this number, 620 steps [590, 650]."


def test_nothing_at_all_has_no_first() -> None:
    assert (
        describe_answer(RECALL, ranked_rows(("gru", 0, 0, 0), ("lstm", 0, 0, 0)))
        == "nothing learned yet: the recall of gru and lstm is 0 steps."
    )
    below = ranked_rows(("gru", 0, 0, 11), ("lstm", 0, 0, 9))
    assert describe_answer(RECALL, below) == "nothing learned yet: the recall of gru and lstm is 0 steps [0, 11]."


def test_a_sign_that_is_not_certain_is_nothing() -> None:
    signed = Question(
        text="Who forgets on purpose?", best_phrase="forgets", quantity="purpose", metric="n", signed=True
    )
    doubtful = ranked_rows(("rda", 5, -1, 11), ("lstm", -3, -5, -1), ("gru", -4))
    assert describe_answer(signed, doubtful) == (
        "nothing learned yet, as none has an interval above 0: rda 5 steps [-1, 11], lstm -3 steps [-5, -1] and gru "
        "-4 steps."
    )
    assert is_empty_answer(signed, doubtful)
    sure = ranked_rows(("rda", 5, 1, 9), ("lstm", -3, -5, -1))
    assert describe_answer(signed, sure).startswith(
        "rda forgets, 5 steps [1, 9]; the next, lstm, has -3 steps [-5, -1], 8.00 less; its interval is apart"
    )


def test_numbers_are_shown_with_their_unit_and_interval() -> None:
    def estimate(unit: str, **ends: Any) -> Estimate:
        return Estimate(
            value=0.0123456, low=ends.get("low", math.nan), high=ends.get("high", math.nan), unit=unit, seeds=1
        )

    assert format_estimate(estimate("s", low=0.012, high=0.5)) == "0.0123 s [0.0120, 0.500]"
    assert format_estimate(estimate("1")) == "0.0123"
    assert format_estimate(estimate("s"), show_unit=False) == "0.0123"


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (1, "steps", "1 step"),
        (1, "copies", "1 copy"),
        (1, "nats / step", "1 nat / step"),
        (1, "s", "1 s"),
        (1, "1", "1"),
        (0, "steps", "0 steps"),
        (1.001, "steps", "1.00 steps"),
        (-1, "steps", "-1 steps"),
    ],
)
def test_one_has_the_unit_of_one(value: float, unit: str, text: str) -> None:
    assert format_estimate(Estimate(value=value, low=math.nan, high=math.nan, unit=unit, seeds=1)) == text


def test_equal_values_are_the_same() -> None:
    answer = ranked_rows(("gru", 5, 5, 5), ("lstm", 5, 5, 5))
    assert not has_clear_first(answer)
    assert format_ranks(with_seeds(answer, 4)) == ["1= a", "1= a"]
    assert format_ranks(with_seeds(answer, 4), {"gru": "a", "lstm": "b"}) == ["1= a", "1= b"]
    assert describe_answer(RECALL, answer) == "the recall of gru and lstm is the same, 5 steps [5, 5]."


@pytest.mark.parametrize(("highest", "order"), [(True, ["lstm", "gru", "rda"]), (False, ["rda", "gru", "lstm"])])
def test_the_best_comes_first_by_what_is_good(highest: bool, order: list[str]) -> None:
    pairs = ranked_rows(("gru", 2), ("lstm", 3), ("rda", 1))
    estimates = {row.label: estimate for row, estimate in pairs}
    section = Section(anchor="a", title="a", rows=tuple(row for row, _ in pairs))
    question = Question(
        text="",
        best_phrase="",
        quantity="",
        estimates_of=lambda section: [(row, estimates[row.label]) for row in section.rows],
        highest=highest,
    )
    assert [row.label for row, _ in question.answer(section, 0, {})] == order


def test_every_question_ranks_by_what_a_probe_finds_or_every_run_has() -> None:
    for question in QUESTIONS:
        assert (question.estimates_of is None) == (question.probe in registry.PROBES)
        assert bool(question.metric) == (question.estimates_of is None)
    assert len({question.quantity for question in QUESTIONS}) == len(QUESTIONS)


def probe_record(metrics: Mapping[str, Metric] | None, reason: str = "") -> ProbeRecord:
    result = None if metrics is None else ProbeResult(metrics=metrics)
    return ProbeRecord(settings={}, weights="0123456789abcdef", result=result, reason=reason)


def horizon_metrics(value: float) -> dict[str, Metric]:
    return {"horizon": Metric(value=value, unit="steps", what="largest lag", low=value - 1, high=value + 1)}


@pytest.fixture
def out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two seeds of three architectures on one task, one not probed; a diverged run; and one seed on another task."""
    install_probes(monkeypatch, memory_length=count_parameters, toy=count_parameters)
    values: dict[str, Sequence[float]] = {"lstm": (41, 43), "rda": (620, 640), "gru": ()}
    for name, horizons in values.items():
        for seed in (0, 1):
            folder = write_run(
                tmp_path, experiment(name, seed=seed), loss=0.1 + seed / 1000, parameters=1000 * len(name)
            )
            if horizons:
                device = "cuda" if name == "rda" and seed else "cpu"
                records.write_records(
                    folder, {"memory_length": replace(probe_record(horizon_metrics(horizons[seed])), device=device)}
                )
    write_run(tmp_path, experiment("rwa"), loss=None, diverged_at=7)
    other = write_run(tmp_path, experiment("lstm", task="copy", task_options={"length": 5}), loss=0.3)
    records.write_records(other, {"memory_length": probe_record(None, "there is nothing to recall")})
    return tmp_path


def test_probed_sections_have_the_rows_in_order_and_say_who_is_absent(out: Path) -> None:
    runs = list(finished_runs(out))
    addition, copy = by_probe(build_sections(runs), load_probe_records(runs))["memory_length"]
    assert [probed.row.label for probed in addition.rows] == ["lstm", "rda"]
    assert [len(probed.results) for probed in addition.rows] == [2, 2]
    assert addition.absent == (("gru", "not probed"), ("rwa", "all its runs diverged"))
    assert copy.rows == ()
    assert copy.absent == (("lstm", "there is nothing to recall"),)
    assert list(by_probe(build_sections(runs), load_probe_records(runs))) == ["memory_length"]
    assert by_probe(build_sections(runs), {}) == {}


def test_the_summary_ranks_question_by_question(out: Path) -> None:
    runs = list(finished_runs(out))
    report_sections = build_sections(runs)
    ranking = chapter(report_sections, by_probe(report_sections, load_probe_records(runs)))
    texts = {block.lead: block.sentences for block in ranking.blocks if isinstance(block, Text)}
    (horizon,) = texts["Who remembers longest?"]
    # Student's quantile for one degree of freedom is 12.706, times the standard error 1 and 10.
    assert horizon == (
        "On addition: rda recalls from farthest back, 630 steps [503, 757]; the next, lstm, has 42 steps "
        "[29.3, 54.7], 0.0667 times as much; its interval is apart from that one (indicative)."
    )
    assert texts[""] == (
        "In 1 of 3 rankings on 2 tasks the first is told apart from all others; the other ones are open.",
    )
    assert texts["Not available."] == ("Memory length on copy: there is nothing to recall.",)
    (on_addition, on_copy) = texts["Who learns best?"]
    assert on_addition == f"On addition: {headline(report_sections[0])}"
    assert on_copy == f"On copy: {headline(report_sections[1])}"
    assert "with 3,000 parameters, a state of 128 and batches of 20" in texts["What does a step cost?"][0]
    assert "Who forgets on purpose?" not in texts
    (table,) = [block for block in ranking.blocks if isinstance(block, Table)]
    rows = {row[0].text: [cell.text for cell in row[1:]] for row in table.rows}
    assert [name for name, _ in table.groups] == ["", "test loss", "recall horizon", "seconds a step"]
    assert [column.heading for column in table.columns[1:]] == [
        *("rank", "mean"),
        *("rank", "steps"),
        *("rank", "s"),
    ]
    assert rows["rda"][:4] == ["(1=)", "0.100", "(1)", "630"]
    assert rows["rda"][5] == "0.00500"
    assert rows["lstm"][2:4] == ["(2)", "42"]
    assert rows["gru"][2:4] == ["\u2013", "\u2013"]
    assert rows["rwa"][:4] == ["\u2013"] * 4
    strong = {row[0].text: [cell.strong for cell in row[3:5]] for row in table.rows}
    assert strong == {"lstm": [False] * 2, "gru": [False] * 2, "rwa": [False] * 2, "rda": [True] * 2}


def test_a_longer_test_has_to_be_possible(tmp_path: Path) -> None:
    write_run(tmp_path, experiment("lstm", task_options={"length": 100}))
    write_run(tmp_path, experiment("lstm", task="multicopy", task_options={"copies": 3}))
    addition, multicopy = build_sections(finished_runs(tmp_path))
    horizon = next(question for question in QUESTIONS if question.metric == "horizon")
    assert horizon.longer_test(addition, 99) == 400
    assert horizon.longer_test(multicopy, 12) is None
    assert longer_extrapolation(addition, 16) == 6400
    # 12,800 steps, doubled, are more than are ever tested.
    assert longer_extrapolation(addition, 128) is None
    assert longer_extrapolation(multicopy, 16) is None


def test_variants_of_one_task_are_told_apart(tmp_path: Path) -> None:
    for length in (5, 50):
        write_run(tmp_path, experiment("lstm", task_options={"length": length}))
    write_run(tmp_path, experiment("lstm", task="copy"))
    assert short_titles(build_sections(finished_runs(tmp_path))) == [
        "addition, length=5",
        "addition, length=50",
        "copy",
    ]


def test_times_of_different_machines_are_not_ranked(tmp_path: Path) -> None:
    write_run(tmp_path, experiment("lstm"), timing={"processor": "one"})
    write_run(tmp_path, experiment("gru"), timing={"processor": "another"})
    blocks = chapter(build_sections(finished_runs(tmp_path)), {}).blocks
    assert "What does a step cost?" not in [block.lead for block in blocks if isinstance(block, Text)]


def test_a_report_of_probed_runs_has_the_summary_the_chapters_and_the_numbers(out: Path) -> None:
    (folder,) = {run.folder for run in finished_runs(out) if run.experiment.architecture.name == "rwa"}
    source = build.write_report(out).read_text(encoding="utf-8")
    page = Page(source)
    anchors = [value[1:] for tag, name, value in page.attributes if tag == "a" and name == "href"]
    places = [anchors.index(name) for name in ("ranking", "addition", "toy", "reading", "machines")]
    assert places == sorted(places)
    # The chapter is handed the sections in which something was answer, with who is absent.
    assert any("gru: not probed. rwa: all its runs diverged." in text for text in page.paragraphs)
    assert "5 of 7 models are probed; workbench analyze on this folder adds what the others remember." in page.text
    rows = read_rows(out / "analysis.csv")
    assert len(rows) == 4
    assert {row["device"] for row in rows[:-1]} == {"cpu"}
    run = experiment("rda", seed=1)
    assert rows[-1] == {
        "task": "addition",
        "task_options": '{"length": 100}',
        "architecture": "rda",
        "architecture_options": '{"hidden_size": 64, "zoneout": 0.0}',
        "identity": run.identity,
        "seed": 1,
        "probe": "memory_length",
        "name": "horizon",
        "value": 640,
        "low": 639,
        "high": 641,
        "at_least": False,
        "unit": "steps",
        "what": "largest lag",
        "device": "cuda",
        "task_source": None,
        "architecture_source": None,
    }
    assert not (folder / "analysis.json").exists()
    assert (out / "tables/addition-ranks.tex").exists()
    before = {path: path.read_bytes() for path in out.rglob("*") if path.suffix in (".html", ".csv", ".tex")}
    build.write_report(out)
    assert {path: path.read_bytes() for path in before} == before


def test_a_report_of_which_every_run_was_probed_asks_for_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_probes(monkeypatch, memory_length=count_parameters)
    records.write_records(write_run(tmp_path, experiment("lstm")), {"memory_length": probe_record(horizon_metrics(5))})
    write_run(tmp_path, experiment("gru"), loss=None, diverged_at=7)
    assert "workbench analyze on this folder" not in Page(build.write_report(tmp_path).read_text(encoding="utf-8")).text


def test_a_report_of_runs_that_nobody_probed_says_how(tmp_path: Path) -> None:
    write_run(tmp_path, experiment("lstm"))
    page = Page(build.write_report(tmp_path).read_text(encoding="utf-8"))
    assert "workbench analyze on this folder adds" in page.text
    assert not (tmp_path / "analysis.csv").exists()
    assert "#ranking" not in [value for *_, value in page.attributes]


def test_only_unavailable_probes_leave_no_chapter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_probes(monkeypatch, toy=count_parameters)
    records.write_records(write_run(tmp_path, experiment("lstm")), {"toy": probe_record(None, "it has no gates")})
    page = Page(build.write_report(tmp_path).read_text(encoding="utf-8"))
    assert "Toy on addition: it has no gates." in page.text
    assert "#toy" not in [value for *_, value in page.attributes]
    assert read_rows(tmp_path / "analysis.csv") == []


def test_a_task_named_like_a_probe_keeps_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_probes(monkeypatch, toy=count_parameters)
    folder = write_run(tmp_path, experiment("lstm", task="toy", task_options={}))
    metric = Metric(value=1, unit="1", what="it")
    records.write_records(folder, {"toy": probe_record({"parameters": metric})})
    page = Page(build.write_report(tmp_path).read_text(encoding="utf-8"))
    identifiers = [value for _, name, value in page.attributes if name == "id"]
    assert identifiers.count("toy") == 1
    assert identifiers.count("probe-toy") == 1


def test_findings_that_cannot_be_read_are_one_line(tmp_path: Path) -> None:
    folder = write_run(tmp_path, experiment("lstm"))
    (folder / "analysis.json").write_text("{")
    with pytest.raises(UserError, match=r"analysis\.json is not readable JSON"):
        build.write_report(tmp_path)


def test_a_table_as_latex() -> None:
    table = Table(
        caption="Results on addition_1 & 50 %",
        columns=(
            Column(heading="architecture", kind="text"),
            Column(heading="hidden\nsize", group="model"),
            Column(heading="loss", group="test"),
            Column(heading="note", group="test", kind="prose"),
        ),
        rows=(
            (
                Cell(text="rda_{x}"),
                Cell(text="64"),
                Cell(text="(2.13 ± 1.12) \u00d7 10⁻⁴", strong=True),
                Cell(text="a\nb"),
            ),
            (Cell(text="[a] ~^\\"), Cell(text="\u2013"), Cell(text="\u2265 5"), Cell(text="$ #")),
        ),
        footer=((Cell(text="trivial"), Cell(text=""), Cell(text="< 1"), Cell(text="")),),
    )
    assert latex.table_to_latex(table, "a-table") == "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            r"\caption{Results on addition\_1 \& 50 \%}",
            r"\label{tab:a-table}",
            r"\begin{tabular}{lrrp{6cm}}",
            r"\toprule",
            r"\multicolumn{1}{c}{} & \multicolumn{1}{c}{model} & \multicolumn{2}{c}{test} \\",
            r"\cmidrule(lr){2-2}\cmidrule(lr){3-4}",
            r"architecture & hidden size & loss & note \\",
            r"\midrule",
            r"rda\_\{x\} & 64 & "
            r"\textbf{(2.13 \ensuremath{\pm} 1.12) \ensuremath{\times} 10\ensuremath{^{-4}}} & a b \\",
            r"{}[a] \textasciitilde{}\textasciicircum{}\textbackslash{} & -- & \ensuremath{\geq} 5 & \$ \# \\",
            r"\midrule",
            r"trivial &  & \ensuremath{<} 1 &  \\",
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )

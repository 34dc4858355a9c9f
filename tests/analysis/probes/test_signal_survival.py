"""The probe of signal survival on encoders with a known retention, and its chapter."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from analysis.formatting import ABSENT, MULTIPLICATION_SIGN
from analysis.grouping import Row, Section
from analysis.probes import signal_survival
from analysis.probes.aggregate import RowResults, SectionResults
from analysis.probes.models import LoadedModel, untrained_model
from analysis.probes.result import Metric, NotAvailableError, ProbeResult
from analysis.probes.settings import ProbeSettings
from analysis.probes.signal_survival import lags_up_to, task_spans
from analysis.report import signal_survival as survival_chapter
from analysis.report.blocks import Table, Text
from analysis.report.signal_survival import describe_left, format_power_of_ten, format_share
from analysis.statistics import Estimate
from analysis.style import LINE_STYLES
from architectures.rda import AveragingLayer
from tests.analysis.chapter_sentences import chapter_text
from tests.analysis.report_runs import experiment, write_run
from workbench.results import read_run
from workbench.tasks import build

pytestmark = pytest.mark.usefixtures("one_thread")
SETTINGS = ProbeSettings(longest=1000)


def load_model(architecture: str, hidden_size: int = 4, **options: object) -> LoadedModel:
    return untrained_model(experiment(architecture, hidden_size=hidden_size, options=options))


def value(result: ProbeResult, name: str) -> float:
    number = result.metrics[name].value
    assert number is not None
    return number


def test_a_constant_retention_is_the_photocopier():
    result = signal_survival.measure(
        load_model("tests.analysis.toy_encoders:Diagonal", fastest=0.9999, slowest=0.9999),
        ProbeSettings(longest=100_000),
    )
    # In single precision, 0.9999 is 0.99989998: over 100,000 steps that is 0.2 %.
    assert value(result, "left_100000") == pytest.approx(0.0000454, rel=3e-3)
    assert value(result, "calculated_left_100000") == pytest.approx(0.0000454, rel=3e-3)
    assert value(result, "essay_left") == pytest.approx(0.0000454, rel=2e-3)
    assert value(result, "half_left") == pytest.approx(math.log(0.5) / math.log(0.9999), abs=5)
    assert value(result, "hundredth_left") == pytest.approx(math.log(0.01) / math.log(0.9999), abs=30)
    np.testing.assert_allclose(result.curves["left"].to_array(), result.curves["calculated"].to_array(), atol=1e-4)


def test_an_average_of_constant_attention_leaves_one_part_in_all():
    loaded = load_model("rwa")
    layer = next(part for part in loaded.model.modules() if isinstance(part, AveragingLayer))
    with torch.no_grad():
        layer.weight_h.zero_()
        layer.weight_x[8:].zero_()
    result = signal_survival.measure(loaded, SETTINGS)
    assert value(result, "left_100") == pytest.approx(1 / 101, rel=1e-3)
    assert value(result, "log10_left_1000") == pytest.approx(-math.log10(1001), abs=1e-3)
    assert result.curves["left"].x == result.curves["copies"].x
    at = result.curves["left"].to_array("x")
    np.testing.assert_allclose(result.curves["left"].to_array(), -np.log10(at + 1), atol=1e-3)


def test_the_median_and_the_best_unit():
    result = signal_survival.measure(
        load_model("tests.analysis.toy_encoders:Diagonal", hidden_size=3, fastest=0.5, slowest=1.0), SETTINGS
    )
    assert value(result, "log10_left_100") == pytest.approx(100 * math.log10(0.75), rel=1e-6)
    assert result.curves["left_best"].y[-1] == 0
    assert result.curves["left_tenth"].y[1] == pytest.approx(2 * math.log10(0.5), rel=1e-5)
    assert result.metrics["half_left_best"].censored
    assert value(result, "half_left_best") == 1000
    assert not result.metrics["half_left"].censored
    assert value(result, "half_left") == 3


def test_only_units_that_hold_a_hundredth_count_on_the_tasks_own_sequences():
    """Units that keep 0.5, 0.73, and 0.96 a step: over 99 steps the last holds 0.0176, the others next to nothing."""
    loaded = load_model("tests.analysis.toy_encoders:Diagonal", hidden_size=3, fastest=0.5, slowest=0.96)
    result = signal_survival.measure_held(loaded, SETTINGS)
    assert value(result, "task_lag") == 99
    assert value(result, "units_holding") == pytest.approx(1 / 3)
    assert value(result, "held") == value(result, "held_best") == pytest.approx(0.96**99, rel=1e-4)
    shorter = signal_survival.measure_held(loaded, replace(SETTINGS, length=10))
    assert value(shorter, "units_holding") == pytest.approx(2 / 3)
    assert value(shorter, "held") == pytest.approx((0.96**9 + 0.73**9) / 2, rel=1e-4)
    none = load_model("tests.analysis.toy_encoders:Diagonal", fastest=0.0, slowest=0.0)
    nothing = signal_survival.measure_held(none, SETTINGS)
    assert value(nothing, "units_holding") == 0
    assert "held" not in nothing.metrics


def test_a_symbol_has_to_be_held_until_its_recall():
    task = build("copy", length=20, items=3)
    batch = task.fixed("test", 4, torch.device("cpu"))
    spans = task_spans(batch)
    assert len(spans) == 12
    symbols = batch.x.tolist()
    for span in spans:
        assert symbols[span.sequence][span.start] == batch.target[span.sequence, span.end]
    lengths = task_spans(build("classify-length", length=9).fixed("test", 5, torch.device("cpu")))
    assert all(span.start == 0 for span in lengths)
    assert {span.end for span in lengths} <= set(range(1, 9))


def test_what_is_shut_out_is_lost_and_no_number():
    result = signal_survival.measure(
        load_model("tests.analysis.toy_encoders:Diagonal", fastest=0.0, slowest=0.0), SETTINGS
    )
    assert result.metrics["log10_left_100"].value is None
    assert result.metrics["left_100"].value == 0
    assert ProbeResult.from_dict(result.to_dict()).metrics["left_100"].value == 0


@pytest.mark.parametrize(
    ("name", "reason"),
    [("rnn", "no gates"), ("tcn", "steps again"), ("han", "steps again"), ("transformer", "carries every step")],
)
def test_without_gates_there_are_copies_only(name, reason):
    result = signal_survival.measure(load_model(name), SETTINGS)
    assert reason in result.unavailable["survival"]
    assert "half_left" not in result.metrics
    reach = result.metrics.get("reach")
    assert (reach is None) == (name in ("rnn", "transformer"))
    curve = result.curves["copies"]
    last = 1000 if reach is None or reach.value is None else min(1000, reach.value - 1)
    assert curve.x[-1] == last
    assert curve.y[-1] == load_model(name).model.encoder.path_length(int(last))


def test_gates_over_all_that_was_read_are_measured_on_the_tasks_own_sequences():
    """The forgetting transformer discounts every step that it carries; 100,000 of them would take hours."""
    result = signal_survival.measure(load_model("fox"), SETTINGS)
    assert "carries every step" in result.unavailable["survival"]
    assert "half_left" not in result.metrics
    assert "units_holding" in result.metrics


def test_a_foreign_encoder_without_anything_is_not_available():
    with pytest.raises(NotAvailableError, match="survival: NotImplementedError: no trace; copies: NotImpl"):
        signal_survival.measure(load_model("tests.analysis.toy_encoders:WithoutTrace"), SETTINGS)


def test_the_model_is_left_as_it_was_and_the_same_is_found_again():
    loaded = load_model("rda")
    before, state = loaded.weights_hash, torch.get_rng_state()
    first = signal_survival.measure(loaded, SETTINGS)
    assert torch.equal(state, torch.get_rng_state())
    assert loaded.weights_hash == before
    assert signal_survival.measure(loaded, SETTINGS).to_dict() == first.to_dict()
    assert signal_survival.measure(loaded, replace(SETTINGS, seed=1)).to_dict() != first.to_dict()


def test_lags_rise_to_the_longest_over_all_powers_of_ten():
    lags = lags_up_to(50_000).tolist()
    assert lags == sorted(set(lags))
    assert lags[0] == 1
    assert lags[-1] == 50_000
    assert {10, 100, 1_000, 10_000} <= set(lags)
    assert lags_up_to(2).tolist() == [1, 2]


def test_shares_beyond_what_a_number_holds():
    assert format_power_of_ten(-5.0) == f"1.00 {MULTIPLICATION_SIGN} 10⁻⁵"
    assert format_power_of_ten(-13216.9) == "10⁻¹³²¹⁷"
    assert format_power_of_ten(-math.inf) == ABSENT
    wide = Estimate(value=-400.2, low=-900.0, high=3.0, unit="log10", seeds=2)
    assert format_share(wide) == "10⁻⁴⁰⁰ [10⁻⁹⁰⁰, 1.00]"


def section_results(tmp_path: Path, results: dict[str, ProbeResult]) -> SectionResults:
    row_results = []
    for name, result in results.items():
        run = read_run(write_run(tmp_path, experiment(name)))
        row_results.append(
            RowResults(row=Row(label=name, line_style=LINE_STYLES[name], runs=(run,)), results=(result,))
        )
    section = Section(anchor="addition", title="addition", rows=tuple(row.row for row in row_results))
    return SectionResults(section=section, rows=tuple(row_results), absent=(("gru", "its code is lost"),))


def test_the_largest_lag_that_is_seen_is_one_less_than_the_reach():
    result = signal_survival.measure(load_model("tcn", kernel_size=3, num_layers=1), SETTINGS)
    reach = result.metrics["reach"].value
    assert reach is not None
    assert reach in lags_up_to(SETTINGS.longest)
    assert result.curves["copies"].x[-1] == reach - 1


def test_the_chapter_says_what_the_numbers_say(tmp_path):
    """Retentions on both sides of the essay's."""
    toy = "tests.analysis.toy_encoders:Diagonal"
    rows = {
        "lstm": signal_survival.measure(load_model(toy, fastest=0.99, slowest=0.99), SETTINGS),
        "rda": signal_survival.measure(load_model(toy, fastest=0.99999, slowest=0.99999), SETTINGS),
        "tcn": signal_survival.measure(load_model("tcn"), SETTINGS),
        "rnn": signal_survival.measure(load_model("rnn"), SETTINGS),
    }
    chapter = survival_chapter.chapter([section_results(tmp_path, rows)], tmp_path)
    assert chapter is not None
    assert chapter.anchor == "signal-survival"
    text = chapter_text(chapter)
    assert "keeps 0.9999 of a signal leaves 0.905 of it after 1,000 copies" in text
    assert "more than that in rda (0.990" in text
    assert "less than that in lstm (4.3" in text
    assert "down to 1 % after ≥ 1,000 steps [≥ 1,000] in rda and 459 steps [459, 459] in lstm" in text
    assert "no measure of what is remembered on the task" in text
    # 0.99999^99 and 0.99^99.
    assert (
        "over 99 steps, the gates of the units that hold 1 % or more of a signal hold on to this much of it: " in text
    )
    assert "rda 0.999 [0.999, 0.999] in 100 % of its units; lstm 0.370 [0.370, 0.370] in 100 % of its units." in text
    assert "tcn" in text
    notes = [text for block in chapter.blocks if isinstance(block, Text) for text in block.sentences]
    assert "gru: its code is lost." in notes
    assert any(note.startswith("Gates of rnn: it has no gates") for note in notes)
    assert sum(block.kind == "figure" for block in chapter.blocks) == 2
    table = next(block for block in chapter.blocks if isinstance(block, Table))
    assert {line[0].text: line[-1].text for line in table.rows}["rnn"] == "all"


def test_what_is_left_is_told_from_the_photocopiers_by_the_interval(tmp_path):
    def log10_left(low: float | None, value: float, high: float | None) -> ProbeResult:
        return ProbeResult(metrics={"log10_left_1000": Metric(value=value, low=low, high=high, unit="log10", what="")})

    # The photocopier's is log10(0.9999^1000) = -0.0434.
    rows = {
        "lstm": log10_left(-0.03, -0.02, -0.01),
        "gru": log10_left(-0.06, -0.02, 0.02),
        "rwa": log10_left(-0.06, -0.05, -0.04),
        "rda": log10_left(-0.06, -0.055, -0.05),
        "rnn": log10_left(None, -0.02, None),
    }
    sentence = describe_left(section_results(tmp_path, rows).rows)
    assert sentence == (
        "After 1,000 shuffled steps, the gates of the median unit have left more than that in "
        "lstm (0.955 [0.933, 0.977]); an amount that cannot be told from that in gru (0.955 [0.871, 1.00]), rnn "
        "(0.955) and rwa (0.891 [0.871, 0.912]); less than that in rda (0.881 [0.871, 0.891])."
    )


def test_a_chapter_without_gates_or_without_rows(tmp_path):
    chapter = survival_chapter.chapter(
        [section_results(tmp_path, {"tcn": signal_survival.measure(load_model("tcn"), SETTINGS)})], tmp_path
    )
    assert chapter is not None
    assert sum(block.kind == "figure" for block in chapter.blocks) == 1
    empty = SectionResults(section=Section(anchor="a", title="a", rows=()), rows=(), absent=(("lstm", "lost"),))
    assert survival_chapter.chapter([empty], tmp_path) is None

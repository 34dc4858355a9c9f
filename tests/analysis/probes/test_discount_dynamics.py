"""Discount dynamics of whole models: known answers, what is missing, and the chapter."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from analysis.grouping import sections
from analysis.measures.gates import diagnosis
from analysis.probes import discount_dynamics
from analysis.probes import discount_dynamics as probe
from analysis.probes.aggregate import RowResults, SectionResults
from analysis.probes.result import NotAvailableError, ProbeResult
from analysis.probes.settings import ProbeSettings
from analysis.report import discount_dynamics as discount_chapter
from analysis.report.blocks import Figure, Table, Text
from analysis.report.discount_dynamics import summary
from tests.analysis.chapter_sentences import said
from tests.analysis.report_runs import experiment, write_run
from tests.analysis.toys import logit, still, subject
from workbench.results import finished

TOYS = "tests.analysis.toys"
FEW = ProbeSettings(sequences=3)
MULTI = {"copies": 6, "items": 2, "gap": 1, "categories": 3}


def value(found: ProbeResult, name: str) -> float:
    got = found.metrics[name].value
    assert got is not None
    return got


def test_a_fixed_discount_has_its_half_life() -> None:
    gamma = 0.8
    found = probe.measure(still(subject("rda-exp-tanh", length=100), bias_gamma=logit(gamma)), FEW)
    assert value(found, "gamma_half_life") == pytest.approx(math.log(0.5) / math.log(gamma), rel=1e-4)
    # With constant attention 1 - w_t = gamma d_{t-1} / d_t, and d_t = (1 - gamma^t) / (1 - gamma).
    t = np.arange(2, 101)
    real = np.log(gamma * (1 - gamma ** (t - 1)) / (1 - gamma**t)).mean()
    assert value(found, "discount_half_life") == pytest.approx(math.log(0.5) / real, rel=1e-4)
    assert value(found, "time_constant_median") == pytest.approx(-1 / real, rel=1e-4)
    assert value(found, "attention_range") == pytest.approx(0, abs=1e-6)
    assert found.labels["freeze"] == "live"
    assert found.curves["discount"].array() == pytest.approx(gamma, rel=1e-4)
    # In the limit the row of influence is geometric, of entropy h_b(gamma) / (1 - gamma).
    entropy = -(gamma * math.log(gamma) + (1 - gamma) * math.log(1 - gamma)) / (1 - gamma)
    assert value(found, "entropy_last") == pytest.approx(entropy, rel=1e-3)
    assert value(found, "lag_last") == pytest.approx(gamma / (1 - gamma), rel=1e-3)


def test_constant_attention_freezes() -> None:
    found = probe.measure(still(subject("rwa", length=150)), FEW)
    assert value(found, "write_slope") == pytest.approx(-1, abs=0.01)
    assert value(found, "frozen_units") == 1
    assert found.labels["freeze"] == "frozen"
    steps = found.curves["effective_window"].array("x")
    assert found.curves["effective_window"].array() == pytest.approx(steps, rel=1e-3)
    assert found.curves["simpson_window"].array() == pytest.approx(steps, rel=1e-3)
    assert found.curves["entropy"].array() == pytest.approx(np.log(steps), abs=1e-3)
    assert value(found, "window_share") == pytest.approx(1, rel=1e-3)
    assert found.curves["influence_last"].array() == pytest.approx(1 / 150, rel=1e-3)
    assert found.curves["influence_within_half"].array() == pytest.approx(
        (found.curves["influence_within_half"].array("x") + 1) / 75, rel=1e-3
    )
    # The first step, whose write is 1 for every average, says nothing of the model.
    assert value(found, "write_mean") == pytest.approx((1 / np.arange(2, 151)).mean(), rel=1e-3)
    assert value(found, "retention_mean") == pytest.approx(1 - (1 / np.arange(2, 151)).mean(), rel=1e-3)
    # The product of (t - 1) / t from 2 on is 1 / 150.
    assert value(found, "time_constant_median") == pytest.approx(149 / math.log(150), rel=1e-3)
    assert "discount" in found.unavailable["gamma_half_life"]


def test_a_constant_forget_gate_has_its_time_constant() -> None:
    found = subject("lstm", length=60)
    core = found.model.encoder.get_submodule("layers.0.core")
    with torch.no_grad():
        for name, parameter in core.named_parameters():
            parameter.zero_()
            if name == "bias_ih_l0":
                parameter[4:8] = logit(0.95)
    measured = probe.measure(found, FEW)
    assert value(measured, "time_constant_median") == pytest.approx(-1 / math.log(0.95), rel=1e-4)
    assert value(measured, "time_constant_longest") == pytest.approx(-1 / math.log(0.95), rel=1e-4)
    assert measured.curves["time_constants"].array() == pytest.approx(-1 / math.log(0.95), rel=1e-4)
    # The input gate is a half, whatever is there: retention and write add up to 1.45.
    assert value(measured, "write_mean") == pytest.approx(0.5)
    assert value(measured, "retention_mean") == pytest.approx(0.95, rel=1e-5)
    assert measured.labels["freeze"] == "live"
    within = measured.curves["influence_within_last"]
    lags = within.array("x") + 1
    assert within.array() == pytest.approx((1 - 0.95**lags) / (1 - 0.95**60), rel=1e-4)


def test_uniform_attention_in_the_hierarchy() -> None:
    found = probe.measure(subject(f"{TOYS}:Uniform", length=30), FEW)
    for level in (1, 2):
        assert value(found, f"attention_entropy_level_{level}") == pytest.approx(math.log(4), rel=1e-5)
        assert value(found, f"attention_window_level_{level}") == pytest.approx(4, rel=1e-5)
        assert found.curves[f"attention_level_{level}"].array() == pytest.approx(0.25, rel=1e-5)
        assert found.curves[f"attention_level_{level}"].x == tuple(4.0 ** (level - 1) * j for j in range(4))
    mass = found.curves["influence_last"]
    inside = mass.array("x") < 16
    assert mass.array()[inside] == pytest.approx(1 / 16, rel=1e-5)
    assert not mass.array()[~inside].any()
    assert "gates" in found.unavailable["retention"]


def test_what_is_dropped_on_purpose_shows_on_multicopy() -> None:
    found = probe.measure(subject(f"{TOYS}:Purposeful", "multicopy", **MULTI), FEW)
    assert value(found, "dropped_after_use") == pytest.approx(0.75)
    assert value(found, "kept_until_used") == pytest.approx(1)
    assert value(found, "forgets_on_purpose") == pytest.approx(0.75)
    assert found.curves["dropped_by_episode"].array() == pytest.approx(0.75)
    steady = probe.measure(subject(f"{TOYS}:Gated", "multicopy", **MULTI), FEW)
    assert value(steady, "forgets_on_purpose") == pytest.approx(0, abs=1e-6)
    assert value(steady, "dropped_after_use") == pytest.approx(1 - 0.9**4, rel=1e-5)
    frozen = probe.measure(still(subject("rwa", "multicopy", **MULTI)), FEW)
    assert value(frozen, "dropped_after_use") < 0.2
    assert value(frozen, "held_over") > 0.7


@pytest.mark.parametrize("name", ["lstm", "gru", "rwa", "rda-exp-tanh", "rda-sigmoid-id", "han", "han-bidirectional"])
def test_every_number_is_finite_and_lies_in_its_interval(name: str) -> None:
    found = probe.measure(subject(name, "classify-length", hidden_size=8, length=48), ProbeSettings(sequences=5))
    assert found.metrics
    for key, number in found.metrics.items():
        assert number.value is not None, key
        assert math.isfinite(number.value), key
        if number.low is not None and number.high is not None:
            assert number.low <= number.high, key
    assert ProbeResult.from_dict(found.to_dict()) == found


def test_the_model_is_left_as_it_was() -> None:
    found = subject("rda-exp-tanh", length=30)
    weights, state = found.weights, torch.get_rng_state()
    found.model.train()
    one, other = probe.measure(found, FEW), probe.measure(found, FEW)
    assert one == other
    assert found.model.training
    assert found.weights == weights
    assert torch.equal(torch.get_rng_state(), state)
    assert all(parameter.grad is None for parameter in found.model.parameters())


def test_parts_give_what_the_whole_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    found = subject("gru", "multicopy", **MULTI)
    whole = probe.measure(found, ProbeSettings(sequences=4))
    monkeypatch.setattr(discount_dynamics, "ELEMENTS", 36 * 4)
    parts = probe.measure(found, ProbeSettings(sequences=4))
    assert parts.metrics.keys() == whole.metrics.keys()
    for name, number in whole.metrics.items():
        assert parts.metrics[name].value == pytest.approx(number.value, rel=1e-5), name
    for name, curve in whole.curves.items():
        assert parts.curves[name].array() == pytest.approx(curve.array(), rel=1e-4, abs=1e-7, nan_ok=True), name
    assert parts.heatmaps == whole.heatmaps


def test_the_length_asked_for_is_that_of_the_sequences() -> None:
    found = probe.measure(subject("gru", length=30), ProbeSettings(sequences=2, length=77))
    assert found.curves["retention"].x[-1] == 77
    copies = probe.measure(subject("gru", "multicopy", **MULTI), ProbeSettings(sequences=2, length=20))
    assert copies.curves["retention"].x[-1] == 18
    with pytest.raises(NotAvailableError):
        probe.measure(subject("gru", "digits"), ProbeSettings(length=99))


@pytest.mark.parametrize(
    ("name", "reason"), [("rnn", "neither gates"), ("tcn", "neither gates"), (f"{TOYS}:Toy", "trace")]
)
def test_models_without_gates_and_maps_say_so(name: str, reason: str) -> None:
    with pytest.raises(NotAvailableError, match=reason):
        probe.measure(subject(name, length=20), FEW)


def made(tmp_path: Path, rows: dict[str, tuple[ProbeResult, ...]]) -> SectionResults:
    for name, found in rows.items():
        for seed in range(max(1, len(found))):
            write_run(tmp_path, experiment(name, seed=seed))
    section = sections(finished(tmp_path))[0]
    kept = [RowResults(row=row, results=rows[row.label]) for row in section.rows if rows[row.label]]
    absent = tuple((row.label, "it is a toy") for row in section.rows if not rows[row.label])
    return SectionResults(section=section, rows=tuple(kept), absent=absent)


def test_the_chapter_says_what_the_numbers_say(tmp_path: Path) -> None:
    dropping = probe.measure(subject(f"{TOYS}:Purposeful", "multicopy", **MULTI), FEW)
    frozen = probe.measure(still(subject("rwa", "multicopy", **MULTI)), FEW)
    uniform = probe.measure(subject(f"{TOYS}:Uniform", length=30), FEW)
    probed = made(tmp_path, {"lstm": (dropping,), "rwa": (frozen,), "han": (uniform,), "tcn": ()})
    chapter = discount_chapter.chapter([probed], tmp_path / "figures")
    assert chapter is not None
    assert chapter.anchor == "discount-dynamics"
    text = said(chapter)
    assert "lstm drops the largest share of what it has put out before it is asked again, 0.750" in text
    assert "Frozen, as the weight of what is new falls about as fast as 1 / t, or faster: rwa (slope -1.0" in text
    assert "lstm forgets on purpose by the widest margin" in text
    assert "level 1 to 4.00 [4.00, 4.00] of 4" in text
    table = next(block for block in chapter.blocks if isinstance(block, Table))
    assert [line[0].text for line in table.lines] == ["lstm", "rwa"]
    assert any(isinstance(block, Text) and "tcn: it is a toy." in block.sentences for block in chapter.blocks)
    figures = [block for block in chapter.blocks if isinstance(block, Figure)]
    assert len(figures) == 7
    assert len({figure.svg for figure in figures}) == 7
    assert len(list((tmp_path / "figures").glob("*.svg"))) == 7


def test_a_margin_that_may_be_0_is_no_purpose(tmp_path: Path) -> None:
    steady = probe.measure(subject(f"{TOYS}:Gated", "multicopy", **MULTI), FEW)
    probed = made(tmp_path, {"lstm": (steady,), "gru": (steady,)})
    said = " ".join(summary(probed.rows))
    assert "who forgets on purpose: none that the intervals tell from 0: gru " in said
    assert "widest margin" not in said


def test_no_rows_no_chapter(tmp_path: Path) -> None:
    assert discount_chapter.chapter([made(tmp_path, {"tcn": ()})], tmp_path) is None


def test_without_an_interval_nothing_is_called_frozen() -> None:
    assert diagnosis(-math.inf, math.inf) == "between"

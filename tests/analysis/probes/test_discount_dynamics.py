"""The probe of discount dynamics on whole models with known gates and attention, and its chapter."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from analysis.grouping import build_sections
from analysis.measures.gates import diagnose_freeze
from analysis.probes import discount_dynamics as probe
from analysis.probes.aggregate import RowResults, SectionResults
from analysis.probes.result import NotAvailableError, ProbeResult
from analysis.probes.settings import ProbeSettings
from analysis.report import discount_dynamics as discount_chapter
from analysis.report.blocks import Figure, Table, Text
from analysis.report.discount_dynamics import describe_discount
from tests.analysis.chapter_sentences import chapter_text
from tests.analysis.report_runs import experiment, write_run
from tests.analysis.toys import load_untrained, logit, with_constant_gates
from workbench.results import finished_runs

TOYS = "tests.analysis.toys"
FEW = ProbeSettings(sequences=3)
MULTI = {"copies": 6, "items": 2, "gap": 1, "categories": 3}


def value(result: ProbeResult, name: str) -> float:
    number = result.metrics[name].value
    assert number is not None
    return number


def test_a_fixed_discount_has_its_half_life() -> None:
    gamma = 0.8
    result = probe.measure(
        with_constant_gates(load_untrained("rda-exp-tanh", length=100), bias_gamma=logit(gamma)), FEW
    )
    assert value(result, "gamma_half_life") == pytest.approx(math.log(0.5) / math.log(gamma), rel=1e-4)
    # With constant attention 1 - w_t = gamma d_{t-1} / d_t, and d_t = (1 - gamma^t) / (1 - gamma).
    t = np.arange(2, 101)
    real = np.log(gamma * (1 - gamma ** (t - 1)) / (1 - gamma**t)).mean()
    assert value(result, "discount_half_life") == pytest.approx(math.log(0.5) / real, rel=1e-4)
    assert value(result, "time_constant_median") == pytest.approx(-1 / real, rel=1e-4)
    assert value(result, "attention_range") == pytest.approx(0, abs=1e-6)
    assert result.labels["freeze"] == "live"
    assert result.curves["discount"].to_array() == pytest.approx(gamma, rel=1e-4)
    # In the limit the row of influence is geometric, of entropy h_b(gamma) / (1 - gamma).
    entropy = -(gamma * math.log(gamma) + (1 - gamma) * math.log(1 - gamma)) / (1 - gamma)
    assert value(result, "entropy_last") == pytest.approx(entropy, rel=1e-3)
    assert value(result, "lag_last") == pytest.approx(gamma / (1 - gamma), rel=1e-3)


def test_the_share_of_averages_where_tanh_is_nearly_linear() -> None:
    """Without activations on the way the output is n / d itself."""
    loaded = load_untrained("rda-sigmoid-id", length=40)
    with torch.no_grad():
        for parameter in loaded.model.encoder.parameters():
            parameter.mul_(3)
    batch = loaded.task.fixed("test", 3, torch.device("cpu"))
    y = loaded.model.encoder(batch.x)[0].detach()
    share = (y.abs() < 0.5).double().mean().item()
    assert 0.1 < share < 0.9
    assert value(probe.measure(loaded, FEW), "linear_share") == pytest.approx(share, abs=1e-9)
    assert "linear_share" not in probe.measure(load_untrained("gru", length=10), FEW).metrics


def test_constant_attention_freezes() -> None:
    result = probe.measure(with_constant_gates(load_untrained("rwa", length=150)), FEW)
    assert value(result, "write_slope") == pytest.approx(-1, abs=0.01)
    assert value(result, "frozen_units") == 1
    assert result.labels["freeze"] == "frozen"
    steps = result.curves["effective_window"].to_array("x")
    assert result.curves["effective_window"].to_array() == pytest.approx(steps, rel=1e-3)
    assert result.curves["simpson_window"].to_array() == pytest.approx(steps, rel=1e-3)
    assert result.curves["entropy"].to_array() == pytest.approx(np.log(steps), abs=1e-3)
    assert value(result, "window_share") == pytest.approx(1, rel=1e-3)
    assert result.curves["influence_last"].to_array() == pytest.approx(1 / 150, rel=1e-3)
    assert result.curves["influence_within_half"].to_array() == pytest.approx(
        (result.curves["influence_within_half"].to_array("x") + 1) / 75, rel=1e-3
    )
    # The first step, whose write is 1 for every average, says nothing of the model.
    assert value(result, "write_mean") == pytest.approx((1 / np.arange(2, 151)).mean(), rel=1e-3)
    assert value(result, "retention_mean") == pytest.approx(1 - (1 / np.arange(2, 151)).mean(), rel=1e-3)
    # The product of (t - 1) / t from 2 on is 1 / 150.
    assert value(result, "time_constant_median") == pytest.approx(149 / math.log(150), rel=1e-3)
    assert "discount" in result.unavailable["gamma_half_life"]


def test_a_constant_forget_gate_has_its_time_constant() -> None:
    loaded = load_untrained("lstm", length=60)
    core = loaded.model.encoder.get_submodule("layers.0.core")
    with torch.no_grad():
        for name, parameter in core.named_parameters():
            parameter.zero_()
            if name == "bias_ih_l0":
                parameter[4:8] = logit(0.95)
    result = probe.measure(loaded, FEW)
    assert value(result, "time_constant_median") == pytest.approx(-1 / math.log(0.95), rel=1e-4)
    assert value(result, "time_constant_longest") == pytest.approx(-1 / math.log(0.95), rel=1e-4)
    assert result.curves["time_constants"].to_array() == pytest.approx(-1 / math.log(0.95), rel=1e-4)
    # The input gate is a half, whatever is there: retention and write add up to 1.45.
    assert value(result, "write_mean") == pytest.approx(0.5)
    assert value(result, "retention_mean") == pytest.approx(0.95, rel=1e-5)
    assert result.labels["freeze"] == "live"
    within = result.curves["influence_within_last"]
    lags = within.to_array("x") + 1
    assert within.to_array() == pytest.approx((1 - 0.95**lags) / (1 - 0.95**60), rel=1e-4)


def test_uniform_attention_in_the_hierarchy() -> None:
    result = probe.measure(load_untrained(f"{TOYS}:UniformAttention", length=30), FEW)
    for level in (1, 2):
        assert value(result, f"attention_entropy_level_{level}") == pytest.approx(math.log(4), rel=1e-5)
        assert value(result, f"attention_window_level_{level}") == pytest.approx(4, rel=1e-5)
        assert result.curves[f"attention_level_{level}"].to_array() == pytest.approx(0.25, rel=1e-5)
        assert result.curves[f"attention_level_{level}"].x == tuple(4.0 ** (level - 1) * j for j in range(4))
    shares = result.curves["influence_last"]
    inside = shares.to_array("x") < 16
    assert shares.to_array()[inside] == pytest.approx(1 / 16, rel=1e-5)
    assert not shares.to_array()[~inside].any()
    assert "gates" in result.unavailable["retention"]


def test_what_is_dropped_on_purpose_shows_on_multicopy() -> None:
    result = probe.measure(load_untrained(f"{TOYS}:Purposeful", "multicopy", **MULTI), FEW)
    assert value(result, "dropped_after_use") == pytest.approx(0.75)
    assert value(result, "kept_until_used") == pytest.approx(1)
    assert value(result, "forgets_on_purpose") == pytest.approx(0.75)
    assert result.curves["dropped_by_episode"].to_array() == pytest.approx(0.75)
    steady = probe.measure(load_untrained(f"{TOYS}:Gated", "multicopy", **MULTI), FEW)
    assert value(steady, "forgets_on_purpose") == pytest.approx(0, abs=1e-6)
    assert value(steady, "dropped_after_use") == pytest.approx(1 - 0.9**4, rel=1e-5)
    frozen = probe.measure(with_constant_gates(load_untrained("rwa", "multicopy", **MULTI)), FEW)
    assert value(frozen, "dropped_after_use") < 0.2
    assert value(frozen, "held_over") > 0.7


def test_a_fixed_gate_of_attention_is_a_discount(monkeypatch: pytest.MonkeyPatch) -> None:
    """A forgetting transformer without queries: the half-life of its gate, and maps that weigh a lag by it. Sequences
    that are too long for maps have the rows of influence of the gates, which are then the same."""
    loaded = load_untrained("fox", hidden_size=8, length=40)
    with torch.no_grad():
        for name, parameter in loaded.model.encoder.named_parameters():
            if name.endswith("qkv.weight"):
                parameter[:8] = 0
            elif "gate" in name:
                parameter.fill_(logit(0.8) if name.endswith("bias") else 0.0)
    for limit in (2048, 10):
        monkeypatch.setattr("architectures.transformer.MAX_MAPPED_STEPS", limit)
        monkeypatch.setattr(probe, "MAX_MAPPED_STEPS", limit)
        result = probe.measure(loaded, FEW)
        assert value(result, "gamma_half_life") == pytest.approx(math.log(0.5) / math.log(0.8), rel=1e-5)
        within = result.curves["influence_within_last"]
        lags = within.to_array("x") + 1
        assert within.to_array() == pytest.approx((1 - 0.8**lags) / (1 - 0.8**40), rel=1e-4)
        assert ("attention_window_level_1" in result.metrics) == (limit > 40)
    assert result.unavailable["attention_maps"].endswith(
        "no attention maps of more than 10 steps, which take memory of their square"
    )


@pytest.mark.parametrize(
    "name",
    [
        *("lstm", "gru", "rwa", "rda-exp-tanh", "rda-sigmoid-id", "han", "han-bidirectional"),
        *("rnn-attention", "slstm", "mingru"),
        *("transformer", "fox", "linear-attention", "retnet", "mlstm", "mamba2", "gated-deltanet"),
    ],
)
def test_every_number_is_finite_and_lies_in_its_interval(name: str) -> None:
    result = probe.measure(
        load_untrained(name, "classify-length", hidden_size=8, length=48), ProbeSettings(sequences=5)
    )
    assert result.metrics
    for key, metric in result.metrics.items():
        assert metric.value is not None, key
        assert math.isfinite(metric.value), key
        if metric.low is not None and metric.high is not None:
            assert metric.low <= metric.high, key
    assert ProbeResult.from_dict(result.to_dict()) == result


def test_the_model_is_left_as_it_was() -> None:
    loaded = load_untrained("rda-exp-tanh", length=30)
    weights, state = loaded.weights_hash, torch.get_rng_state()
    loaded.model.train()
    first, second = probe.measure(loaded, FEW), probe.measure(loaded, FEW)
    assert first == second
    assert loaded.model.training
    assert loaded.weights_hash == weights
    assert torch.equal(torch.get_rng_state(), state)
    assert all(parameter.grad is None for parameter in loaded.model.parameters())


def test_parts_give_what_the_whole_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = load_untrained("gru", "multicopy", **MULTI)
    whole = probe.measure(loaded, ProbeSettings(sequences=4))
    monkeypatch.setattr(probe, "MAX_ELEMENTS", 36 * 4)
    parts = probe.measure(loaded, ProbeSettings(sequences=4))
    assert parts.metrics.keys() == whole.metrics.keys()
    for name, metric in whole.metrics.items():
        assert parts.metrics[name].value == pytest.approx(metric.value, rel=1e-5), name
    for name, curve in whole.curves.items():
        assert parts.curves[name].to_array() == pytest.approx(curve.to_array(), rel=1e-4, abs=1e-7, nan_ok=True), name
    assert parts.heatmaps == whole.heatmaps


def test_the_length_asked_for_is_that_of_the_sequences() -> None:
    result = probe.measure(load_untrained("gru", length=30), ProbeSettings(sequences=2, length=77))
    assert result.curves["retention"].x[-1] == 77
    copies = probe.measure(load_untrained("gru", "multicopy", **MULTI), ProbeSettings(sequences=2, length=20))
    assert copies.curves["retention"].x[-1] == 18
    with pytest.raises(NotAvailableError):
        probe.measure(load_untrained("gru", "digits"), ProbeSettings(length=99))


@pytest.mark.parametrize(
    ("name", "reason"), [("rnn", "neither gates"), ("tcn", "neither gates"), (f"{TOYS}:ToyEncoder", "trace")]
)
def test_models_without_gates_and_maps_say_so(name: str, reason: str) -> None:
    with pytest.raises(NotAvailableError, match=reason):
        probe.measure(load_untrained(name, length=20), FEW)


def section_results(tmp_path: Path, rows: dict[str, tuple[ProbeResult, ...]]) -> SectionResults:
    for name, results in rows.items():
        for seed in range(max(1, len(results))):
            write_run(tmp_path, experiment(name, seed=seed))
    section = build_sections(finished_runs(tmp_path))[0]
    kept = [RowResults(row=row, results=rows[row.label]) for row in section.rows if rows[row.label]]
    absent = tuple((row.label, "it is a toy") for row in section.rows if not rows[row.label])
    return SectionResults(section=section, rows=tuple(kept), absent=absent)


def test_the_chapter_says_what_the_numbers_say(tmp_path: Path) -> None:
    dropping = probe.measure(load_untrained(f"{TOYS}:Purposeful", "multicopy", **MULTI), FEW)
    frozen = probe.measure(with_constant_gates(load_untrained("rwa", "multicopy", **MULTI)), FEW)
    uniform = probe.measure(load_untrained(f"{TOYS}:UniformAttention", length=30), FEW)
    results = section_results(tmp_path, {"lstm": (dropping,), "rwa": (frozen,), "han": (uniform,), "tcn": ()})
    chapter = discount_chapter.chapter([results], tmp_path / "figures")
    assert chapter is not None
    assert chapter.anchor == "discount-dynamics"
    text = chapter_text(chapter)
    assert "lstm drops the largest share of what it has output before it is asked again, 0.750" in text
    assert "Frozen, as the weight of what is new falls about as fast as 1 / t, or faster: rwa (slope -1.0" in text
    assert "lstm forgets on purpose by the widest margin" in text
    assert "level 1 to 4.00 [4.00, 4.00] of 4" in text
    table = next(block for block in chapter.blocks if isinstance(block, Table))
    assert [line[0].text for line in table.rows] == ["lstm", "rwa"]
    assert any(isinstance(block, Text) and "tcn: it is a toy." in block.sentences for block in chapter.blocks)
    figures = [block for block in chapter.blocks if isinstance(block, Figure)]
    assert len(figures) == 7
    assert len({figure.svg for figure in figures}) == 7
    assert len(list((tmp_path / "figures").glob("*.svg"))) == 7


def test_a_margin_that_may_be_0_is_no_purpose(tmp_path: Path) -> None:
    steady = probe.measure(load_untrained(f"{TOYS}:Gated", "multicopy", **MULTI), FEW)
    results = section_results(tmp_path, {"lstm": (steady,), "gru": (steady,)})
    text = " ".join(describe_discount(results.rows))
    assert "who forgets on purpose: nothing learned yet, as none has an interval above 0: gru " in text
    assert "widest margin" not in text


def test_no_rows_no_chapter(tmp_path: Path) -> None:
    assert discount_chapter.chapter([section_results(tmp_path, {"tcn": ()})], tmp_path) is None


def test_without_an_interval_nothing_is_called_frozen() -> None:
    assert diagnose_freeze(-math.inf, math.inf) == "between"

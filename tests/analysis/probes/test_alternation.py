"""The probe of lemma 1 on whole models with a known growth of attention, and its chapter."""

import math
from pathlib import Path

import pytest
import torch

from analysis.grouping import build_sections
from analysis.measures.lemma1 import lemma_bound
from analysis.probes import alternation as probe
from analysis.probes.aggregate import RowResults, SectionResults
from analysis.probes.models import LoadedModel
from analysis.probes.result import Metric, NotAvailableError, ProbeResult
from analysis.probes.settings import ProbeSettings
from analysis.report import alternation
from analysis.report.alternation import describe_alternation
from analysis.report.blocks import Figure, Table, Text
from tests.analysis.chapter_sentences import chapter_text
from tests.analysis.report_runs import experiment, write_run
from tests.analysis.toys import load_untrained, with_constant_gates
from workbench.results import finished_runs

SETTINGS = ProbeSettings()
LENGTH = 20


def value(result: ProbeResult, name: str) -> float:
    number = result.metrics[name].value
    assert number is not None
    return number


def alternation_model(name: str) -> LoadedModel:
    return load_untrained(name, "alternation", length=LENGTH, amplitude=0.5)


def test_only_alternation_is_about_the_lemma() -> None:
    with pytest.raises(NotAvailableError, match="alternation alone"):
        probe.measure(load_untrained("rwa", length=20), SETTINGS)


def test_constant_attention_does_not_grow_and_freezes() -> None:
    loaded = with_constant_gates(alternation_model("rwa"), bias_u=1.0, bias_g=1.0)
    with torch.no_grad():
        loaded.model.readout.weight.fill_(0.25)
        loaded.model.encoder.get_parameter("layers.0.weight_x")[:4].zero_()
    result = probe.measure(loaded, SETTINGS)
    assert value(result, "attention_growth") == pytest.approx(0, abs=1e-6)
    assert value(result, "write_slope") == pytest.approx(-1, abs=0.02)
    assert result.labels["freeze"] == "frozen"
    assert value(result, "write_last") == pytest.approx((1 / 19 + 1 / 20) / 2, rel=1e-4)
    # Every unit has the features z = tanh(1) and their average r: v = W (|z| + |r|) = tanh(1) / 2.
    z = math.tanh(1)
    needed = 2 * 0.5 / (4 * z / 2)
    assert value(result, "write_needed") == pytest.approx(needed, rel=1e-5)
    assert value(result, "growth_needed") == pytest.approx(-math.log(1 - needed), rel=1e-5)
    assert value(result, "growth_margin") == pytest.approx(math.log(1 - needed), rel=1e-5)
    assert value(result, "growth_margin_beyond") == pytest.approx(math.log(1 - needed), rel=1e-5)
    assert value(result, "growth_of_lemma") == pytest.approx(lemma_bound(0.5, z, hidden_tanh=True).growth, rel=1e-5)
    # A constant answer: tanh(z) once for each of four units, a quarter each.
    assert value(result, "loss") == pytest.approx(math.tanh(z) ** 2 + 0.25, rel=1e-5)
    assert value(result, "amplitude") == pytest.approx(0, abs=1e-6)


def model_with_growing_attention(rate: float, until: int = 10**6) -> LoadedModel:
    """Returns an RWA whose log a grows at a constant rate, up to some step."""
    loaded = alternation_model("rwa")
    with torch.no_grad():
        loaded.model.readout.weight.fill_(9)
    original_trace = loaded.model.encoder.trace

    def growing_trace(x: torch.Tensor) -> object:
        trace = original_trace(x)
        p = rate * torch.arange(x.shape[1], dtype=torch.float32).clamp(max=until).view(1, -1, 1).expand(-1, -1, 4)
        l = p.logcumsumexp(1)
        gates = {**(trace.gates or {}), "l": l}
        return type(trace)(
            y=trace.y,
            retention=1 - (p - l).exp(),
            write=(p - l).exp(),
            content=trace.content,
            log_attention=p,
            log_discount=torch.zeros_like(p),
            gates=gates,
        )

    loaded.model.encoder.trace = growing_trace  # type: ignore[method-assign,assignment]
    return loaded


def test_attention_that_stops_growing_falls_short_beyond() -> None:
    result = probe.measure(model_with_growing_attention(0.3, until=LENGTH), SETTINGS)
    assert value(result, "growth_margin") == pytest.approx(0.3 - value(result, "growth_needed"), rel=1e-4)
    assert value(result, "growth_margin_beyond") == pytest.approx(-value(result, "growth_needed"), rel=1e-4)


def test_attention_that_grows_is_measured() -> None:
    result = probe.measure(model_with_growing_attention(0.3), SETTINGS)
    assert value(result, "growth_margin_beyond") == pytest.approx(0.3 - value(result, "growth_needed"), rel=1e-4)
    assert value(result, "attention_growth") == pytest.approx(0.3, rel=1e-5)
    assert value(result, "attention_growth_largest") == pytest.approx(0.3, rel=1e-5)
    # a_t = e^{0.3 t}: in the limit the weight of what is new is 1 - e^{-0.3}, and does not fall.
    assert result.curves["write"].to_array()[-1] == pytest.approx(1 - math.exp(-0.3), rel=1e-4)
    assert result.labels["freeze"] == "live"
    assert value(result, "growth_margin") == pytest.approx(0.3 - value(result, "growth_needed"), rel=1e-4)


def test_a_read_out_that_is_perfect_has_the_amplitude(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = alternation_model("gru")
    forward = loaded.model.forward

    def perfect(x: torch.Tensor) -> object:
        answer, state = forward(x)
        signs = torch.tensor([-1.0, 1.0]).repeat(x.shape[1])[: x.shape[1]].view(1, -1, 1)
        # Right until the end of training, then nothing.
        return torch.where(torch.arange(x.shape[1]).view(1, -1, 1) < LENGTH, 0.5 * signs, 0 * answer), state

    monkeypatch.setattr(loaded.model, "forward", perfect)
    result = probe.measure(loaded, SETTINGS)
    assert value(result, "loss") == 0
    assert value(result, "amplitude") == pytest.approx(1)
    assert value(result, "amplitude_beyond") == pytest.approx(0)
    assert value(result, "loss_beyond") == pytest.approx(0.25)
    assert result.curves["error"].to_array()[: LENGTH // 2].tolist() == [0.0] * (LENGTH // 2)


@pytest.mark.parametrize("length", [7, 20])
def test_the_amplitude_beyond_starts_with_the_right_sign(length: int, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = alternation_model("gru")
    signs = torch.tensor([-1.0, 1.0]).repeat(4 * length)
    monkeypatch.setattr(loaded.model, "forward", lambda x: (0.5 * signs[: x.shape[1]].view(1, -1, 1), None))
    result = probe.measure(loaded, ProbeSettings(length=length))
    assert value(result, "amplitude_beyond") == pytest.approx(1)


@pytest.mark.parametrize(
    "name", ["rnn", "lstm", "gru", "rwa", "rda-exp-tanh", "rda-sigmoid-id", "tcn", "han", "han-bidirectional"]
)
def test_every_architecture_has_what_it_can_have(name: str) -> None:
    loaded = alternation_model(name)
    weights = loaded.weights_hash
    result = probe.measure(loaded, SETTINGS)
    assert loaded.weights_hash == weights
    assert {"loss", "loss_beyond", "amplitude"} <= result.metrics.keys()
    assert ("write_last" in result.metrics) == (name in ("lstm", "gru", "rwa", "rda-exp-tanh", "rda-sigmoid-id"))
    assert ("attention_growth" in result.metrics) == name.startswith(("rwa", "rda"))
    assert ("growth_of_lemma" in result.metrics) == (name == "rwa")
    # Untrained, its features are small: even if it forgot everything at every step, it could not alternate.
    assert ("no attention is enough" in result.unavailable.get("growth_needed", "")) == (name == "rwa")
    assert ProbeResult.from_dict(result.to_dict()) == result


def test_a_model_bound_to_its_length_costs_what_lies_beyond(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = alternation_model("tcn")
    forward = loaded.model.forward

    def limited_forward(x: torch.Tensor) -> object:
        if x.shape[1] > LENGTH:
            raise ValueError("positions end")
        return forward(x)

    monkeypatch.setattr(loaded.model, "forward", limited_forward)
    result = probe.measure(loaded, SETTINGS)
    assert "positions end" in result.unavailable["loss_beyond"]
    assert "loss" in result.metrics


def test_who_is_no_better_than_a_constant_and_who_is_worse(tmp_path: Path) -> None:
    shares = {"gru": 1.05, "lstm": 0.4, "rwa": 3.0}
    for name in shares:
        write_run(tmp_path, experiment(name, task="alternation", task_options={"length": LENGTH, "amplitude": 0.5}))
    rows = build_sections(finished_runs(tmp_path))[0].rows
    results = {
        name: ProbeResult(metrics={"loss_share": Metric(value=value, unit="1", what="")})
        for name, value in shares.items()
    }
    sentences = describe_alternation([RowResults(row=row, results=(results[row.label],)) for row in rows])
    assert sentences == [
        "within a tenth of the trivial loss, that of a constant answer: gru.",
        "above the trivial loss, and so worse than a constant answer: rwa.",
    ]


@pytest.mark.parametrize(
    ("ends", "expected"),
    [
        ((0.1, 0.3), "more than the 0.200 nats / step"),
        (
            (-0.3, -0.1),
            "less than the 0.200 nats / step that lemma 1 asks for with its read-out and features: it cannot",
        ),
        ((-0.3, 0.1), "which cannot be told from the 0.200 nats / step"),
        ((-0.1, 0.3), "which cannot be told from the 0.200 nats / step"),
        ((None, None), "beside the 0.200 nats / step"),
    ],
)
def test_the_growth_is_told_from_the_bound_by_the_interval(
    ends: tuple[float | None, float | None], expected: str, tmp_path: Path
) -> None:
    write_run(tmp_path, experiment("rwa", task="alternation", task_options={"length": LENGTH, "amplitude": 0.5}))
    low, high = ends
    metrics = {
        "attention_growth": Metric(value=0.3, unit="nats / step", what=""),
        "growth_needed": Metric(value=0.2, unit="nats / step", what=""),
        "growth_margin": Metric(value=sum(end or 0 for end in ends) / 2, low=low, high=high, unit="1", what=""),
    }
    row = RowResults(row=build_sections(finished_runs(tmp_path))[0].rows[0], results=(ProbeResult(metrics=metrics),))
    (sentence,) = describe_alternation([row])
    assert sentence.startswith(f"the attention of rwa grows by 0.300 nats / step, {expected}")


def test_the_chapter_compares_the_growth_with_the_bound(tmp_path: Path) -> None:
    for name in ("gru", "rwa", "tcn"):
        write_run(tmp_path, experiment(name, task="alternation", task_options={"length": LENGTH, "amplitude": 0.5}))
    section = build_sections(finished_runs(tmp_path))[0]
    frozen = with_constant_gates(alternation_model("rwa"), bias_u=1.0, bias_g=1.0)
    results = {"gru": probe.measure(alternation_model("gru"), SETTINGS), "rwa": probe.measure(frozen, SETTINGS)}
    rows = tuple(RowResults(row=row, results=(results[row.label],)) for row in section.rows if row.label in results)
    chapter = alternation.chapter(
        [SectionResults(section=section, rows=rows, absent=(("tcn", "why not"),))], tmp_path / "f"
    )
    assert chapter is not None
    text = chapter_text(chapter)
    assert "the attention of rwa grows by 0 nats" in text.replace("The", "the")
    assert "less than the" in text
    assert "corollary 2" in text
    table = next(block for block in chapter.blocks if isinstance(block, Table))
    assert [line[0].text for line in table.rows] == ["gru", "rwa"]
    assert sum(isinstance(block, Figure) for block in chapter.blocks) == 1
    assert any(isinstance(block, Text) and "tcn: why not." in block.sentences for block in chapter.blocks)
    assert alternation.chapter([SectionResults(section=section, rows=())], tmp_path) is None

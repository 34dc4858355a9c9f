"""The probe of memory length on encoders whose memory is known."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Generator, Tensor

from analysis.probes import memory_length
from analysis.probes.memory_length import random_input
from analysis.probes.predictions import recalled_answers
from analysis.probes.result import NotAvailableError, ProbeResult
from analysis.probes.settings import ProbeSettings
from architectures.state import State
from tests.analysis.memory_toys import DelayLine, ToyEncoder, model_with_memory, toy_model
from workbench.seeding import make_generator
from workbench.tasks import build

CPU = torch.device("cpu")
FEW = ProbeSettings(sequences=8, directions=8)


def seeded_generator() -> Generator:
    return Generator().manual_seed(0)


def values(result: ProbeResult) -> dict[str, float | None]:
    return {name: number.value for name, number in result.metrics.items()}


def test_the_horizon_is_the_length_of_the_memory() -> None:
    """Lags run from 6 to 65; what lies further back than 30 steps is answered by a guess, right in 1 of 4 cases."""
    result = memory_length.measure(model_with_memory(30), ProbeSettings())
    horizon = result.metrics["horizon"]
    assert horizon.value == pytest.approx(30.5, abs=1.5)
    low, value, high = (horizon.low or 0, horizon.value or 0, horizon.high or 0)
    assert 26 < low <= value <= high < 34
    assert not horizon.censored
    assert values(result)["recall_bound"] == 0.625
    # 25 of the 60 lags are within the memory.
    assert values(result)["recall_accuracy"] == pytest.approx((25 + 35 / 4) / 60, abs=0.07)
    curve = result.curves["recall"]
    near = curve.to_array()[curve.to_array("x") < 28]
    assert len(near) > 3
    assert (near == 1).all()
    assert curve.to_array()[curve.to_array("x") > 34].max() < 0.5


def test_the_horizon_of_a_memory_without_end() -> None:
    horizon = memory_length.measure(model_with_memory(1000), FEW).metrics["horizon"]
    assert (horizon.value, horizon.low, horizon.high, horizon.censored) == (65, 65, 65, True)


def test_the_largest_lags_have_an_accuracy_of_their_own() -> None:
    """Beyond 30 steps the answer is a guess, right in 1 of 4 cases."""
    metrics = memory_length.measure_recall(model_with_memory(30), ProbeSettings()).metrics
    assert metrics["accuracy_at_limit"].value == pytest.approx(0.25, abs=0.2)
    low, high = metrics["accuracy_at_limit"].low, metrics["accuracy_at_limit"].high
    assert low is not None
    assert high is not None
    assert low < 0.25 < high < 0.625
    assert memory_length.measure_recall(model_with_memory(99), FEW).metrics["accuracy_at_limit"].value == 1


def test_a_reach_that_fills_the_sequence_may_be_longer() -> None:
    rwa = memory_length.measure_receptive_field(toy_model("addition", {"length": 10}, name="rwa"), FEW)
    for name in ("field_50", "field_90", "field_95"):
        assert rwa.metrics[name].censored == (rwa.metrics[name].value == 9)
    # A delay line sees nothing beyond its ten steps, however long the sequence.
    delay = memory_length.measure_receptive_field(toy_model("addition", {"length": 10}, DelayLine(2, 10)), FEW)
    assert not any(delay.metrics[name].censored for name in ("field_50", "field_90", "field_95"))


def test_what_is_not_even_recalled_at_the_smallest_lag_may_be_at_any_below() -> None:
    horizon = memory_length.measure(model_with_memory(3), FEW).metrics["horizon"]
    assert (horizon.value, horizon.low, horizon.high, horizon.censored) == (0, 0, 6, False)


def test_a_delay_line_is_found_out_in_every_way() -> None:
    """Ten steps of one feature: a capacity of 10, and a gradient of 1 at each of ten lags."""
    result = memory_length.measure(toy_model("addition", {"length": 40}, DelayLine(2, 10)), FEW)
    assert values(result)["memory_capacity"] == pytest.approx(10, abs=0.05)
    capacity = result.metrics["memory_capacity"]
    assert capacity.low is not None
    assert capacity.high is not None
    assert capacity.low <= 10 <= capacity.high + 1e-9
    assert result.curves["capacity"].to_array()[:10] == pytest.approx(1, abs=1e-5)
    assert result.curves["capacity"].to_array()[10:].max() < 0.02
    sizes = {name: value for name, value in values(result).items() if name in ("reach", "states")}
    assert sizes == {"reach": 10, "states": 10}
    # One random weight a lag: shares differ from sequence to sequence, by chance, but all lie within ten lags.
    assert values(result)["field_50"] == pytest.approx(4.5, abs=1.6)
    assert 8 <= (values(result)["field_95"] or 0) <= 9
    assert result.curves["gradient_share"].to_array()[9:] == pytest.approx(1, abs=1e-12)
    assert "step" in result.unavailable["recall"]


def test_lags_beyond_those_asked_for_do_not_count() -> None:
    result = memory_length.measure_memory_capacity(
        toy_model("addition", {"length": 60}, DelayLine(2, 12)), ProbeSettings(sequences=8, length=10)
    )
    assert values(result)["memory_capacity"] == pytest.approx(10, abs=0.01)
    assert result.curves["capacity"].x[-1] == 9


@pytest.mark.parametrize("name", ["copy-memory", "multicopy"])
def test_tasks_of_a_single_lag(name: str) -> None:
    options = {"length": 10} if name == "copy-memory" else {"copies": 3}
    result = memory_length.measure_recall(toy_model(name, options), FEW)
    assert values(result)["smallest_lag"] == values(result)["largest_lag"]
    assert len(result.curves["recall"].x) == 1
    assert values(result)["horizon"] == 0


def test_an_untrained_model_has_no_answers_but_a_state_and_a_gradient() -> None:
    result = memory_length.measure(toy_model("copy", {"length": 20, "items": 3}, trained=False), FEW)
    assert set(result.unavailable) == {"recall", "extrapolation"}
    assert "untrained" in result.unavailable["recall"]
    assert {"memory_capacity", "field_95"} < set(result.metrics)
    assert result.labels["reach"] == "unbounded"


def test_who_sees_the_future_has_no_memory_capacity() -> None:
    result = memory_length.measure(toy_model("copy", {"length": 20}, name="han-bidirectional"), FEW)
    assert set(result.unavailable) == {"memory_capacity"}
    assert "not causal" in result.unavailable["memory_capacity"]


class BrokenEncoder(ToyEncoder):
    """An encoder that fails on any input."""

    output_size = 3

    def encode(self, x: Tensor, state: State, lengths: Tensor | None) -> tuple[Tensor, State]:
        raise RuntimeError("never\nworks")


def test_a_model_that_nothing_can_be_measured_of() -> None:
    with pytest.raises(NotAvailableError, match="receptive field: RuntimeError: never works"):
        memory_length.measure(toy_model("digits", {}, BrokenEncoder(1)), FEW)


def test_a_length_of_ones_own() -> None:
    loaded = toy_model("copy", {"length": 60, "items": 5}, name="rwa")
    result = memory_length.measure(loaded, replace(FEW, length=40))
    assert values(result)["largest_lag"] == pytest.approx(35, abs=2)
    assert max(result.curves["capacity"].x) == 39
    assert max(result.curves["gradient_share"].x) == 39
    digits = memory_length.measure(toy_model("digits", {}), replace(FEW, length=40))
    assert "receptive_field" in digits.unavailable
    assert max(digits.curves["capacity"].x) == 39


def test_the_model_and_the_random_numbers_are_left_alone_and_the_findings_are_the_same_again() -> None:
    loaded = toy_model("copy", {"length": 20, "items": 3}, name="lstm")
    loaded.model.train()
    before, state = loaded.weights_hash, torch.get_rng_state()
    result = memory_length.measure(loaded, FEW)
    assert loaded.weights_hash == before
    assert loaded.model.training
    assert loaded.model.encoder.training
    assert all(parameter.grad is None and parameter.requires_grad for parameter in loaded.model.parameters())
    assert torch.equal(torch.get_rng_state(), state)
    assert memory_length.measure(loaded, FEW) == result
    assert memory_length.measure(loaded, replace(FEW, seed=1)) != result
    assert ProbeResult.from_dict(result.to_dict()).curves == result.curves


def test_sequences_of_several_lengths_are_looked_at_where_they_are_long() -> None:
    result = memory_length.measure_receptive_field(toy_model("classify-length", {"length": 30}, name="rwa"), FEW)
    # Of eight times as many sequences, the longest are all but as long as can be; RWA reads all steps alike.
    assert (result.metrics["field_95"].value or 0) >= 25


def test_noise_for_features_is_like_the_tasks_own() -> None:
    task = build("addition", length=50)
    batch = task.fixed("test", 200, CPU)
    x, u = random_input(task, batch, 40, 300, seeded_generator())
    assert x.shape == (40, 300, 2)
    assert [float(x[..., 0].min()), float(x[..., 0].max())] == pytest.approx([0, 1], abs=0.02)
    assert x[..., 1].unique().tolist() == pytest.approx([2 / 50])
    assert torch.corrcoef(torch.stack([x[..., 0].flatten(), u.flatten()]))[0, 1] == pytest.approx(1)
    assert [float(u.mean()), float(u.var())] == pytest.approx([0, 1], abs=0.03)


def test_noise_leaves_padding_out() -> None:
    task = build("classify-length", length=40, elements="normal")
    x, _ = random_input(task, task.fixed("test", 500, CPU), 50, 200, seeded_generator())
    # The elements are normal with variance 1; with their padding they would have one half.
    assert x.var() == pytest.approx(1, abs=0.05)


def test_noise_for_symbols_has_all_of_them() -> None:
    task = build("copy", categories=3)
    x, u = random_input(task, task.fixed("test", 2, CPU), 50, 200, seeded_generator())
    assert x.unique().tolist() == [0, 1, 2, 3, 4]
    assert u.unique().tolist() == pytest.approx([(symbol - 2) / math.sqrt(2) for symbol in range(5)])
    lagged = (u[:, 1:] * u[:, :-1]).mean()
    assert abs(lagged) < 4 / math.sqrt(u.numel())


def test_a_constant_feature_cannot_be_driven() -> None:
    task = build("alternation")
    with pytest.raises(NotAvailableError, match="constant"):
        random_input(task, task.fixed("test", 3, CPU), 2, 10, make_generator(CPU, 0))


@pytest.mark.parametrize("name", ["tcn", "han"])
def test_the_size_of_a_pass_changes_no_bit_of_a_model_of_finite_reach(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = toy_model("copy", {"length": 300}, name=name)
    results = []
    for sequences in (1, 5, 10**6):
        monkeypatch.setattr("analysis.probes.predictions.MAX_STEPS_OF_REACH", sequences * loaded.task.steps)
        monkeypatch.setattr("analysis.measures.gradients.MAX_ELEMENTS_OF_REACH", sequences * loaded.task.steps * 12)
        results.append(
            [measure(loaded, FEW) for measure in (memory_length.measure_recall, memory_length.measure_receptive_field)]
        )
    assert results[0] == results[1] == results[2]


@pytest.mark.parametrize("name", ["tcn", "han", "gru", "han-bidirectional"])
def test_recall_reads_no_further_than_the_last_answer(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The work is counted in steps; the answers are those of each whole sequence by itself."""
    loaded = toy_model("copy", {"length": 300}, name=name)
    model, batch, steps = loaded.model, loaded.task.fixed("test", 40, CPU), loaded.task.steps
    assert batch.recall is not None
    assert batch.source is not None
    lags, right, last_steps = [], [], []
    with torch.no_grad():
        for index in range(40):
            predicted = model(batch.x[index : index + 1])[0][0].argmax(1)
            recalled = [step for step in range(steps) if batch.recall[index, step]]
            lags += [step - int(batch.source[index, step]) for step in recalled]
            right += [bool(predicted[step] == batch.target[index, step]) for step in recalled]
            last_steps.append(recalled[-1] + 1)
    monkeypatch.setattr("analysis.probes.predictions.MAX_STEPS", 4 * steps)
    monkeypatch.setattr("analysis.probes.predictions.MAX_STEPS_OF_REACH", 2 * steps)
    read: list[int] = []
    model.encoder.register_forward_pre_hook(lambda encoder, inputs: read.append(inputs[0].shape[:2].numel()))
    found = recalled_answers(model, batch)
    assert found[0].tolist() == lags
    assert found[1].tolist() == right
    assert found[2].tolist() == [index for index in range(40) for _ in range(10)]
    assert sum(last_steps) < 0.65 * 40 * steps
    if model.encoder.causal:
        assert sum(last_steps) <= sum(read) < 1.1 * sum(last_steps)
    else:
        assert sum(read) == 40 * steps

"""The probe of memory length on encoders whose memory is known."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Generator, Tensor

from analysis.probes import memory_length
from analysis.probes.memory_length import random_input
from analysis.probes.models import LoadedModel
from analysis.probes.predictions import SequenceScores, recalled_answers
from analysis.probes.result import Metric, NotAvailableError, ProbeResult
from analysis.probes.settings import ProbeSettings
from architectures.state import State
from tests.analysis.memory_toys import DelayLine, LimitedMemory, ToyEncoder, toy_model
from workbench.seeding import make_generator
from workbench.tasks import Batch, Task, build

CPU = torch.device("cpu")
FEW = ProbeSettings(sequences=8, directions=8)


def seeded_generator() -> Generator:
    return Generator().manual_seed(0)


def model_with_memory(memory: int, longest: int = 10**9) -> LoadedModel:
    return toy_model("copy", {"length": 60, "items": 5, "categories": 4}, LimitedMemory(6, memory, longest))


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


def test_extrapolation_goes_on_to_the_length_that_is_asked_for() -> None:
    loaded = model_with_memory(10**6)
    # Of copy with 5 items, 60 steps of length are 70 steps: 32 times as many are 2,240.
    short, long = (memory_length.measure_extrapolation(loaded, replace(FEW, length=length)) for length in (2239, 2240))
    assert short.curves["extrapolation_loss"].x == (1, 2, 4, 8, 16)
    assert long.curves["extrapolation_loss"].x == (1, 2, 4, 8, 16, 32)
    assert long.metrics["extrapolation"].value == 32
    loss, trivial = (long.curves[f"extrapolation_{name}"].y[-1] for name in ("loss", "trivial"))
    assert loss is not None
    assert trivial is not None
    assert long.metrics["loss_at_limit"].value == pytest.approx(loss / trivial, rel=1e-4)


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


def test_extrapolation_is_the_tasks_own_loss_at_every_length() -> None:
    loaded = model_with_memory(30)
    result = memory_length.measure(loaded, FEW)
    loss, trivial = result.curves["extrapolation_loss"], result.curves["extrapolation_trivial"]
    assert loss.x == (1, 2, 4, 8, 16)
    for place, factor in enumerate(loss.x):
        task = replace(loaded.task, length=int(60 * factor))  # type: ignore[type-var]
        batch = task.sample(8, make_generator(CPU, "test"))
        with torch.no_grad():
            answer = loaded.model(batch.x)[0]
        assert loss.y[place] == pytest.approx(float(task.loss(answer, batch)), rel=1e-4)
        accuracy = result.curves["extrapolation_accuracy"].y[place]
        assert accuracy == pytest.approx(float(task.metrics(answer, batch)["accuracy"]), rel=1e-5)
        assert trivial.y[place] == pytest.approx(task.trivial_loss, rel=1e-5)
        for name in ("bag of values", "present step"):
            curve = result.curves[f"extrapolation_floor_{name.replace(' ', '_')}"]
            assert curve.y[place] == pytest.approx(task.floors[name].loss, rel=1e-5)


def test_a_perfect_answer_holds_at_any_length() -> None:
    metric = memory_length.measure(model_with_memory(10**6), FEW).metrics["extrapolation"]
    assert (metric.value, metric.low, metric.high, metric.censored) == (16, 16, 16, True)
    metric = memory_length.measure(model_with_memory(0), FEW).metrics["extrapolation"]
    assert (metric.value, metric.low, metric.high, metric.censored) == (0, 0, 0, False)


def test_a_task_stays_solved_up_to_the_length_at_which_its_own_criterion_still_holds() -> None:
    """Of copy, answers are right if the symbol was shown at most so many steps ago: known for each length."""
    for memory in (10**6, 30, 70, 150):
        loaded = model_with_memory(memory)
        metric = memory_length.measure_extrapolation(loaded, FEW).metrics["solved_up_to"]
        expected = 0
        for factor in (1, 2, 4, 8, 16):
            task = replace(loaded.task, length=60 * factor)  # type: ignore[type-var]
            batch = task.fixed("test", FEW.sequences, CPU)
            with torch.no_grad():
                answer = loaded.model(batch.x)[0]
            if not task.metrics(answer, batch)["accuracy"] > 0.999:
                break
            expected = factor
        assert metric.value == expected
        assert metric.censored == (expected == 16)
        # Eight sequences can contradict an accuracy above 0.999, and cannot show it.
        assert metric.low == 0
        assert metric.high is not None
        assert metric.high >= expected
    assert memory_length.measure_extrapolation(model_with_memory(10**6), FEW).metrics["solved_up_to"].value == 16
    assert memory_length.measure_extrapolation(model_with_memory(70), FEW).metrics["solved_up_to"].value == 1


def test_a_bound_on_the_loss_decides_on_the_mean_loss_of_each_length() -> None:
    """Of addition, a line of noise with a loss of a fixed size: solved below 0.001, and the interval is of the mean."""
    tasks = [build("addition", length=length) for length in (10, 20, 40)]
    losses = [np.array([1e-4, 3e-4, 2e-4]), np.array([1e-4, 3e-4, 2.5e-3]), np.array([1e-2, 1.1e-2, 1e-2])]
    scores = [SequenceScores(loss=loss, right=None, total=np.ones(3), criterion=loss) for loss in losses]
    metrics = memory_length.measure_solved_length(tasks, scores, np.array([1, 2, 4]), "1")
    # Mean and half of Student's interval of the second: 9.67e-4 and 3.3e-3, so it may be solved or not.
    assert ends(metrics["solved_up_to"]) == (2, 1, 2, False)
    assert metrics["solved_sequences"].value == 3
    assert "solved_accuracy" not in metrics
    # A single sequence has no interval, and neither shows nor rules out anything.
    scores = [SequenceScores(loss=loss[:1], right=None, total=np.ones(1), criterion=loss[:1]) for loss in losses]
    metric = memory_length.measure_solved_length(tasks, scores, np.array([1, 2, 4]), "1")["solved_up_to"]
    assert ends(metric) == (2, 0, 4, False)


def ends(metric: Metric) -> tuple[float | None, float | None, float | None, bool]:
    return metric.value, metric.low, metric.high, metric.censored


def solved_length(task: str, *lengths: tuple[int, int], answers: int = 1) -> dict[str, Metric]:
    """Returns what is said of lengths at which so many of so many sequences are right, each with so many answers."""
    factors = np.array([1, 2, 4, 8, 16])[: len(lengths)]
    scores = []
    for right, count in lengths:
        accuracy = np.where(np.arange(count) < right, 1.0, 0.0)
        total = np.full(count, float(answers))
        scores.append(SequenceScores(loss=accuracy, right=accuracy * total, total=total, criterion=accuracy))
    return memory_length.measure_solved_length([build(task)] * len(lengths), scores, factors, "1")


def test_a_few_sequences_without_a_mistake_do_not_show_that_a_task_stays_solved() -> None:
    """Of n right answers of n, Wilson's interval begins at n / (n + 1.96^2): 0.893 of 32, 0.510 of 4."""
    metrics = solved_length("classify-length", (32, 32), (32, 32), (16, 16), (8, 8), (4, 4))
    assert ends(metrics["solved_up_to"]) == (16, 2, 16, True)
    assert metrics["solved_sequences"].value == 4
    accuracy = metrics["solved_accuracy"]
    assert (accuracy.value, accuracy.high) == (1, 1)
    assert accuracy.low == pytest.approx(4 / (4 + 1.959964**2))
    assert ends(solved_length("classify-length", *[(32, 32)] * 5)["solved_up_to"]) == (16, 16, 16, True)
    # An eighth below an accuracy of 1 is 0.875: 27 / (27 + 1.96^2) is 0.8754, and 26 / (26 + 1.96^2) is 0.8713.
    assert [solved_length("classify-length", (n, n))["solved_up_to"].low for n in (26, 27)] == [0, 1]


def test_many_answers_of_a_sequence_show_no_more_than_one() -> None:
    metrics = solved_length("copy", (32, 32), (4, 4), answers=10)
    assert ends(metrics["solved_up_to"]) == (2, 1, 2, True)
    assert metrics["solved_accuracy"].low == pytest.approx(4 / (4 + 1.959964**2))


def test_a_length_is_possible_until_its_interval_rules_out_the_criterion() -> None:
    # Of parity, above 0.99: 31 of 32 end at 0.9945, and 30 of 32 at 0.983.
    assert ends(solved_length("parity", (32, 32), (31, 32), (30, 32))["solved_up_to"]) == (1, 1, 2, False)
    # A single mistake rules out that no answer is ever wrong.
    assert ends(solved_length("classify-length", (32, 32), (31, 32))["solved_up_to"]) == (1, 1, 1, False)
    # Of modular, at least 0.9: 29 of 32 are enough, but their interval begins at 0.758, more than an eighth below.
    assert ends(solved_length("modular", (32, 32), (29, 32))["solved_up_to"]) == (2, 1, 2, True)
    # 30 of 32 begin at 0.799.
    assert ends(solved_length("modular", (32, 32), (30, 32))["solved_up_to"]) == (2, 2, 2, True)
    # What is not solved at the training length rests on the sequences of that length.
    metrics = solved_length("parity", (16, 32), (4, 4))
    assert (metrics["solved_up_to"].value, metrics["solved_sequences"].value) == (0, 32)
    assert metrics["solved_accuracy"].value == 0.5


@pytest.mark.parametrize(("asked", "tested"), [(2, 4), (8, 8), (32, 32)])
def test_the_longest_sequences_are_as_many_as_the_others(
    asked: int, tested: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of classify-length, 16 times 1,000 steps: 32 sequences are 512,000 steps, in passes of at most 65,536."""
    sizes: dict[int, int] = {}

    def score_sequences(model: object, task: Task, batch: Batch, pass_steps: int) -> SequenceScores:
        sizes[task.steps] = len(batch.x)
        right = np.ones(len(batch.x))
        return SequenceScores(loss=right, right=right, total=right, criterion=right)

    monkeypatch.setattr(memory_length, "score_sequences", score_sequences)
    loaded = toy_model("classify-length", {"length": 1000})
    metrics = memory_length.measure_extrapolation(loaded, replace(FEW, sequences=asked)).metrics
    assert sizes == dict.fromkeys((1000, 2000, 4000, 8000, 16000), tested)
    assert metrics["solved_sequences"].value == tested
    assert ends(metrics["solved_up_to"]) == (16, 16 if tested == 32 else 0, 16, True)


def test_longer_sequences_go_through_a_model_in_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded, passes = toy_model("classify-length", {"length": 50}), []
    forward = loaded.model.encoder.forward

    def count(x: Tensor, *rest: object) -> object:
        passes.append(tuple(x.shape[:2]))
        return forward(x, *rest)  # type: ignore[arg-type]

    expected = memory_length.measure_extrapolation(loaded, FEW)
    monkeypatch.setattr(loaded.model.encoder, "forward", count)
    monkeypatch.setattr(memory_length, "STEPS_PER_PASS", 1000)
    result = memory_length.measure_extrapolation(loaded, FEW)
    assert passes == [(8, 50), (8, 100), *[(5, 200), (3, 200)], *[(2, 400)] * 4, *[(1, 800)] * 8]
    assert result.curves["extrapolation_loss"].y == pytest.approx(expected.curves["extrapolation_loss"].y, rel=1e-5)


def test_lags_beyond_those_asked_for_do_not_count() -> None:
    result = memory_length.measure_memory_capacity(
        toy_model("addition", {"length": 60}, DelayLine(2, 12)), ProbeSettings(sequences=8, length=10)
    )
    assert values(result)["memory_capacity"] == pytest.approx(10, abs=0.01)
    assert result.curves["capacity"].x[-1] == 9


def test_the_interval_of_extrapolation_is_that_of_the_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mean loss of 0.8, 0.95, 1.05, 1.2 and 1.5 times the trivial one, each 0.1 to either side."""
    shares = iter((0.8, 0.95, 1.05, 1.2, 1.5))

    def score_sequences(model: object, task: Task, batch: object, pass_steps: int) -> SequenceScores:
        mean, half = task.trivial_loss * next(shares), 0.1 * task.trivial_loss
        # Student's quantile for 3 degrees of freedom is 3.182, and the deviation of these four 1.155.
        spread = half / (3.182 * 1.1547 / 2) * np.array([-1, -1, 1, 1])
        return SequenceScores(loss=mean + spread, right=None, total=np.ones(4))

    monkeypatch.setattr(memory_length, "score_sequences", score_sequences)
    result = memory_length.measure_extrapolation(model_with_memory(10**6), FEW)
    metric = result.metrics["extrapolation"]
    assert (metric.value, metric.low, metric.high, metric.censored) == (2, 1, 4, False)
    loss = result.curves["extrapolation_loss"]
    trivial = result.curves["extrapolation_trivial"].to_array()
    np.testing.assert_allclose((loss.to_array("high") - loss.to_array()) / trivial, 0.1, rtol=1e-3)


def test_lengths_that_a_model_does_not_take_cost_only_themselves() -> None:
    result = memory_length.measure(model_with_memory(10**6, longest=200), FEW)
    # Nor does it have a gradient.
    assert set(result.unavailable) == {"receptive_field", "extrapolation_4", "extrapolation_8", "extrapolation_16"}
    assert result.unavailable["extrapolation_4"] == "ValueError: 250 steps are more than my 200 positions"
    assert result.curves["extrapolation_loss"].x == (1, 2)
    metric = result.metrics["extrapolation"]
    assert (metric.value, metric.censored) == (2, True)


def test_sequences_of_more_steps_than_anyone_waits_for_are_left_out() -> None:
    result = memory_length.measure_extrapolation(toy_model("addition", {"length": 2000}, DelayLine(2, 3)), FEW)
    assert set(result.unavailable) == {"extrapolation_16"}
    assert "32,000 steps are more than the 20,000" in result.unavailable["extrapolation_16"]


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

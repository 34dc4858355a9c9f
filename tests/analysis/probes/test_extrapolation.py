"""Tests of extrapolation, against models whose memory is known."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from analysis.probes import extrapolation, memory_length
from analysis.probes.predictions import SequenceScores
from analysis.probes.result import Metric
from analysis.probes.settings import ProbeSettings
from tests.analysis.memory_toys import DelayLine, model_with_memory, toy_model
from workbench.seeding import make_generator
from workbench.tasks import Batch, Task, build

CPU = torch.device("cpu")
FEW = ProbeSettings(sequences=8, directions=8)


def test_extrapolation_goes_on_to_the_length_that_is_asked_for() -> None:
    loaded = model_with_memory(10**6)
    # Of copy with 5 items, 60 steps of length are 70 steps: 32 times as many are 2,240.
    short, long = (extrapolation.measure_extrapolation(loaded, replace(FEW, length=length)) for length in (2239, 2240))
    assert short.curves["extrapolation_loss"].x == (1, 2, 4, 8, 16)
    assert long.curves["extrapolation_loss"].x == (1, 2, 4, 8, 16, 32)
    assert long.metrics["extrapolation"].value == 32
    loss, trivial = (long.curves[f"extrapolation_{name}"].y[-1] for name in ("loss", "trivial"))
    assert loss is not None
    assert trivial is not None
    assert long.metrics["loss_at_limit"].value == pytest.approx(loss / trivial, rel=1e-4)


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
        metric = extrapolation.measure_extrapolation(loaded, FEW).metrics["solved_up_to"]
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
    assert extrapolation.measure_extrapolation(model_with_memory(10**6), FEW).metrics["solved_up_to"].value == 16
    assert extrapolation.measure_extrapolation(model_with_memory(70), FEW).metrics["solved_up_to"].value == 1


def test_a_bound_on_the_loss_decides_on_the_mean_loss_of_each_length() -> None:
    """Of addition, a line of noise with a loss of a fixed size: solved below 0.001, and the interval is of the mean."""
    tasks = [build("addition", length=length) for length in (10, 20, 40)]
    losses = [np.array([1e-4, 3e-4, 2e-4]), np.array([1e-4, 3e-4, 2.5e-3]), np.array([1e-2, 1.1e-2, 1e-2])]
    scores = [SequenceScores(loss=loss, right=None, total=np.ones(3), criterion=loss) for loss in losses]
    metrics = extrapolation.measure_solved_length(tasks, scores, np.array([1, 2, 4]), "1")
    # Mean and half of Student's interval of the second: 9.67e-4 and 3.3e-3, so it may be solved or not.
    assert ends(metrics["solved_up_to"]) == (2, 1, 2, False)
    assert metrics["solved_sequences"].value == 3
    assert "solved_accuracy" not in metrics
    # A single sequence has no interval, and neither shows nor rules out anything.
    scores = [SequenceScores(loss=loss[:1], right=None, total=np.ones(1), criterion=loss[:1]) for loss in losses]
    metric = extrapolation.measure_solved_length(tasks, scores, np.array([1, 2, 4]), "1")["solved_up_to"]
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
    return extrapolation.measure_solved_length([build(task)] * len(lengths), scores, factors, "1")


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

    monkeypatch.setattr(extrapolation, "score_sequences", score_sequences)
    loaded = toy_model("classify-length", {"length": 1000})
    metrics = extrapolation.measure_extrapolation(loaded, replace(FEW, sequences=asked)).metrics
    assert sizes == dict.fromkeys((1000, 2000, 4000, 8000, 16000), tested)
    assert metrics["solved_sequences"].value == tested
    assert ends(metrics["solved_up_to"]) == (16, 16 if tested == 32 else 0, 16, True)


def test_longer_sequences_go_through_a_model_in_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded, passes = toy_model("classify-length", {"length": 50}), []
    forward = loaded.model.encoder.forward

    def count(x: Tensor, *rest: object) -> object:
        passes.append(tuple(x.shape[:2]))
        return forward(x, *rest)  # type: ignore[arg-type]

    expected = extrapolation.measure_extrapolation(loaded, FEW)
    monkeypatch.setattr(loaded.model.encoder, "forward", count)
    monkeypatch.setattr(extrapolation, "STEPS_PER_PASS", 1000)
    result = extrapolation.measure_extrapolation(loaded, FEW)
    assert passes == [(8, 50), (8, 100), *[(5, 200), (3, 200)], *[(2, 400)] * 4, *[(1, 800)] * 8]
    assert result.curves["extrapolation_loss"].y == pytest.approx(expected.curves["extrapolation_loss"].y, rel=1e-5)


def test_the_interval_of_extrapolation_is_that_of_the_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mean loss of 0.8, 0.95, 1.05, 1.2 and 1.5 times the trivial one, each 0.1 to either side."""
    shares = iter((0.8, 0.95, 1.05, 1.2, 1.5))

    def score_sequences(model: object, task: Task, batch: object, pass_steps: int) -> SequenceScores:
        mean, half = task.trivial_loss * next(shares), 0.1 * task.trivial_loss
        # Student's quantile for 3 degrees of freedom is 3.182, and the deviation of these four 1.155.
        spread = half / (3.182 * 1.1547 / 2) * np.array([-1, -1, 1, 1])
        return SequenceScores(loss=mean + spread, right=None, total=np.ones(4))

    monkeypatch.setattr(extrapolation, "score_sequences", score_sequences)
    result = extrapolation.measure_extrapolation(model_with_memory(10**6), FEW)
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
    result = extrapolation.measure_extrapolation(toy_model("addition", {"length": 2000}, DelayLine(2, 3)), FEW)
    assert set(result.unavailable) == {"extrapolation_16"}
    assert "32,000 steps are more than the 20,000" in result.unavailable["extrapolation_16"]

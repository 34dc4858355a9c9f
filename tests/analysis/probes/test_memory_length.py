"""The memory probe as a whole, on encoders whose memory is known."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from analysis.measures.recall import Scores
from analysis.probes import memory_length
from analysis.probes.models import LoadedModel
from analysis.probes.result import NotAvailableError, ProbeResult
from analysis.probes.settings import ProbeSettings
from architectures.state import State
from tests.analysis.memory_toys import DelayLine, Listener, Toy, subject
from workbench.tasks import Task, seeded

CPU = torch.device("cpu")
FEW = ProbeSettings(sequences=8, directions=8)


def listener(memory: int, longest: int = 10**9) -> LoadedModel:
    return subject("copy", {"length": 60, "items": 5, "categories": 4}, Listener(6, memory, longest))


def values(found: ProbeResult) -> dict[str, float | None]:
    return {name: number.value for name, number in found.metrics.items()}


def test_the_horizon_is_the_length_of_the_memory() -> None:
    """Lags run from 6 to 65; what lies further back than 30 steps is answered by a guess, right in 1 of 4 cases."""
    found = memory_length.measure(listener(30), ProbeSettings())
    horizon = found.metrics["horizon"]
    assert horizon.value == pytest.approx(30.5, abs=1.5)
    low, value, high = (horizon.low or 0, horizon.value or 0, horizon.high or 0)
    assert 26 < low <= value <= high < 34
    assert not horizon.censored
    assert values(found)["recall_bound"] == 0.625
    # 25 of the 60 lags are within the memory.
    assert values(found)["recall_accuracy"] == pytest.approx((25 + 35 / 4) / 60, abs=0.07)
    curve = found.curves["recall"]
    near = curve.array()[curve.array("x") < 28]
    assert len(near) > 3
    assert (near == 1).all()
    assert curve.array()[curve.array("x") > 34].max() < 0.5


def test_the_horizon_of_a_memory_without_end() -> None:
    horizon = memory_length.measure(listener(1000), FEW).metrics["horizon"]
    assert (horizon.value, horizon.low, horizon.high, horizon.censored) == (65, 65, 65, True)


def test_what_is_not_even_recalled_at_the_smallest_lag_may_be_at_any_below() -> None:
    horizon = memory_length.measure(listener(3), FEW).metrics["horizon"]
    assert (horizon.value, horizon.low, horizon.high, horizon.censored) == (0, 0, 6, False)


def test_a_delay_line_is_found_out_in_every_way() -> None:
    """Ten steps of one feature: a capacity of 10, and a gradient of 1 at each of ten lags."""
    found = memory_length.measure(subject("addition", {"length": 40}, DelayLine(2, 10)), FEW)
    assert values(found)["memory_capacity"] == pytest.approx(10, abs=0.05)
    capacity = found.metrics["memory_capacity"]
    assert capacity.low is not None
    assert capacity.high is not None
    assert capacity.low <= 10 <= capacity.high + 1e-9
    assert found.curves["capacity"].array()[:10] == pytest.approx(1, abs=1e-5)
    assert found.curves["capacity"].array()[10:].max() < 0.02
    held = {name: value for name, value in values(found).items() if name in ("reach", "states")}
    assert held == {"reach": 10, "states": 10}
    # One random weight a lag: shares differ from sequence to sequence, by chance, but all lie within ten lags.
    assert values(found)["field_50"] == pytest.approx(4.5, abs=1.6)
    assert 8 <= (values(found)["field_95"] or 0) <= 9
    assert found.curves["gradient_share"].array()[9:] == pytest.approx(1, abs=1e-12)
    assert "step" in found.unavailable["recall"]


def test_extrapolation_is_the_tasks_own_loss_at_every_length() -> None:
    made = listener(30)
    found = memory_length.measure(made, FEW)
    loss, trivial = found.curves["extrapolation_loss"], found.curves["extrapolation_trivial"]
    assert loss.x == (1, 2, 4, 8, 16)
    for place, factor in enumerate(loss.x):
        task = replace(made.task, length=int(60 * factor))  # type: ignore[type-var]
        batch = task.sample(8, seeded(CPU, "test"))
        with torch.no_grad():
            answer = made.model(batch.x)[0]
        assert loss.y[place] == pytest.approx(float(task.loss(answer, batch)), rel=1e-4)
        accuracy = found.curves["extrapolation_accuracy"].y[place]
        assert accuracy == pytest.approx(float(task.metrics(answer, batch)["accuracy"]), rel=1e-5)
        assert trivial.y[place] == pytest.approx(task.trivial_loss, rel=1e-5)


def test_a_perfect_answer_holds_at_any_length() -> None:
    number = memory_length.measure(listener(10**6), FEW).metrics["extrapolation"]
    assert (number.value, number.low, number.high, number.censored) == (16, 16, 16, True)
    number = memory_length.measure(listener(0), FEW).metrics["extrapolation"]
    assert (number.value, number.low, number.high, number.censored) == (0, 0, 0, False)


def test_lags_beyond_those_asked_for_do_not_count() -> None:
    found = memory_length.PARTS["memory_capacity"](
        subject("addition", {"length": 60}, DelayLine(2, 12)), ProbeSettings(sequences=8, length=10)
    )
    assert values(found)["memory_capacity"] == pytest.approx(10, abs=0.01)
    assert found.curves["capacity"].x[-1] == 9


def test_the_interval_of_extrapolation_is_that_of_the_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mean loss of 0.8, 0.95, 1.05, 1.2 and 1.5 times the trivial one, each 0.1 to either side."""
    shares = iter((0.8, 0.95, 1.05, 1.2, 1.5))

    def scores(model: object, task: Task, batch: object) -> Scores:
        mean, half = task.trivial_loss * next(shares), 0.1 * task.trivial_loss
        # Student's quantile for 3 degrees of freedom is 3.182, and the deviation of these four 1.155.
        spread = half / (3.182 * 1.1547 / 2) * np.array([-1, -1, 1, 1])
        return Scores(loss=mean + spread, right=None, total=np.ones(4))

    monkeypatch.setattr(memory_length, "scores", scores)
    found = memory_length.PARTS["extrapolation"](listener(10**6), FEW)
    number = found.metrics["extrapolation"]
    assert (number.value, number.low, number.high, number.censored) == (2, 1, 4, False)
    loss = found.curves["extrapolation_loss"]
    trivial = found.curves["extrapolation_trivial"].array()
    np.testing.assert_allclose((loss.array("high") - loss.array()) / trivial, 0.1, rtol=1e-3)


def test_lengths_that_a_model_does_not_take_cost_only_themselves() -> None:
    found = memory_length.measure(listener(10**6, longest=200), FEW)
    # Nor does it have a gradient.
    assert set(found.unavailable) == {"receptive_field", "extrapolation_4", "extrapolation_8", "extrapolation_16"}
    assert found.unavailable["extrapolation_4"] == "ValueError: 250 steps are more than my 200 positions"
    assert found.curves["extrapolation_loss"].x == (1, 2)
    number = found.metrics["extrapolation"]
    assert (number.value, number.censored) == (2, True)


def test_sequences_of_more_steps_than_anyone_waits_for_are_left_out() -> None:
    found = memory_length.PARTS["extrapolation"](subject("addition", {"length": 2000}, DelayLine(2, 3)), FEW)
    assert set(found.unavailable) == {"extrapolation_16"}
    assert "32,000 steps are more than the 20,000" in found.unavailable["extrapolation_16"]


@pytest.mark.parametrize("name", ["copy-memory", "multicopy"])
def test_tasks_of_a_single_lag(name: str) -> None:
    options = {"length": 10} if name == "copy-memory" else {"copies": 3}
    found = memory_length.PARTS["recall"](subject(name, options), FEW)
    assert values(found)["smallest_lag"] == values(found)["largest_lag"]
    assert len(found.curves["recall"].x) == 1
    assert values(found)["horizon"] == 0


def test_an_untrained_model_has_no_answers_but_a_state_and_a_gradient() -> None:
    found = memory_length.measure(subject("copy", {"length": 20, "items": 3}, trained=False), FEW)
    assert set(found.unavailable) == {"recall", "extrapolation"}
    assert "untrained" in found.unavailable["recall"]
    assert {"memory_capacity", "field_95"} < set(found.metrics)
    assert found.labels["reach"] == "unbounded"


def test_who_sees_the_future_has_no_memory_capacity() -> None:
    found = memory_length.measure(subject("copy", {"length": 20}, name="han-bidirectional"), FEW)
    assert set(found.unavailable) == {"memory_capacity"}
    assert "not causal" in found.unavailable["memory_capacity"]


class Broken(Toy):
    """Fails whatever it is given."""

    output_size = 3

    def encode(self, x: Tensor, state: State, lengths: Tensor | None) -> tuple[Tensor, State]:
        raise RuntimeError("never\nworks")


def test_a_model_that_nothing_can_be_measured_of() -> None:
    with pytest.raises(NotAvailableError, match="receptive field: RuntimeError: never works"):
        memory_length.measure(subject("digits", {}, Broken(1)), FEW)


def test_a_length_of_ones_own() -> None:
    made = subject("copy", {"length": 60, "items": 5}, name="rwa")
    found = memory_length.measure(made, replace(FEW, length=40))
    assert values(found)["largest_lag"] == pytest.approx(35, abs=2)
    assert max(found.curves["capacity"].x) == 39
    assert max(found.curves["gradient_share"].x) == 39
    digits = memory_length.measure(subject("digits", {}), replace(FEW, length=40))
    assert "receptive_field" in digits.unavailable
    assert max(digits.curves["capacity"].x) == 39


def test_the_model_and_the_random_numbers_are_left_alone_and_the_findings_are_the_same_again() -> None:
    made = subject("copy", {"length": 20, "items": 3}, name="lstm")
    made.model.train()
    before, state = made.weights, torch.get_rng_state()
    found = memory_length.measure(made, FEW)
    assert made.weights == before
    assert made.model.training
    assert made.model.encoder.training
    assert all(parameter.grad is None and parameter.requires_grad for parameter in made.model.parameters())
    assert torch.equal(torch.get_rng_state(), state)
    assert memory_length.measure(made, FEW) == found
    assert memory_length.measure(made, replace(FEW, seed=1)) != found
    assert ProbeResult.from_dict(found.to_dict()).curves == found.curves


def test_sequences_of_several_lengths_are_looked_at_where_they_are_long() -> None:
    found = memory_length.PARTS["receptive_field"](subject("classify-length", {"length": 30}, name="rwa"), FEW)
    # Of eight times as many sequences, the longest are all but as long as can be; RWA reads all steps alike.
    assert (found.metrics["field_95"].value or 0) >= 25

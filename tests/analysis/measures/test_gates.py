"""Gates, rows of influence, time constants, freezing and bootstrap, against definitions and known answers."""

import math
from functools import reduce

import numpy as np
import pytest
import torch
from torch import Tensor

import architectures
from analysis import statistics
from analysis.measures import gates
from analysis.measures.gates import GateTrace, gate_traces
from analysis.measures.influence import bins, centres, means, rows
from analysis.measures.lemma1 import slopes
from analysis.statistics import safe_divide
from architectures.rda import AveragingLayer
from architectures.trace import influence

GATED = ("lstm", "gru", "rwa", "rda-exp-tanh", "rda-sigmoid-id")


def traced(name: str, time: int = 40, scale: float = 1.0, **options: object) -> tuple[architectures.Trace, GateTrace]:
    torch.manual_seed(0)
    encoder = architectures.build(name, 3, hidden_size=5, **options)
    with torch.no_grad():
        trace = encoder.trace(scale * torch.randn(2, time, 3))
    found = gate_traces(trace)
    assert found is not None
    return trace, found


@pytest.mark.parametrize("name", GATED)
def test_logarithms_are_those_of_the_gates(name: str) -> None:
    trace, found = traced(name)
    assert trace.retention is not None
    assert trace.write is not None
    assert found.log_retention[:, 0].isnan().all()
    torch.testing.assert_close(found.log_retention[:, 1:].exp(), trace.retention[:, 1:], rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(found.log_write.exp(), trace.write, rtol=1e-4, atol=1e-6)


def test_logarithms_hold_where_the_gates_round() -> None:
    # Attention rises by 300 nats and falls again: retention rounds to 0, then to 1.
    p = torch.tensor([0.0, 300.0, 0.0]).view(1, 3, 1)
    l = torch.tensor([0.0, 300.0, 300.0]).view(1, 3, 1)
    zero = torch.zeros_like(p)
    w = (p - l).exp()
    trace = architectures.Trace(
        y=zero, retention=1 - w, write=w, log_attention=p, log_discount=zero, gates={"l": l, "r": zero}
    )
    found = gate_traces(trace)
    assert found is not None
    assert found.log_retention[0, 1:, 0].tolist() == pytest.approx([-300.0, 0.0], abs=1e-30)
    assert found.log_write[0, :, 0].tolist() == [0.0, 0.0, -300.0]
    assert found.log_discount is None


def test_what_was_never_open_has_kept_nothing() -> None:
    encoder = architectures.build("rda", 1, hidden_size=1, attention="relu")
    layer = encoder.get_submodule("layers.0")
    assert isinstance(layer, AveragingLayer)
    with torch.no_grad():
        for weight in (layer.weight_h, layer.weight_x):
            weight.zero_()
        layer.weight_x[2] = 1.0  # p = x
        trace = encoder.trace(torch.tensor([-1.0, -1.0, 2.0, -1.0]).view(1, 4, 1))
    found = gate_traces(trace)
    assert found is not None
    # Closed, closed, the first write, closed again: gamma alone is what then keeps all.
    assert found.log_write[0, :, 0].isnan().tolist() == [True, True, False, True]
    assert found.log_retention[0, :, 0].isnan().tolist() == [True, True, True, False]
    assert float(found.log_retention[0, 3, 0]) == pytest.approx(0.0, abs=1e-6)


def test_layers_stand_side_by_side() -> None:
    _, found = traced("lstm", num_layers=2)
    assert found.write.shape == (2, 40, 10)
    assert gate_traces(architectures.Trace(y=torch.zeros(1, 2, 3))) is None


def test_padding_is_no_number() -> None:
    _, found = traced("rwa", time=6)
    cut = found.within(torch.tensor([6, 2]))
    assert cut.write[1, 2:].isnan().all()
    assert not cut.write[:, :2].isnan().any()
    assert not cut.write[0].isnan().any()


@pytest.mark.parametrize("name", GATED)
def test_rows_are_those_of_the_influence_matrix(name: str) -> None:
    trace, found = traced(name, time=30)
    walked = rows(found.retention.double(), found.write.double())
    for at in (0, 1, 17, 29):
        assert trace.retention is not None
        assert trace.write is not None
        row, _ = influence(trace.retention.double(), trace.write.double(), at)
        p = row / row.sum(1, keepdim=True)
        lag = torch.arange(at, -1, -1, dtype=torch.float64).view(1, -1, 1)
        torch.testing.assert_close(walked.entropy[:, at], -torch.xlogy(p, p).sum(1), rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(walked.lag[:, at], (lag * p).sum(1), rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(walked.simpson[:, at], (p * p).sum(1), rtol=1e-5, atol=1e-6)


def test_rows_that_hold_nothing_have_no_statistics() -> None:
    write = torch.tensor([0.0, 1.0, 0.0]).view(1, 3, 1)
    found = rows(torch.full_like(write, 0.5), write)
    assert found.entropy[0, :, 0].isnan().tolist() == [True, False, False]
    assert found.lag[0, 1:, 0].tolist() == [0.0, 1.0]


def test_an_average_over_all_steps() -> None:
    t = torch.arange(1, 201, dtype=torch.float64).view(1, -1, 1)
    found = rows(1 - 1 / t, 1 / t)
    torch.testing.assert_close(found.entropy, t.log(), rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(1 / found.simpson, t, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(found.lag, (t - 1) / 2, rtol=1e-10, atol=1e-10)
    assert gates.write_slopes((1 / t).log())[0, 0] == pytest.approx(-1, abs=0.01)
    assert gates.write_slopes(torch.full_like(t, 0.3).log())[0, 0] == pytest.approx(0, abs=1e-12)


def test_bounded_attention_bounds_the_write() -> None:
    # MATH.md, section 3: with |log a| <= A, w_t <= 1 / (1 + (t - 1) e^{-2A}); 2 A is the range of log a.
    _, found = traced("rwa", time=60, scale=3.0)
    assert found.log_attention is not None
    spread = found.log_attention.amax(1, keepdim=True) - found.log_attention.amin(1, keepdim=True)
    t = torch.arange(1, 61).view(1, -1, 1)
    assert bool((found.write <= 1 / (1 + (t - 1) * (-spread).exp()) + 1e-6).all())
    assert float(spread.min()) > 0.5


def test_the_slope_looks_at_the_last_decade_and_at_what_is_there() -> None:
    t = torch.arange(1, 1001, dtype=torch.float64).view(1, -1, 1)
    # Live for a tenth, then frozen; and with holes.
    late = torch.where(t < 100, 1.0, 100 / t).log()
    assert gates.write_slopes(late)[0, 0] == pytest.approx(-1, abs=0.01)
    late[:, 300:800:2] = math.nan
    assert gates.write_slopes(late)[0, 0] == pytest.approx(-1, abs=0.01)
    late[:, 120:] = math.nan
    assert np.isnan(gates.write_slopes(late)[0, 0])


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [(-1.1, -0.9, "frozen"), (-0.1, 0.2, "live"), (-1.0, -0.5, "between"), (-0.5, 0, "between")],
)
def test_the_diagnosis_needs_the_whole_interval(low: float, high: float, said: str) -> None:
    assert gates.diagnosis(low, high) == said


def test_half_lives_and_time_constants() -> None:
    mean_log = np.log([0.5, 0.25, 0.9999])
    assert gates.half_lives(mean_log) == pytest.approx([1, 0.5, math.log(0.5) / math.log(0.9999)])
    assert gates.time_constants(mean_log)[2] == pytest.approx(9999.5, abs=0.01)
    assert gates.time_constants(np.array(0.0)) == 2**24
    table = np.log([[[0.5], [0.25], [0.125]]])
    assert gates.median_half_life(table)[0] == pytest.approx(0.5)
    assert gates.longest_time_constant(table)[0] == pytest.approx(1 / math.log(2))


def test_bins_cover_every_place_once() -> None:
    for count, most, log, start in ((7, 20, False, 0), (1000, 64, False, 0), (1000, 24, True, 99), (5, 60, True, 0)):
        parts = bins(count, most, log=log, start=start)
        places = reduce(list.__add__, [list(range(part.start, part.stop)) for part in parts])
        assert places == list(range(start, count))
        assert len(parts) <= most
    assert centres(bins(4, 2)).tolist() == [1.5, 3.5]
    values = torch.tensor([[1.0, 3.0, math.nan, 5.0, math.nan, math.nan]])
    assert means(values, bins(6, 3)).nan_to_num(nan=-1).tolist() == [[2.0, 5.0, -1.0]]


def test_the_bootstrap_finds_the_standard_error_of_both_factors() -> None:
    generator = np.random.default_rng(3)
    units = generator.normal(size=40)
    table = units + 0.1 * generator.normal(size=(25, 40))
    found = statistics.two_way_bootstrap(table, statistics.bootstrap_mean)
    assert found.value == pytest.approx(table.mean())
    assert found.low is not None
    assert found.high is not None
    assert found.high - found.low == pytest.approx(2 * 1.96 * units.std() / math.sqrt(40), rel=0.2)
    alone = statistics.two_way_bootstrap(table, statistics.bootstrap_mean, over_units=False)
    assert alone.low is not None
    assert alone.high is not None
    assert alone.high - alone.low < 0.3 * (found.high - found.low)


def test_no_interval_from_one_value_and_no_value_from_none() -> None:
    assert statistics.two_way_bootstrap(np.array([[2.0]]), statistics.bootstrap_mean) == statistics.Interval(value=2.0)
    assert statistics.two_way_bootstrap(np.array([[np.nan]]), statistics.bootstrap_mean) == statistics.Interval(
        value=None
    )
    table = np.array([[[1.0, 2.0], [3.0, 2.0]]])
    assert statistics.two_way_bootstrap(table, statistics.ratio_of_sums).value == 1.0
    assert np.isnan(safe_divide(np.array([1.0, 1.0]), np.array([0.0, 2.0]))).tolist() == [True, False]


def test_slopes_are_those_of_least_squares() -> None:
    values: Tensor = torch.randn(2, 30, 3, generator=torch.Generator().manual_seed(0))
    expected = np.polyfit(np.arange(30), values[1, :, 2].numpy(), 1)[0]
    assert slopes(values)[1, 2] == pytest.approx(expected)
    values[1, 5:, 2] = math.nan
    assert slopes(values)[1, 2] == pytest.approx(np.polyfit(np.arange(5), values[1, :5, 2].numpy(), 1)[0])

"""Gates, influence statistics, time constants and write slopes, against definitions and known answers."""

import math

import numpy as np
import pytest
import torch

import architectures
from analysis.measures import gates
from analysis.measures.gates import GateTrace, gate_trace
from analysis.measures.influence import influence_statistics
from architectures.rda import AveragingLayer
from architectures.trace import influence

GATED = ("lstm", "gru", "rwa", "rda-exp-tanh", "rda-sigmoid-id")
BY_HEAD = ("fox", "linear-attention", "retnet", "mlstm", "mamba2", "gated-deltanet")


def trace_gates(
    name: str, time: int = 40, scale: float = 1.0, **options: object
) -> tuple[architectures.Trace, GateTrace]:
    torch.manual_seed(0)
    encoder = architectures.build(name, 3, hidden_size=5, **options)
    with torch.no_grad():
        trace = encoder.trace(scale * torch.randn(2, time, 3))
    unit_gates = gate_trace(trace)
    assert unit_gates is not None
    return trace, unit_gates


@pytest.mark.parametrize("name", [*GATED, "slstm", "mingru", *BY_HEAD])
def test_logarithms_are_those_of_the_gates(name: str) -> None:
    trace, unit_gates = trace_gates(name)
    assert trace.retention is not None
    assert trace.write is not None
    assert unit_gates.log_retention[:, 0].isnan().all()
    torch.testing.assert_close(unit_gates.log_retention[:, 1:].exp(), trace.retention[:, 1:], rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(unit_gates.log_write.exp(), trace.write, rtol=1e-4, atol=1e-6)


def test_logarithms_hold_where_the_gates_round() -> None:
    # Attention rises by 300 nats and falls again: retention rounds to 0, then to 1.
    p = torch.tensor([0.0, 300.0, 0.0]).view(1, 3, 1)
    l = torch.tensor([0.0, 300.0, 300.0]).view(1, 3, 1)
    zero = torch.zeros_like(p)
    w = (p - l).exp()
    trace = architectures.Trace(
        y=zero, retention=1 - w, write=w, log_attention=p, log_discount=zero, gates={"l": l, "r": zero}
    )
    unit_gates = gate_trace(trace)
    assert unit_gates is not None
    assert unit_gates.log_retention[0, 1:, 0].tolist() == pytest.approx([-300.0, 0.0], abs=1e-30)
    assert unit_gates.log_write[0, :, 0].tolist() == [0.0, 0.0, -300.0]
    assert unit_gates.log_discount is None


def test_what_was_never_open_has_kept_nothing() -> None:
    encoder = architectures.build("rda", 1, hidden_size=1, attention="relu")
    layer = encoder.get_submodule("layers.0")
    assert isinstance(layer, AveragingLayer)
    with torch.no_grad():
        for weight in (layer.weight_h, layer.weight_x):
            weight.zero_()
        layer.weight_x[2] = 1.0  # p = x
        trace = encoder.trace(torch.tensor([-1.0, -1.0, 2.0, -1.0]).view(1, 4, 1))
    unit_gates = gate_trace(trace)
    assert unit_gates is not None
    # Closed, closed, the first write, closed again: gamma alone is what then keeps all.
    assert unit_gates.log_write[0, :, 0].isnan().tolist() == [True, True, False, True]
    assert unit_gates.log_retention[0, :, 0].isnan().tolist() == [True, True, True, False]
    assert float(unit_gates.log_retention[0, 3, 0]) == pytest.approx(0.0, abs=1e-6)


def test_layers_stand_side_by_side() -> None:
    _, unit_gates = trace_gates("lstm", num_layers=2)
    assert unit_gates.write.shape == (2, 40, 10)
    assert gate_trace(architectures.Trace(y=torch.zeros(1, 2, 3))) is None


def test_padding_is_no_number() -> None:
    _, unit_gates = trace_gates("rwa", time=6)
    cut = unit_gates.mask_padding(torch.tensor([6, 2]))
    assert cut.write[1, 2:].isnan().all()
    assert not cut.write[:, :2].isnan().any()
    assert not cut.write[0].isnan().any()


@pytest.mark.parametrize("name", GATED)
def test_rows_are_those_of_the_influence_matrix(name: str) -> None:
    trace, unit_gates = trace_gates(name, time=30)
    rows = influence_statistics(unit_gates.retention.double(), unit_gates.write.double())
    for at in (0, 1, 17, 29):
        assert trace.retention is not None
        assert trace.write is not None
        row, _ = influence(trace.retention.double(), trace.write.double(), at)
        p = row / row.sum(1, keepdim=True)
        lag = torch.arange(at, -1, -1, dtype=torch.float64).view(1, -1, 1)
        torch.testing.assert_close(rows.entropy[:, at], -torch.xlogy(p, p).sum(1), rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(rows.lag[:, at], (lag * p).sum(1), rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(rows.simpson[:, at], (p * p).sum(1), rtol=1e-5, atol=1e-6)


def test_rows_that_hold_nothing_have_no_statistics() -> None:
    write = torch.tensor([0.0, 1.0, 0.0]).view(1, 3, 1)
    rows = influence_statistics(torch.full_like(write, 0.5), write)
    assert rows.entropy[0, :, 0].isnan().tolist() == [True, False, False]
    assert rows.lag[0, 1:, 0].tolist() == [0.0, 1.0]


def test_an_average_over_all_steps() -> None:
    t = torch.arange(1, 201, dtype=torch.float64).view(1, -1, 1)
    rows = influence_statistics(1 - 1 / t, 1 / t)
    torch.testing.assert_close(rows.entropy, t.log(), rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(1 / rows.simpson, t, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(rows.lag, (t - 1) / 2, rtol=1e-10, atol=1e-10)
    assert gates.write_slopes((1 / t).log())[0, 0] == pytest.approx(-1, abs=0.01)
    assert gates.write_slopes(torch.full_like(t, 0.3).log())[0, 0] == pytest.approx(0, abs=1e-12)


def test_bounded_attention_bounds_the_write() -> None:
    # With |log a| <= A, w_t <= 1 / (1 + (t - 1) e^{-2A}); 2 A is the range of log a.
    _, unit_gates = trace_gates("rwa", time=60, scale=3.0)
    assert unit_gates.log_attention is not None
    spread = unit_gates.log_attention.amax(1, keepdim=True) - unit_gates.log_attention.amin(1, keepdim=True)
    t = torch.arange(1, 61).view(1, -1, 1)
    assert bool((unit_gates.write <= 1 / (1 + (t - 1) * (-spread).exp()) + 1e-6).all())
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
    ("low", "high", "diagnosis"),
    [(-1.1, -0.9, "frozen"), (-0.1, 0.2, "live"), (-1.0, -0.5, "between"), (-0.5, 0, "between")],
)
def test_the_diagnosis_needs_the_whole_interval(low: float, high: float, diagnosis: str) -> None:
    assert gates.diagnose_freeze(low, high) == diagnosis


def test_half_lives_and_time_constants() -> None:
    mean_log = np.log([0.5, 0.25, 0.9999])
    assert gates.half_lives(mean_log) == pytest.approx([1, 0.5, math.log(0.5) / math.log(0.9999)])
    assert gates.time_constants(mean_log)[2] == pytest.approx(9999.5, abs=0.01)
    assert gates.time_constants(np.array(0.0)) == 2**24
    table = np.log([[[0.5], [0.25], [0.125]]])
    assert gates.median_half_life(table)[0] == pytest.approx(0.5)
    assert gates.longest_time_constant(table)[0] == pytest.approx(1 / math.log(2))

import math
from collections.abc import Callable

import pytest
import torch

import architectures
from analysis.measures import survival as measured
from analysis.measures.survival import photocopier, quantile, survival
from architectures.rda import AveragingLayer
from tests.analysis.toy_encoders import Diagonal

pytestmark = pytest.mark.usefixtures("one_thread")
POINTS = (1, 2, 10, 99, 300)


def noise(size: int) -> Callable[[int], torch.Tensor]:
    """Two streams, the same in whatever chunks they are drawn."""
    x, place = torch.randn(2, 301, size, generator=torch.Generator().manual_seed(0)), [0]

    def draw(steps: int) -> torch.Tensor:
        place[0] += steps
        return x[:, place[0] - steps : place[0]]

    return draw


def averaging(name: str, **options: object) -> tuple[architectures.Encoder, AveragingLayer]:
    """An encoder whose attention and discount are what its biases say."""
    encoder = architectures.build(name, 2, hidden_size=3, **options)
    layer = encoder.layers[0]  # type: ignore[index]
    assert isinstance(layer, AveragingLayer)
    with torch.no_grad():
        layer.weight_h.zero_()
        layer.weight_x[3:].zero_()
    return encoder, layer


def test_the_essays_photocopier():
    assert photocopier(0.9999, 100_000) == pytest.approx(0.0000454, abs=5e-8)


def test_a_constant_retention_leaves_its_powers():
    found = survival(Diagonal(2, hidden_size=3, fastest=0.5, slowest=0.9), noise(2), POINTS)
    decay = torch.linspace(0.5, 0.9, 3).double()
    expected = torch.tensor(POINTS).double()[:, None, None] * decay.log()
    torch.testing.assert_close(found.log, expected.expand(-1, 2, -1), rtol=1e-6, atol=1e-6)
    assert found.half[0].tolist() == [1, 2, 7]
    assert found.hundredth[0].tolist() == [7, 13, 44]
    torch.testing.assert_close(found.retention[0], decay, rtol=1e-6, atol=1e-6)


def test_an_average_of_constant_attention_leaves_one_part_of_all_that_it_has_read():
    encoder, _ = averaging("rwa")
    found = survival(encoder, noise(2), POINTS)
    expected = -torch.tensor(POINTS).double().add(1).log()
    torch.testing.assert_close(found.log, expected[:, None, None].expand(-1, 2, 3), rtol=0, atol=1e-4)
    # 1 / (n + 1) is half at one copy, and a hundredth at 99.
    assert found.half.eq(1).all()
    assert found.hundredth.sub(99).abs().le(1).all()


def test_a_fixed_discount_leaves_its_powers_of_the_growing_denominator():
    encoder, layer = averaging("rda")
    gamma = 0.98
    with torch.no_grad():
        assert layer.bias_gamma is not None
        layer.bias_gamma.fill_(math.log(gamma / (1 - gamma)))
    found = survival(encoder, noise(2), POINTS)
    # gamma^n d_0 / d_n with d_n = 1 + gamma + ... + gamma^n.
    expected = torch.tensor([n * math.log(gamma) - math.log((1 - gamma ** (n + 1)) / (1 - gamma)) for n in POINTS])
    torch.testing.assert_close(found.log, expected.double()[:, None, None].expand(-1, 2, 3), rtol=0, atol=1e-3)


def test_an_attention_that_has_closed_leaves_everything():
    encoder, layer = averaging("rda", attention="relu")
    with torch.no_grad():
        assert layer.bias_a is not None
        layer.bias_a.fill_(-1.0)
        # Open for an input of 1, which is read first.
        layer.weight_x[6:9, 0] = 2.0
    ones = iter([torch.ones(1, 1, 2)])
    found = survival(encoder, lambda steps: next(ones, torch.zeros(1, steps, 2)), POINTS)
    torch.testing.assert_close(found.log, torch.zeros_like(found.log), rtol=0, atol=1e-4)
    assert found.half.isinf().all()


@pytest.mark.parametrize("name", ["lstm", "gru", "rwa", "rda"])
def test_chunks_change_nothing_and_the_product_is_that_of_one_trace(name, monkeypatch):
    torch.manual_seed(0)
    encoder = architectures.build(name, 2, hidden_size=4, num_layers=2)
    whole = survival(encoder, noise(2), (1, 5, 40))
    monkeypatch.setattr(measured, "CHUNK", 7)
    parts = survival(encoder, noise(2), (1, 5, 40))
    torch.testing.assert_close(parts.log, whole.log, rtol=1e-4, atol=1e-5)
    assert torch.equal(parts.half, whole.half)
    torch.testing.assert_close(parts.retention, whole.retention)
    trace = encoder.trace(noise(2)(41))
    kept = torch.cat([layer.retention for layer in trace.layers if layer.retention is not None], dim=2)
    expected = kept[:, 1:].double().log().cumsum(1)[:, [0, 4, 39]].transpose(0, 1)
    torch.testing.assert_close(whole.log, expected.detach(), rtol=1e-4, atol=1e-5)


def test_what_a_gate_shuts_out_stays_lost():
    found = survival(Diagonal(1, hidden_size=2, fastest=0.0, slowest=0.5), noise(1), (1, 3))
    assert found.log[:, :, 0].isinf().all()
    assert found.log[:, :, 1].isfinite().all()


def test_no_gates_are_refused():
    with pytest.raises(ValueError, match="no gates"):
        survival(architectures.build("rnn", 1, hidden_size=2), noise(1), (1, 3))


def test_quantiles_are_values_and_infinite_ones_count():
    values = torch.tensor([3.0, -math.inf, 1.0, 2.0, math.inf])
    assert quantile(values, 0.0).item() == -math.inf
    assert quantile(values, 0.5).item() == 2.0
    assert quantile(values, 1.0).item() == math.inf

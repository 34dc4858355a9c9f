"""Survival of a signal in gates, against closed forms."""

import math
from collections.abc import Callable

import pytest
import torch

import architectures
from analysis.measures import survival as survival_module
from analysis.measures.survival import Span, lower_quantile, measure_survival, photocopier_share, shares_kept
from architectures.rda import AveragingLayer
from tests.analysis.toy_encoders import Diagonal

pytestmark = pytest.mark.usefixtures("one_thread")
POINTS = (1, 2, 10, 99, 300)


def noise(size: int) -> Callable[[int], torch.Tensor]:
    """Returns a function that draws two streams, the same for any sizes of the chunks."""
    x, place = torch.randn(2, 301, size, generator=torch.Generator().manual_seed(0)), [0]

    def draw(steps: int) -> torch.Tensor:
        place[0] += steps
        return x[:, place[0] - steps : place[0]]

    return draw


def averaging_encoder(name: str, **options: object) -> tuple[architectures.Encoder, AveragingLayer]:
    """Returns an encoder whose attention and discount depend only on its biases, and its layer."""
    encoder = architectures.build(name, 2, hidden_size=3, **options)
    layer = encoder.layers[0]  # type: ignore[index]
    assert isinstance(layer, AveragingLayer)
    with torch.no_grad():
        layer.weight_h.zero_()
        layer.weight_x[3:].zero_()
    return encoder, layer


def test_the_essays_photocopier():
    assert photocopier_share(0.9999, 100_000) == pytest.approx(0.0000454, abs=5e-8)


def test_a_constant_retention_leaves_its_powers():
    survival = measure_survival(Diagonal(2, hidden_size=3, fastest=0.5, slowest=0.9), noise(2), POINTS)
    decay = torch.linspace(0.5, 0.9, 3).double()
    expected = torch.tensor(POINTS).double()[:, None, None] * decay.log()
    torch.testing.assert_close(survival.log_share, expected.expand(-1, 2, -1), rtol=1e-6, atol=1e-6)
    assert survival.steps_to_half[0].tolist() == [1, 2, 7]
    assert survival.steps_to_hundredth[0].tolist() == [7, 13, 44]
    torch.testing.assert_close(survival.retention[0], decay, rtol=1e-6, atol=1e-6)


def test_an_average_of_constant_attention_leaves_one_part_of_all_that_it_has_read():
    encoder, _ = averaging_encoder("rwa")
    survival = measure_survival(encoder, noise(2), POINTS)
    expected = -torch.tensor(POINTS).double().add(1).log()
    torch.testing.assert_close(survival.log_share, expected[:, None, None].expand(-1, 2, 3), rtol=0, atol=1e-4)
    # 1 / (n + 1) is half at one copy, and a hundredth at 99.
    assert survival.steps_to_half.eq(1).all()
    assert survival.steps_to_hundredth.sub(99).abs().le(1).all()


def test_a_fixed_discount_leaves_its_powers_of_the_growing_denominator():
    encoder, layer = averaging_encoder("rda")
    gamma = 0.98
    with torch.no_grad():
        assert layer.bias_gamma is not None
        layer.bias_gamma.fill_(math.log(gamma / (1 - gamma)))
    survival = measure_survival(encoder, noise(2), POINTS)
    # gamma^n d_0 / d_n with d_n = 1 + gamma + ... + gamma^n.
    expected = torch.tensor([n * math.log(gamma) - math.log((1 - gamma ** (n + 1)) / (1 - gamma)) for n in POINTS])
    torch.testing.assert_close(survival.log_share, expected.double()[:, None, None].expand(-1, 2, 3), rtol=0, atol=1e-3)


def test_an_attention_that_has_closed_leaves_everything():
    encoder, layer = averaging_encoder("rda", attention="relu")
    with torch.no_grad():
        assert layer.bias_a is not None
        layer.bias_a.fill_(-1.0)
        # Open for an input of 1, which is read first.
        layer.weight_x[6:9, 0] = 2.0
    ones = iter([torch.ones(1, 1, 2)])
    survival = measure_survival(encoder, lambda steps: next(ones, torch.zeros(1, steps, 2)), POINTS)
    torch.testing.assert_close(survival.log_share, torch.zeros_like(survival.log_share), rtol=0, atol=1e-4)
    assert survival.steps_to_half.isinf().all()


@pytest.mark.parametrize("name", ["lstm", "gru", "rwa", "rda"])
def test_chunks_change_nothing_and_the_product_is_that_of_one_trace(name, monkeypatch):
    torch.manual_seed(0)
    encoder = architectures.build(name, 2, hidden_size=4, num_layers=2)
    whole = measure_survival(encoder, noise(2), (1, 5, 40))
    monkeypatch.setattr(survival_module, "CHUNK_STEPS", 7)
    parts = measure_survival(encoder, noise(2), (1, 5, 40))
    torch.testing.assert_close(parts.log_share, whole.log_share, rtol=1e-4, atol=1e-5)
    assert torch.equal(parts.steps_to_half, whole.steps_to_half)
    torch.testing.assert_close(parts.retention, whole.retention)
    trace = encoder.trace(noise(2)(41))
    retention = torch.cat([layer.retention for layer in trace.layers if layer.retention is not None], dim=2)
    expected = retention[:, 1:].double().log().cumsum(1)[:, [0, 4, 39]].transpose(0, 1)
    torch.testing.assert_close(whole.log_share, expected.detach(), rtol=1e-4, atol=1e-5)


def test_what_a_gate_shuts_out_stays_lost():
    survival = measure_survival(Diagonal(1, hidden_size=2, fastest=0.0, slowest=0.5), noise(1), (1, 3))
    assert survival.log_share[:, :, 0].isinf().all()
    assert survival.log_share[:, :, 1].isfinite().all()


def test_a_span_keeps_the_product_of_its_later_retentions():
    retention = torch.tensor([[[0.1, 0.5], [0.2, 1.0], [0.3, 0.0]], [[0.4, 0.9], [0.5, 0.8], [0.6, 0.7]]])
    spans = [Span(sequence=0, start=0, end=2), Span(sequence=1, start=1, end=2), Span(sequence=1, start=0, end=1)]
    expected = torch.tensor([[0.2 * 0.3, 0.0], [0.6, 0.7], [0.5, 0.8]]).double()
    torch.testing.assert_close(shares_kept(retention, spans), expected, rtol=1e-6, atol=1e-12)


def test_no_gates_are_refused():
    with pytest.raises(ValueError, match="no gates"):
        measure_survival(architectures.build("rnn", 1, hidden_size=2), noise(1), (1, 3))


def test_quantiles_are_values_and_infinite_ones_count():
    values = torch.tensor([3.0, -math.inf, 1.0, 2.0, math.inf])
    assert lower_quantile(values, 0.0).item() == -math.inf
    assert lower_quantile(values, 0.5).item() == 2.0
    assert lower_quantile(values, 1.0).item() == math.inf

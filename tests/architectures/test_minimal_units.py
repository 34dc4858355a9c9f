"""Tests of the minGRU and the minLSTM: how they start, and where their gates are shut."""

from typing import Any

import pytest
import torch

import architectures
from tests.architectures.cases import INPUT_SIZE, Case, assert_close, make_encoder, noise


def biases(name: str, gates: int, **options: Any) -> tuple[torch.Tensor, ...]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = architectures.build(name, INPUT_SIZE, hidden_size=200, **options)
    return encoder.get_parameter("layers.0.bias").detach().double().chunk(gates + 1)


def test_units_start_as_gated_ones_do() -> None:
    """Retaining 0.73 of what was there, as a GRU; forget biases of 1, the others of 0."""
    z, n = biases("mingru", 1)
    assert set(z.tolist()) == {-1.0}
    assert set(n.tolist()) == {0.0}
    f, i, n = biases("minlstm", 2)
    assert (set(f.tolist()), set(i.tolist()), set(n.tolist())) == ({1.0}, {0.0}, {0.0})


def test_chrono_spans_are_uniform() -> None:
    """A unit that retains a share s forgets over 1 / (1 - s) steps: between 2 and the longest. The minLSTM's two gates
    retain f / (f + i), which with opposite biases is f."""
    (z, _), (f, i, _) = biases("mingru", 1, chrono=100), biases("minlstm", 2, chrono=100)
    for retained in ((-z).sigmoid(), f.sigmoid() / (f.sigmoid() + i.sigmoid())):
        spans = 1 / (1 - retained)
        assert spans.min() >= 2 - 1e-4
        assert spans.max() <= 100.01
        assert 45 < spans.mean() < 57


def test_gates_that_are_shut_divide_nothing_by_nothing() -> None:
    """With both gates of the minLSTM at exp(-1000), their shares are still those of their quotient."""
    encoder: Any = make_encoder(Case(name="minlstm", options={"hidden_size": 2}))
    with torch.no_grad():
        encoder.layers[0].weight_x[:4] = 0
        encoder.layers[0].bias[:2] = -1000
        encoder.layers[0].bias[2:4] = -1001
    trace = encoder.trace(noise(1, 3, INPUT_SIZE))
    assert_close(trace.write, torch.full_like(trace.write, 1 / (1 + torch.e)))
    assert_close(trace.retention + trace.write, torch.ones_like(trace.write))


def test_positive_content_keeps_every_unit_positive() -> None:
    """As g has it: half at 0, and continuous there."""
    for name in ("mingru", "minlstm"):
        encoder: Any = make_encoder(Case(name=name, options={"hidden_size": 5, "content": "positive"}))
        assert encoder(noise(4, 50, INPUT_SIZE))[0].min() > 0
        content = encoder.layers[0]._content_of(torch.tensor([-1e-9, 0.0, 1e-9, 2.0, -2.0], dtype=torch.float64))
        assert_close(content, torch.tensor([0.5, 0.5, 0.5, 2.5, 0.11920292202211755], dtype=torch.float64), 1e-8)


@pytest.mark.parametrize("name", ["mingru", "minlstm"])
def test_an_unknown_content_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="content must be linear or positive, not 'log'"):
        architectures.build(name, 2, hidden_size=4, content="log")

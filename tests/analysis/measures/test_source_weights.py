"""Weights of single steps, and their agreement with a source that is known."""

import math

import pytest
import torch

import architectures
from analysis.measures.source_weights import agreement, join_agreements, source_weights


def test_agreement_by_hand() -> None:
    weights = torch.tensor([[[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]], [[0.0, 0.5, 0.0], [9.0, 9.0, 9.0]]])
    source, asked = torch.tensor([[0, 0], [1, -1]]), torch.tensor([[True, True], [True, False]])
    found = agreement(weights.double()[asked], source, asked)
    assert found.strongest.tolist() == [True, False, True]
    assert found.near.tolist() == [True, False, True]
    # The second asks for the same step again; the third is of another sequence.
    assert found.first.tolist() == [True, False, True]
    # The third adds up to one half.
    assert found.weight.tolist() == pytest.approx([0.5, 0.1, 1.0])
    assert found.entropy.tolist() == pytest.approx(
        [1.5 * math.log(2), -0.2 * math.log(0.1) - 0.8 * math.log(0.8), 0.0], abs=1e-6
    )
    assert found.sequence.tolist() == [0, 0, 1]


def test_weights_of_a_hierarchy_are_those_of_all_paths() -> None:
    """Of its maps as matrices from steps to steps, multiplied level by level."""
    torch.manual_seed(0)
    encoder = architectures.build("han", 3, hidden_size=4, window=3, num_layers=2).double()
    trace = encoder.trace(torch.randn(2, 11, 3, dtype=torch.float64))
    assert trace.maps is not None
    composed = torch.eye(11, dtype=torch.float64).expand(2, -1, -1)
    for spacing, level in zip((1, 3), trace.maps, strict=True):
        matrix = torch.zeros(2, 11, 11, dtype=torch.float64)
        for t in range(11):
            for j in range(3):
                if t - j * spacing >= 0:
                    matrix[:, t, t - j * spacing] = level.mean(1)[:, t, j]
        composed = matrix @ composed
    asked = torch.rand(2, 11) < 0.5
    weights = source_weights(trace, True, asked)
    assert weights is not None
    torch.testing.assert_close(weights, composed[asked])
    assert source_weights(trace, False, asked) is None


def test_weights_of_layers_of_attention_are_the_products_of_theirs() -> None:
    torch.manual_seed(0)
    encoder = architectures.build("transformer", 3, hidden_size=4, num_layers=2).double()
    trace = encoder.trace(torch.randn(2, 7, 3, dtype=torch.float64))
    assert trace.maps is not None
    composed = torch.eye(7, dtype=torch.float64).expand(2, -1, -1)
    for layer in trace.maps:
        by_lag = layer.mean(1)
        matrix = torch.stack(
            [torch.stack([by_lag[:, t, (t - i) % 7] * (i <= t) for i in range(7)], 1) for t in range(7)], 1
        )
        composed = matrix @ composed
    weights = source_weights(trace, True, torch.ones(2, 7, dtype=torch.bool))
    assert weights is not None
    torch.testing.assert_close(weights, composed.flatten(0, 1))


def test_parts_of_a_batch_are_joined_with_the_numbers_of_their_sequences() -> None:
    weights, source, asked = torch.rand(3, 2, 4), torch.tensor([[0, 1], [2, 3], [0, 2]]), torch.rand(3, 2) < 2
    whole = agreement(weights[asked], source, asked)
    parts = [agreement(weights[at][asked[at]], source[at], asked[at]) for at in (slice(0, 1), slice(1, 3))]
    joined = join_agreements(parts, [0, 1])
    assert joined.sequence.tolist() == whole.sequence.tolist() == [0, 0, 1, 1, 2, 2]
    assert joined.strongest.tolist() == whole.strongest.tolist()
    assert torch.equal(joined.weight, whole.weight)


def test_weights_of_an_attention_to_a_source_are_its_own() -> None:
    encoder = architectures.build("seq2seq", 3, hidden_size=4, source=5)
    trace = encoder.trace(torch.randn(2, 9, 3))
    assert trace.alignment is not None
    asked = torch.tensor([[False] * 5 + [True] * 4, [False] * 8 + [True]])
    weights = source_weights(trace, True, asked)
    assert weights is not None
    assert torch.equal(weights, trace.alignment[asked])
    lstm = architectures.build("lstm", 3, hidden_size=4).trace(torch.randn(2, 9, 3))
    assert source_weights(lstm, True, asked) is None

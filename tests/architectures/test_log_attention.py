"""Tests of the logarithms of the attention functions, from far below to far above 0."""

import math
from collections.abc import Callable, Mapping

import pytest
import torch

from architectures.kernels import ATTENTIONS, Attention
from architectures.kernels.pointwise import log_attention, log_attention_slope
from tests.architectures.cases import assert_close

EXACT: Mapping[Attention, Callable[[float], float]] = {
    "exp": lambda p: p,
    "sigmoid": lambda p: -math.log1p(math.exp(-p)) if p > 0 else p - math.log1p(math.exp(p)),
    "softplus": lambda p: math.log(p + math.log1p(math.exp(-p))) if p > 0 else log_softplus_below(p),
    "relu": lambda p: math.log(p) if p > 0 else -math.inf,
}


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-10)], ids=str)
@pytest.mark.parametrize("attention", ATTENTIONS)
def test_log_attention_and_its_slope(attention: Attention, dtype: torch.dtype, tolerance: float) -> None:
    """Compares log f_a with Python's own arithmetic, and its slope with difference quotients."""
    p = torch.cat([torch.linspace(-1000, 1000, 2001), torch.linspace(-45, 45, 1801)]).to(dtype)
    p = p[p.abs() > 0.01]
    alpha = log_attention(p, attention)
    expected = torch.tensor([EXACT[attention](value) for value in p.tolist()], dtype=dtype)
    assert_close(alpha, expected, tolerance)
    slope = log_attention_slope(p, attention)
    slopes = torch.ones_like(p) if slope is None else slope
    h, function = 1e-4, EXACT[attention]
    for value, value_slope in zip(p.tolist(), slopes.tolist(), strict=True):
        # A closed relu is flat, although -inf - -inf is not 0.
        flat = function(value) == -math.inf
        quotient = 0.0 if flat else (function(value + h) - function(value - h)) / (2 * h)
        # Rounding of values near 1,000 costs 1e-13 / h, the curvature of log p near 0.01 another h^2 / p^3.
        assert value_slope == pytest.approx(quotient, rel=1e-4, abs=1e-8)


def log_softplus_below(p: float) -> float:
    """Returns log(log(1 + e^p)) = p + log(log(1 + e^p) / e^p), by the series of log(1 + x) where e^p is tiny."""
    e = math.exp(p)
    return p + (math.log(math.log1p(e) / e) if e > 1e-8 else -e / 2)

"""Growth of attention that lemma 1 requires, against averages that alternate."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from analysis.measures.lemma1 import (
    GrowthBound,
    alternating_amplitude,
    lemma_bound,
    readout_bound,
    slopes_over_steps,
    unit_reaches,
    weighted_mean,
)


def test_lemma_1_is_kept_by_an_average_that_alternates() -> None:
    c, z = 0.5, 1.5
    x = math.atanh(c)
    bound = lemma_bound(c, z, hidden_tanh=True)
    assert bound.growth == pytest.approx(math.log1p(2 * x / (z + x)))
    assert lemma_bound(c, z, hidden_tanh=False).growth == pytest.approx(math.log1p(2 * c / (z + c)))
    # n / d of the paper's recursion, taken from x to -x and back by the least attention that does it.
    n, d, logs = x, 1.0, []
    for step in range(1, 30):
        sign = (-1) ** step
        a = d * 2 * x / (z - x)
        n, d = n + sign * z * a, d + a
        assert n / d == pytest.approx(sign * x)
        assert a / d >= bound.write
        logs.append(math.log(a))
    assert (np.diff(logs) >= bound.growth).all()
    assert np.diff(logs) == pytest.approx(readout_bound(x, np.array([z + x])).growth)


def test_an_average_that_alternates_keeps_the_bound_of_its_readout() -> None:
    generator = torch.Generator().manual_seed(2)
    w = 0.1 + 0.6 * torch.rand(1, 200, 4, generator=generator, dtype=torch.float64)
    signs = torch.ones(1, 200, 1, dtype=torch.float64)
    signs[:, ::2] = -1
    z = signs * (0.5 + torch.rand(1, 200, 4, generator=generator, dtype=torch.float64))
    r = torch.zeros_like(z)
    for t in range(200):
        before = r[:, t - 1] if t else torch.zeros(1, 4, dtype=torch.float64)
        r[:, t] = before + w[:, t] * (z[:, t] - before)
    readout = torch.randn(1, 4, generator=generator, dtype=torch.float64)
    y = (r.tanh() @ readout.t())[0, :, 0]
    v = unit_reaches(readout, z, r)
    mean = weighted_mean(w, v)
    for t in range(1, 200):
        # What the answer did change by is 2 c.
        assert mean[t] >= readout_bound(float((y[t] - y[t - 1]).abs()) / 2, v).write
    assert readout_bound(0.1, np.zeros(2)).growth == math.inf
    assert GrowthBound(write=1 - math.exp(-0.3)).growth == pytest.approx(0.3)


def test_what_alternates_is_told_from_what_does_not() -> None:
    t = torch.arange(1, 11)
    assert alternating_amplitude(0.5 * (-1.0) ** t) == pytest.approx(0.5)
    assert alternating_amplitude(torch.full((10,), 0.5)) == pytest.approx(0)


def test_slopes_are_those_of_least_squares() -> None:
    values: Tensor = torch.randn(2, 30, 3, generator=torch.Generator().manual_seed(0))
    expected = np.polyfit(np.arange(30), values[1, :, 2].numpy(), 1)[0]
    assert slopes_over_steps(values)[1, 2] == pytest.approx(expected)
    values[1, 5:, 2] = math.nan
    assert slopes_over_steps(values)[1, 2] == pytest.approx(np.polyfit(np.arange(5), values[1, :5, 2].numpy(), 1)[0])

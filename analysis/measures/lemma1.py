"""Lemma 1 of the RDA paper: the growth of attention that lets the answer of an average keep changing."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from analysis.statistics import safe_divide


@dataclass(frozen=True, slots=True, kw_only=True)
class GrowthBound:
    """Lower bound on the weight that an average has to give to every new step, and on the growth of its attention."""

    write: float
    """The least weight of what is new; 1 or more if no weight is enough."""

    @property
    def growth(self) -> float:
        """Nats by which log d, and so in the long run log a, has to grow a step: -log(1 - w)."""
        return -math.log1p(-self.write) if self.write < 1 else math.inf


def lemma_bound(amplitude: float, features: float, hidden_tanh: bool) -> GrowthBound:
    """Returns the bound of lemma 1 as it stands (Maginnis and Richemond 2017, appendix A).

    For h_t = c (-1)^t to be the state itself,

        d_t >= d_{t-1} (1 + delta / (|z|max + |x|max)),   delta = x_+ - x_-,   f_h(x_+-) = +-c

    so that w_t = 1 - d_{t-1} / d_t >= delta / (delta + |z|max + |x|max).

    Args:
        amplitude: c.
        features: |z|max.
        hidden_tanh: whether f_h is tanh, or the identity.
    """
    x = math.atanh(amplitude) if hidden_tanh else amplitude
    return GrowthBound(write=2 * x / (2 * x + features + x))


def readout_bound(amplitude: float, reaches: np.ndarray) -> GrowthBound:
    """Returns the bound if a linear readout y = sum_u W_u h_u + b has to alternate between -c and c.

    f_h must be no steeper than 1. As r_t - r_{t-1} = w_t (z_t - r_{t-1}),

        2 c <= sum_u |W_u| |h_t - h_{t-1}|_u <= sum_u v_u w_{t,u},      v_u = |W_u| (|z|max + |r|max)_u

    so the mean of w_t over units, weighted by v, is never below 2 c / sum_u v_u. By Jensen's inequality the mean of
    -log(1 - w_t), the growth of log d, is at least that of the bound.

    Args:
        amplitude: c.
        reaches: (units,) the v_u, as in `unit_reaches`.
    """
    total = float(reaches.sum())
    return GrowthBound(write=2 * amplitude / total if total > 0 else math.inf)


def unit_reaches(readout: Tensor, content: Tensor, state: Tensor) -> np.ndarray:
    """Returns v_u = |W_u| (|z|max + |r|max)_u: how far a unit could move the answer in one step.

    Args:
        readout: (1, units), W.
        content: (batch, time, units), z.
        state: (batch, time, units), r.

    Returns:
        (units,).
    """
    largest = content.abs().amax((0, 1)) + state.abs().amax((0, 1))
    return np.asarray((readout.abs().sum(0) * largest).double().numpy(force=True))


def slopes_over_steps(values: Tensor) -> np.ndarray:
    """Returns the least-squares slope of a value on the step; of log a in nats a step.

    Args:
        values: (batch, time, units); NaN is left out.

    Returns:
        (batch, units); NaN where there are fewer than two values.
    """
    y = values.double().numpy(force=True)
    known = np.isfinite(y)
    n = known.sum(1, keepdims=True)
    step = np.where(known, np.arange(y.shape[1], dtype=float)[None, :, None], 0.0)
    centred = np.where(known, step - step.sum(1, keepdims=True) / np.maximum(n, 1), 0.0)
    return safe_divide((centred * np.where(known, y, 0.0)).sum(1), (centred**2).sum(1))


def weighted_mean(values: Tensor, weights: np.ndarray) -> np.ndarray:
    """Returns the mean over units by these weights without NaN, (time,), of values (1, time, units)."""
    y = values[0].double().numpy(force=True)
    known = np.isfinite(y)
    return safe_divide((np.where(known, y, 0.0) * weights).sum(1), (known * weights).sum(1))


def alternating_amplitude(answers: Tensor) -> float:
    """Returns the mean of (-1)^t y_t, t counted from 1: the amplitude of the alternating part of answers (time,)."""
    signs = torch.ones_like(answers)
    signs[::2] = -1
    return float((signs * answers).mean())

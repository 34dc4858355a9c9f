"""Gates of recurrent units: their logarithms, time constants, and how fast their writes fall.

The logarithms are exact where the gates themselves round to 0 or 1 in single precision.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from analysis.measures.influence import bin_means, bins
from analysis.statistics import safe_divide
from architectures.kernels import INITIAL_LOG_DENOMINATOR
from architectures.trace import Trace

SMALLEST = 1e-38
"""About the smallest normal number of single precision; smaller values count as this one."""
FROZEN_BELOW, LIVE_ABOVE = -2 / 3, -1 / 3
"""A model is frozen if the interval of its write slope lies below the first, live if it lies above the second.

They are a third of the way from the two known slopes: -1 of an average over all steps, and 0 of a constant write."""
SLOPE_BINS = 24
MIN_SLOPE_BINS = 5
"""Bins that a slope needs."""
MIN_RATE = 2.0**-24
"""Nats a step. A gate that loses less rounds to 1 in single precision, so slower losses cannot be measured."""

FIELDS = ("retention", "write", "log_retention", "log_write", "log_attention", "log_discount", "average")


@dataclass(frozen=True, slots=True, kw_only=True)
class GateTrace:
    """Retention and write of every unit at every step, each (batch, time, units).

    The units of stacked layers stand side by side. Steps in the padding are NaN once `mask_padding` was called.
    """

    retention: Tensor
    write: Tensor
    log_retention: Tensor
    """NaN at the first step, and until something has been written: retention means nothing while the state is empty
    (the first write of an average is 1, whatever the model)."""
    log_write: Tensor
    """NaN where nothing is written."""
    log_attention: Tensor | None = None
    """log a of the RWA and the RDA; NaN where the attention is 0."""
    log_discount: Tensor | None = None
    """log gamma of the RDA; `None` for architectures without a separate discount."""
    average: Tensor | None = None
    """n / d of an average, before any activation: RWA, RDA, sLSTM, attention over an encoder's outputs; `None` where a
    unit is a head."""

    def mask_padding(self, lengths: Tensor | None) -> "GateTrace":
        """Returns the same gates with NaN in the padding behind `lengths`, (batch,)."""
        if lengths is None:
            return self
        steps = torch.arange(self.write.shape[1], device=self.write.device)
        valid = (steps < lengths.to(steps.device).unsqueeze(1)).unsqueeze(2)
        present = {name: value for name in FIELDS if (value := getattr(self, name)) is not None}
        return replace(self, **{name: value.where(valid, math.nan) for name, value in present.items()})


def gate_trace(trace: Trace, *, all_layers: bool = True) -> GateTrace | None:
    """Returns the gates of a trace that begins at the start of its sequences; `None` if a layer has no gates.

    Args:
        trace: of an encoder.
        all_layers: whether the units of all layers stand side by side, or only those of the last layer.
    """
    traces = trace.layers if all_layers and trace.layers else (trace,)
    layers = [gates for layer in traces if (gates := _layer_gates(layer)) is not None]
    if len(layers) < len(traces):
        return None
    joined: dict[str, Tensor | None] = {}
    for name in FIELDS:
        values = [value for layer in layers if (value := getattr(layer, name)) is not None]
        joined[name] = torch.cat(values, dim=2) if len(values) == len(layers) else None
    return GateTrace(**joined)  # type: ignore[arg-type]


def _layer_gates(trace: Trace) -> GateTrace | None:
    if trace.retention is None or trace.write is None:
        return None
    retention, write = trace.retention.detach(), trace.write.detach()
    log_a, log_gamma = trace.log_attention, trace.log_discount
    # l is the logarithm of the average's denominator.
    l = (trace.gates or {}).get("l")
    average = None
    if log_a is None or log_gamma is None or l is None:
        log_write = write.clamp_min(SMALLEST).log().where(write > 0, math.nan)
        log_retention = retention.clamp_min(SMALLEST).log()
        holds_something = torch.ones_like(retention, dtype=torch.bool)
    else:
        log_a, log_gamma, l = log_a.detach(), log_gamma.detach(), l.detach()
        # A head's is a vector, and no number.
        r = (trace.gates or {}).get("r")
        average = None if r is None else r.detach()
        l_before = torch.cat([torch.full_like(l[:, :1], INITIAL_LOG_DENOMINATOR), l[:, :-1]], dim=1)
        log_w = log_a - l
        # Of the two forms of log(1 - w), each is exact where the other cancels.
        log_retention = (-log_w.exp()).log1p().where(log_w < -math.log(2), l_before + log_gamma - l)
        holds_something = l_before > INITIAL_LOG_DENOMINATOR / 2
        log_write = log_w.where((log_w > INITIAL_LOG_DENOMINATOR / 2) & (log_a > -math.inf), math.nan)
        log_a = log_a.where(log_a > -math.inf, math.nan)
    log_retention = log_retention.where(holds_something, math.nan)
    log_retention[:, 0] = math.nan
    has_discount = log_gamma is not None and bool((log_gamma != 0).any())
    return GateTrace(
        retention=retention,
        write=write,
        log_retention=log_retention,
        log_write=log_write,
        log_attention=log_a,
        log_discount=log_gamma if has_discount else None,
        average=average,
    )


def write_slopes(log_write: Tensor) -> np.ndarray:
    """Returns the slope of log w_t on log t, t counted from 1, over the last decade of steps.

    An RWA has to freeze while its attention is bounded: with |log a| <= A its write is at most
    1 / (1 + (t - 1) e^{-2A}), whose slope goes to -1. The steps from T / 10 to T (without the first step, whose write
    is 1 in every average) are cut into bins of equal logarithmic width, and a line is fitted to their means.

    Args:
        log_write: (batch, time, units); NaN where nothing is written, or beyond a sequence's end.

    Returns:
        (batch, units) slopes; NaN where fewer than `MIN_SLOPE_BINS` bins have a value.
    """
    time = log_write.shape[1]
    slope_bins = bins(time, SLOPE_BINS, log=True, start=max(1, time // 10 - 1))
    log_steps = torch.arange(1, time + 1, dtype=torch.float64).log()
    x = bin_means(log_steps[None, :, None], slope_bins).numpy()
    y = bin_means(log_write.double().cpu(), slope_bins).numpy()
    known = np.isfinite(y)
    n = known.sum(1)
    x = np.where(known, x, 0.0)
    y = np.where(known, y, 0.0)
    centred = np.where(known, x - (x.sum(1) / np.maximum(n, 1))[:, None], 0.0)
    return np.where(n >= MIN_SLOPE_BINS, safe_divide((centred * y).sum(1), (centred**2).sum(1)), np.nan)


def diagnose_freeze(low: float, high: float) -> str:
    """Returns `frozen`, `live` or `between`, from the interval of a write slope."""
    return "frozen" if high < FROZEN_BELOW else "live" if low > LIVE_ABOVE else "between"


def frozen_share(values: np.ndarray) -> np.ndarray:
    """Returns the share of units whose write slope is below `FROZEN_BELOW`.

    Args:
        values: (samples, units, 1) slopes; NaN where a unit has no slope.

    Returns:
        (samples,); NaN where no unit has a slope.
    """
    known = np.isfinite(values[..., 0])
    count = known.sum(1)
    frozen = (np.where(known, values[..., 0], 0.0) < FROZEN_BELOW).sum(1)
    return safe_divide(frozen, count)


def decay_rates(mean_log: np.ndarray) -> np.ndarray:
    """Returns the nats lost a step, -mean log f, and at least `MIN_RATE`."""
    return np.asarray(np.maximum(-np.asarray(mean_log, dtype=float), MIN_RATE))


def time_constants(mean_log: np.ndarray) -> np.ndarray:
    """Returns tau = -1 / mean log f, in steps: after tau steps 1 / e is left.

    Args:
        mean_log: means over time (and sequences) of log f, where f is a forget gate, a retention or a discount.
    """
    return np.asarray(1 / decay_rates(mean_log))


def half_lives(mean_log: np.ndarray) -> np.ndarray:
    """Returns log(1/2) / mean log f, the steps after which half is left; see `time_constants`."""
    return np.asarray(math.log(2) * time_constants(mean_log))


def median_time_constant(values: np.ndarray) -> np.ndarray:
    """Returns the median unit's time constant, (samples,), from mean logarithms, (samples, units, 1)."""
    return np.asarray(np.nanmedian(time_constants(values[..., 0]), axis=1))


def longest_time_constant(values: np.ndarray) -> np.ndarray:
    """Returns the largest time constant of any unit, (samples,), from mean logarithms, (samples, units, 1)."""
    return np.asarray(np.nanmax(time_constants(values[..., 0]), axis=1))


def median_half_life(values: np.ndarray) -> np.ndarray:
    """Returns the median unit's half-life, (samples,), from mean logarithms, (samples, units, 1)."""
    return np.asarray(math.log(2) * median_time_constant(values))

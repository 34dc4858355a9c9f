"""What gated units keep and write, with logarithms that hold where the numbers themselves round to 0 or 1."""

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from analysis.measures.influence import bins, means
from analysis.statistics import safe_divide
from architectures.kernels import START
from architectures.trace import Trace

TINY = 1e-38
"""About the smallest normal number of single precision: what is below counts as this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateTrace:
    """Retention and write of every unit at every step, each (batch, time, units); NaN where there is no such step.

    The units of stacked layers stand side by side.
    """

    retention: Tensor
    write: Tensor
    log_retention: Tensor
    """NaN at the first step, and as long as nothing has been held: there retention says nothing (the first write of an
    average is 1, whatever the model)."""
    log_write: Tensor
    """NaN where nothing at all is written."""
    log_attention: Tensor | None = None
    """log a of the RWA and the RDA; NaN where it is closed."""
    log_discount: Tensor | None = None
    """log gamma of the RDA; `None` for all that have no discount of their own."""

    def within(self, lengths: Tensor | None) -> "GateTrace":
        """The same with NaN in the padding behind `lengths`, (batch,)."""
        if lengths is None:
            return self
        steps = torch.arange(self.write.shape[1], device=self.write.device)
        there = (steps < lengths.to(steps.device).unsqueeze(1)).unsqueeze(2)
        names = ("retention", "write", "log_retention", "log_write", "log_attention", "log_discount")
        known = {name: value for name in names if (value := getattr(self, name)) is not None}
        return replace(self, **{name: value.where(there, math.nan) for name, value in known.items()})


def gate_traces(trace: Trace, *, every_layer: bool = True) -> GateTrace | None:
    """The gates of a trace from the start of its sequences; `None` where there are none.

    Args:
        trace: of an encoder.
        every_layer: whether the units of all layers stand side by side, or those of the last alone.
    """
    layers = trace.layers if every_layer and trace.layers else (trace,)
    found = [_layer(each) for each in layers]
    kept = [each for each in found if each is not None]
    if len(kept) < len(layers):
        return None
    joined: dict[str, Tensor | None] = {}
    for name in ("retention", "write", "log_retention", "log_write", "log_attention", "log_discount"):
        parts = [value for each in kept if (value := getattr(each, name)) is not None]
        joined[name] = torch.cat(parts, dim=2) if len(parts) == len(kept) else None
    return GateTrace(**joined)  # type: ignore[arg-type]


def _layer(trace: Trace) -> GateTrace | None:
    if trace.retention is None or trace.write is None:
        return None
    retention, write = trace.retention.detach(), trace.write.detach()
    alpha, discount = trace.log_attention, trace.log_discount
    l = (trace.gates or {}).get("l")
    if alpha is None or discount is None or l is None:
        log_write = write.clamp_min(TINY).log().where(write > 0, math.nan)
        log_retention = retention.clamp_min(TINY).log()
        held = torch.ones_like(retention, dtype=torch.bool)
    else:
        alpha, discount, l = alpha.detach(), discount.detach(), l.detach()
        before = torch.cat([torch.full_like(l[:, :1], START), l[:, :-1]], dim=1)
        log_w = alpha - l
        # Of the two forms of log(1 - w), each is exact where the other cancels.
        log_retention = (-log_w.exp()).log1p().where(log_w < -math.log(2), before + discount - l)
        held = before > START / 2
        log_write = log_w.where((log_w > START / 2) & (alpha > -math.inf), math.nan)
        alpha = alpha.where(alpha > -math.inf, math.nan)
    log_retention = log_retention.where(held, math.nan)
    log_retention[:, 0] = math.nan
    own = discount is not None and bool((discount != 0).any())
    return GateTrace(
        retention=retention,
        write=write,
        log_retention=log_retention,
        log_write=log_write,
        log_attention=alpha,
        log_discount=discount if own else None,
    )


FROZEN, LIVE = -2 / 3, -1 / 3
"""Where an interval of the slope has to lie below to be called frozen, above to be called live: a third of the way from
the one known answer, -1 for an average over all steps, and from the other, 0 for a weight that does not fall."""
BINS = 24
FEWEST = 5
"""Bins that a slope needs."""


def write_slopes(log_write: Tensor) -> np.ndarray:
    """The slope of log w_t on log t, t counted from 1, over the last decade of steps.

    An RWA cannot but freeze while its attention is bounded: with |log a| <= A its write is at most
    1 / (1 + (t - 1) e^{-2A}), whose slope goes to -1. The steps from T / 10 (the first step, which is 1 for every
    average, left out) to T are cut into bins of equal logarithmic width, and a line is fitted to their means.

    Args:
        log_write: (batch, time, units); NaN where nothing is written, or beyond a sequence's end.

    Returns:
        (batch, units) slopes; NaN where fewer than `FEWEST` bins have a value.
    """
    time = log_write.shape[1]
    parts = bins(time, BINS, log=True, start=max(1, time // 10 - 1))
    steps = torch.arange(1, time + 1, dtype=torch.float64).log()
    x = means(steps[None, :, None], parts).numpy()
    y = means(log_write.double().cpu(), parts).numpy()
    known = np.isfinite(y)
    n = known.sum(1)
    x = np.where(known, x, 0.0)
    y = np.where(known, y, 0.0)
    centred = np.where(known, x - (x.sum(1) / np.maximum(n, 1))[:, None], 0.0)
    return np.where(n >= FEWEST, safe_divide((centred * y).sum(1), (centred**2).sum(1)), np.nan)


def diagnosis(low: float, high: float) -> str:
    """`frozen`, `live` or `between`, from the interval of a slope."""
    return "frozen" if high < FROZEN else "live" if low > LIVE else "between"


def frozen_share(values: np.ndarray) -> np.ndarray:
    """(samples, units, 1) slopes -> the share of units whose own slope is below `FROZEN`; NaN where none has any."""
    known = np.isfinite(values[..., 0])
    count = known.sum(1)
    frozen = (np.where(known, values[..., 0], 0.0) < FROZEN).sum(1)
    return safe_divide(frozen, count)


SLOWEST = 2.0**-24
"""Nats a step: of a slower loss single precision, in which a gate next to 1 rounds to it, knows nothing."""


def rates(mean_log: np.ndarray) -> np.ndarray:
    """Nats lost a step, -mean log f, and no less than `SLOWEST`."""
    return np.asarray(np.maximum(-np.asarray(mean_log, dtype=float), SLOWEST))


def time_constants(mean_log: np.ndarray) -> np.ndarray:
    """tau = -1 / mean log f, in steps: after tau steps 1 / e is left.

    Args:
        mean_log: means over time (and sequences) of log f, f being a forget gate, a retention or a discount.
    """
    return np.asarray(1 / rates(mean_log))


def half_lives(mean_log: np.ndarray) -> np.ndarray:
    """log(1/2) / mean log f, in steps: after so many steps half is left."""
    return np.asarray(math.log(2) * time_constants(mean_log))


def median_time_constant(values: np.ndarray) -> np.ndarray:
    """(samples, units, 1) mean logarithms -> the median unit's time constant."""
    return np.asarray(np.nanmedian(time_constants(values[..., 0]), axis=1))


def longest_time_constant(values: np.ndarray) -> np.ndarray:
    """(samples, units, 1) mean logarithms -> the largest time constant of any unit."""
    return np.asarray(np.nanmax(time_constants(values[..., 0]), axis=1))


def median_half_life(values: np.ndarray) -> np.ndarray:
    """(samples, units, 1) mean logarithms -> the median unit's half-life."""
    return np.asarray(math.log(2) * median_time_constant(values))

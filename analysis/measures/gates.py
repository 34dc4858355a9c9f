"""What gated units keep and write, with logarithms that hold where the numbers themselves round to 0 or 1."""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from architectures.kernels import START
from architectures.trace import Trace

TINY = 1e-38
"""About the smallest normal number of single precision: what is below counts as this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gates:
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

    def within(self, lengths: Tensor | None) -> "Gates":
        """The same with NaN in the padding behind `lengths`, (batch,)."""
        if lengths is None:
            return self
        steps = torch.arange(self.write.shape[1], device=self.write.device)
        there = (steps < lengths.to(steps.device).unsqueeze(1)).unsqueeze(2)
        names = ("retention", "write", "log_retention", "log_write", "log_attention", "log_discount")
        known = {name: value for name in names if (value := getattr(self, name)) is not None}
        return replace(self, **{name: value.where(there, math.nan) for name, value in known.items()})


def gates(trace: Trace, *, every_layer: bool = True) -> Gates | None:
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
    return Gates(**joined)  # type: ignore[arg-type]


def _layer(trace: Trace) -> Gates | None:
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
    return Gates(
        retention=retention,
        write=write,
        log_retention=log_retention,
        log_write=log_write,
        log_attention=alpha,
        log_discount=discount if own else None,
    )

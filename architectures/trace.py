"""The internal quantities of an encoder, step by step, in terms that all architectures share."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """The internal quantities of an encoder for one batch; `None` where the architecture has no such quantity.

    A gated unit keeps a share `retention` of its content and adds the new with weight `write`, so that one definition
    of influence holds for all of them: A[t, i] = write_i * prod_{j = i+1..t} retention_j.
    """

    y: Tensor
    """(batch, time, output_size): the output of `forward` for the same input."""
    retention: Tensor | None = None
    """(batch, time, units): the factor on the previous content. LSTM: f. GRU: z. RWA, RDA: 1 - w. A unit is a head
    where all of a head is kept alike."""
    write: Tensor | None = None
    """(batch, time, units): the weight of the new content. LSTM: i. GRU: 1 - z. RWA, RDA: w."""
    content: Tensor | None = None
    """(batch, time, units): the new content. LSTM: g. GRU: n. RWA, RDA: z."""
    log_attention: Tensor | None = None
    """(batch, time, units): log a of the RWA and the RDA; its exponential may overflow, the logarithm does not."""
    log_discount: Tensor | None = None
    """(batch, time, units): log gamma of the RDA (0 for the RWA)."""
    gates: dict[str, Tensor] | None = None
    """The architecture's own quantities by their usual letters, each (batch, time, units)."""
    maps: tuple[Tensor, ...] | None = None
    """An attention map for each level or layer of attention, (batch, heads, time, k): entry j is the weight of the step
    j spacings back; steps before the start weigh 0."""
    spacings: tuple[int, ...] | None = None
    """Steps between neighbouring entries of each map; `None` for a hierarchy, where it is the product of the windows
    below."""
    alignment: Tensor | None = None
    """(batch, time, source): the weight of every step of the source, in a decoder with attention to it."""
    levels: tuple[Tensor, ...] | None = None
    """The input of the first level, then the output of each, (batch, time, units): TCN, hierarchy, residual blocks."""
    layers: tuple["Trace", ...] = ()
    """For stacked encoders the trace of each layer; the last holds the quantities of this trace itself."""


def influence(retention: Tensor, write: Tensor, at: int) -> tuple[Tensor, Tensor]:
    """Returns the weight of every step's content in a unit after step `at`, and the remaining share of the start.

    A[at, i] = write_i * prod_{j = i+1..at} retention_j

    Args:
        retention: (batch, time, units), as in `Trace`.
        write: (batch, time, units), as in `Trace`.
        at: the step at which the units are observed; negative values count from the end.

    Returns:
        The row A[at, 0..at], (batch, at + 1, units), and the product of all retentions up to `at`, (batch, units).
        For the RWA and the RDA the row and the share sum to 1.
    """
    time = retention.shape[1]
    if not -time <= at < time:
        raise ValueError(f"step {at} lies outside the trace's {time} steps")
    at %= time
    # A product, not a difference of cumulative logarithms: a retention of exactly 0 is an ordinary value.
    remaining = retention[:, : at + 1].flip(1).cumprod(1).flip(1)
    after_write = torch.cat([remaining[:, 1:], torch.ones_like(remaining[:, :1])], dim=1)
    return write[:, : at + 1] * after_write, remaining[:, 0]

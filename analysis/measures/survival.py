"""Survival of a signal in gated units over many steps.

The comparison is with the photocopier of Ostmeyer 2017, "Rethinking recurrent neural networks".
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from architectures.base import Encoder, eval_mode
from architectures.trace import Trace

CHUNK_STEPS = 2000
"""Steps that are run at once: only the state is carried from one chunk to the next."""
SMALLEST_RETENTION = 1e-300
"""Smaller retentions count as this one in `shares_kept`."""
ESSAY_RETENTION = 0.9999
"""Share of a signal that every copy keeps in Ostmeyer's essay."""


def photocopier_share(retention: float, copies: float) -> float:
    """Returns what is left of a signal if every copy keeps the same share.

    Example:
        >>> f"{photocopier_share(0.9999, 100_000):.7f}"
        '0.0000454'
    """
    return float(retention**copies)


@dataclass(frozen=True, slots=True, kw_only=True)
class Survival:
    """Share that is left, after further steps, of what every unit held after its first step."""

    copies: tuple[int, ...]
    """Numbers of further steps, ascending."""
    log_share: Tensor
    """(copies, streams, units) natural logarithm of the share left, float64; -inf if a gate has closed completely."""
    retention: Tensor
    """(streams, units) mean retention over all steps, float64."""
    steps_to_half: Tensor
    """(streams, units) steps after which half or less is left, float64; infinite if more is left at the end."""
    steps_to_hundredth: Tensor
    """(streams, units) the same for 1 %."""


def measure_survival(encoder: Encoder, draw: Callable[[int], Tensor], copies: tuple[int, ...]) -> Survival:
    """Multiplies all retentions after the first step of one long sequence, in double precision.

    This is what the gates keep; what a network writes again from its own output does not count. The first step is not
    a copy: it has nothing to keep, and the first weight of an average is always 1.

    Args:
        encoder: whose trace has a retention; the units of all its layers are counted.
        draw: returns the next so many steps of the input, (streams, steps, input_size).
        copies: numbers of steps at which the share is recorded, ascending.

    Raises:
        ValueError: if the trace has no retention.
    """
    with torch.no_grad(), eval_mode(encoder):
        _, state = encoder(draw(1))
        done, log_shares = 0, []
        while done < copies[-1]:
            x = draw(min(CHUNK_STEPS, copies[-1] - done))
            retention = stacked_retention(encoder.trace(x, state)).double()
            _, state = encoder(x, state)
            if not done:
                log_share, total = torch.zeros_like(retention[:, 0]), torch.zeros_like(retention[:, 0])
                half, hundredth = (torch.full_like(log_share, math.inf) for _ in range(2))
            total += retention.sum(1)
            running = retention.log_().cumsum_(1).add_(log_share.unsqueeze(1))
            for steps, share in ((half, 0.5), (hundredth, 0.01)):
                below = running <= math.log(share)
                first = (done + 1 + below.to(torch.uint8).argmax(1)).double()
                steps.copy_(torch.where(steps.isinf() & below.any(1), first, steps))
            log_shares += [running[:, at - done - 1].cpu() for at in copies if done < at <= done + x.shape[1]]
            log_share = running[:, -1].clone()
            done += x.shape[1]
    return Survival(
        copies=copies,
        log_share=torch.stack(log_shares),
        retention=(total / done).cpu(),
        steps_to_half=half.cpu(),
        steps_to_hundredth=hundredth.cpu(),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Steps over which something has to be kept, in one sequence: from `start`, where it is read, to `end`."""

    sequence: int
    start: int
    end: int


def shares_kept(retention: Tensor, spans: Sequence[Span]) -> Tensor:
    """Returns, unit by unit, the share of what is held after the start of a span that the gates leave at its end.

    It is the product of the retentions of all later steps of the span, the factor that the influence of the first step
    is multiplied by (`architectures.trace.influence`).

    Args:
        retention: (batch, time, units), as in a trace.
        spans: steps of these sequences.

    Returns:
        (spans, units), float64, on the CPU.
    """
    # A gate that has closed completely leaves nothing: a number that small, as infinities cannot be subtracted.
    logs = retention.cpu().double().clamp_min(SMALLEST_RETENTION).log_().cumsum_(1)
    sequence, start, end = (
        torch.tensor([getattr(span, name) for span in spans]) for name in ("sequence", "start", "end")
    )
    return (logs[sequence, end] - logs[sequence, start]).exp_()


def stacked_retention(trace: Trace) -> Tensor:
    """Returns the retentions of the units of all layers side by side, (batch, time, units).

    Raises:
        ValueError: if a layer has none.
    """
    layers = [layer.retention for layer in trace.layers or (trace,)]
    retentions = [retention for retention in layers if retention is not None]
    if not retentions or len(retentions) < len(layers):
        raise ValueError("it has no gates that keep or forget")
    return torch.cat(retentions, dim=2)


def lower_quantile(values: Tensor, share: float) -> Tensor:
    """Returns the value at or below which this share of the last dimension lies; infinite values count too."""
    place = round(share * (values.shape[-1] - 1))
    return values.sort(dim=-1).values[..., place]

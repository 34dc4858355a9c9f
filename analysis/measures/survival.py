"""How much of what a gated unit holds is left after many steps (Ostmeyer 2017, "Rethinking recurrent neural networks":
the photocopier)."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from architectures.base import Encoder, evaluating
from architectures.trace import Trace

CHUNK = 2000
"""Steps that are run at once: the state is carried from one chunk to the next, and nothing else is kept."""


def photocopier(retention: float, copies: float) -> float:
    """What is left of a signal of which every copy keeps the same share.

    Example:
        >>> f"{photocopier(0.9999, 100_000):.7f}"
        '0.0000454'
    """
    return float(retention**copies)


@dataclass(frozen=True, slots=True, kw_only=True)
class Survival:
    """The share of what every unit held after its first step that is left later on."""

    copies: tuple[int, ...]
    """The numbers of further steps looked at, ascending."""
    log: Tensor
    """(copies, streams, units) natural log of the share left, float64; -inf where a gate shut altogether."""
    retention: Tensor
    """(streams, units) mean retention over all steps, float64."""
    half: Tensor
    """(streams, units) copies after which half or less was left, float64; infinite where more was left to the end."""
    hundredth: Tensor
    """The same for 1 %."""


def survival(encoder: Encoder, draw: Callable[[int], Tensor], copies: tuple[int, ...]) -> Survival:
    """Follows one long sequence: the product of all retentions after the first step, in double precision.

    It is what the gates keep. What a network writes anew from its own output is not counted. The first step itself has
    nothing to keep, and an average's first weight is 1: it is no copy.

    Args:
        encoder: has a trace with a retention; the units of all its layers are counted.
        draw: gives the next so many steps of the input, (streams, steps, input_size).
        copies: the numbers of steps to look at, ascending.

    Raises:
        ValueError: if the trace has no retention, with the reason in a line.
    """
    with torch.no_grad(), evaluating(encoder):
        _, state = encoder(draw(1))
        done, found = 0, []
        while done < copies[-1]:
            x = draw(min(CHUNK, copies[-1] - done))
            kept = retentions(encoder.trace(x, state)).double()
            _, state = encoder(x, state)
            if not done:
                log, total = torch.zeros_like(kept[:, 0]), torch.zeros_like(kept[:, 0])
                half, hundredth = (torch.full_like(log, math.inf) for _ in range(2))
            total += kept.sum(1)
            run = kept.log_().cumsum_(1).add_(log.unsqueeze(1))
            for steps, share in ((half, 0.5), (hundredth, 0.01)):
                below = run <= math.log(share)
                first = (done + 1 + below.to(torch.uint8).argmax(1)).double()
                steps.copy_(torch.where(steps.isinf() & below.any(1), first, steps))
            found += [run[:, point - done - 1].cpu() for point in copies if done < point <= done + x.shape[1]]
            log = run[:, -1].clone()
            done += x.shape[1]
    return Survival(
        copies=copies,
        log=torch.stack(found),
        retention=(total / done).cpu(),
        half=half.cpu(),
        hundredth=hundredth.cpu(),
    )


def retentions(trace: Trace) -> Tensor:
    """The retentions of the units of all layers side by side, (batch, time, units)."""
    found = [layer.retention for layer in trace.layers or (trace,)]
    known = [value for value in found if value is not None]
    if not known or len(known) < len(found):
        raise ValueError("it has no gates that keep or let go")
    return torch.cat(known, dim=2)


def quantile(values: Tensor, share: float) -> Tensor:
    """The value that this share of the last dimension lies at or below; infinite values are values too."""
    place = round(share * (values.shape[-1] - 1))
    return values.sort(dim=-1).values[..., place]


ESSAY_RETENTION = 0.9999
"""The share that every copy keeps, in the essay."""

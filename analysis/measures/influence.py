"""Statistics of each step's influence row in O(1) a step: how many steps, and which, make up what a unit holds."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from analysis.statistics import safe_divide


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Of the influence row of every step, divided by its sum; each (batch, time, units), NaN where nothing is held."""

    entropy: Tensor
    """Nats; its exponential is an effective window in steps."""
    lag: Tensor
    """Mean lag in steps."""
    simpson: Tensor
    """Sum of squares; 1 over it is another effective window in steps."""


def rows(retention: Tensor, write: Tensor) -> Rows:
    """Walks once along time. With A[t, i] = write_i prod_{j = i+1..t} retention_j and S_t = sum_i A[t, i],

        S_t = retention_t S_{t-1} + write_t       w_t = write_t / S_t      v_t = 1 - w_t = retention_t S_{t-1} / S_t
        E_t = h_b(w_t) + v_t E_{t-1}              M_t = v_t (M_{t-1} + 1)  Q_t = v_t^2 Q_{t-1} + w_t^2

    are the entropy, mean lag and sum of squares of A[t, :] / S_t; h_b is the entropy of (w, 1 - w). For the RWA and the
    RDA S = 1, and for all others the division puts them on the same footing.

    Args:
        retention, write: (batch, time, units), as in a trace.
    """
    total = recurrence(retention, write)
    before = torch.cat([torch.zeros_like(total[:, :1]), total[:, :-1]], dim=1)
    held = torch.where(total > 0, total, 1.0)
    w, v = write / held, retention * before / held
    lost = ~(total > 0)
    w, v = w.masked_fill(lost, 0.0), v.masked_fill(lost, 0.0)
    # xlogy(0, 0) is 0.
    h = -torch.xlogy(w, w) - torch.xlogy(v, v)
    walked = recurrence(torch.stack([v, v, v * v], dim=-1), torch.stack([h, v, w * w], dim=-1))
    entropy, lag, simpson = walked.masked_fill(lost.unsqueeze(-1), torch.nan).unbind(-1)
    return Rows(entropy=entropy, lag=lag, simpson=simpson)


def recurrence(factor: Tensor, term: Tensor) -> Tensor:
    """y_t = factor_t y_{t-1} + term_t along dimension 1, from y = 0 before the first step."""
    factors, terms = factor.transpose(0, 1).contiguous(), term.transpose(0, 1).contiguous()
    y = torch.empty_like(terms)
    y[0] = terms[0]
    for t in range(1, len(terms)):
        torch.addcmul(terms[t], factors[t], y[t - 1], out=y[t])
    return y.transpose(0, 1)


def bins(count: int, most: int, *, log: bool = False, start: int = 0) -> list[slice]:
    """Neighbouring places `start` .. count - 1, cut into at most so many bins of equal width; none is empty.

    Args:
        count: places.
        most: bins.
        log: whether the widths are equal on a logarithmic axis, on which the places count from 1.
        start: the first place.
    """
    if log:
        edges = np.geomspace(start + 1, count + 1, most + 1) - 1
    else:
        edges = np.linspace(start, count, min(most, count - start) + 1)
    cuts = np.unique(np.clip(np.round(edges).astype(int), start, count))
    return [slice(int(a), int(b)) for a, b in pairwise(cuts)]


def means(values: Tensor, parts: list[slice], dim: int = 1) -> Tensor:
    """The mean in each bin along a dimension; NaN is left out, and what remains where a bin has nothing else."""
    return torch.stack([values.narrow(dim, part.start, part.stop - part.start).nanmean(dim) for part in parts], dim)


def centres(parts: list[slice], first: float = 1.0) -> np.ndarray:
    """The middle of each bin, places being counted from `first`."""
    return np.array([first + (part.start + part.stop - 1) / 2 for part in parts])


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """An episode: `items` steps that show something, `gap` steps, a mark that calls for it, `items` steps to recall."""

    items: int
    gap: int

    @property
    def steps(self) -> int:
        """Of an episode."""
        return 2 * self.items + self.gap + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Episodes:
    """What is held of an episode, sequence by sequence. `late` are the later half of those that another follows."""

    held: np.ndarray
    """(batch, 2 steps): share of the influence that an episode's symbols have, from its first step to the last step of
    the next episode; mean over late episodes and units."""
    earlier: np.ndarray
    """(batch, units, steps): share of the influence that all earlier episodes have, by step of an episode."""
    shown: np.ndarray
    """(batch, units): influence of an episode's symbols after the last of them; mean over late episodes."""
    used: np.ndarray
    """(batch, units): the same after its last step of recall."""
    left: np.ndarray
    """(batch, units): the same at the next mark."""
    needed: np.ndarray
    """(batch, units): `used`, times the share kept from `shown` to `used`."""
    by_episode: np.ndarray
    """(batch, episodes, 2): `used` and `left` of every episode that another follows, summed over units."""


def episodes(retention: Tensor, write: Tensor, layout: Layout) -> Episodes:
    """Follows the influence of each episode's symbols to the end of the next episode.

    m_n(t) = sum over the symbols' steps i of A[t, i], the influence of `architectures.trace.influence`. From the last
    symbol to the last step of recall, and from there to the next mark, it is multiplied by the retentions alone; both
    spans have items + gap + 1 steps. A unit that forgets at a steady rate, be it fast or slow, keeps the same share
    over both; one that forgets on purpose keeps over the first and drops over the second.

    Args:
        retention, write: (batch, time, units), as in a trace, of whole episodes.
        layout: of an episode.

    Raises:
        ValueError: if there are fewer than two episodes.
    """
    batch, time, units = retention.shape
    steps = layout.steps
    count = time // steps
    if count < 2 or time % steps:
        raise ValueError(f"{time} steps are not two or more episodes of {steps} steps")
    total = recurrence(retention, write).reshape(batch, count, steps, units)
    keep, new = (each.reshape(batch, count, steps, units) for each in (retention, write))
    pairs = [torch.cat([each[:, :-1], each[:, 1:]], dim=2).flatten(0, 1) for each in (keep, new)]
    pairs[1] = pairs[1].clone()
    pairs[1][:, layout.items :] = 0
    m = recurrence(*pairs).reshape(batch, count - 1, 2 * steps, units)
    both = torch.cat([total[:, :-1], total[:, 1:]], dim=2)
    late = (count - 1) // 2
    before, share = total[:, :-1, -1:] * keep[:, 1:].cumprod(2), total[:, 1:]
    shown, used = m[:, :, layout.items - 1], m[:, :, steps - 1]
    left = m[:, :, steps + layout.items + layout.gap]
    needed = used * torch.where(shown > 0, used / shown, 0.0)
    return Episodes(
        held=_share(m[:, late:], both[:, late:]).nanmean((1, 3)).numpy(force=True),
        earlier=_share(before[:, late:], share[:, late:]).nanmean(1).transpose(1, 2).numpy(force=True),
        shown=shown[:, late:].mean(1).numpy(force=True),
        used=used[:, late:].mean(1).numpy(force=True),
        left=left[:, late:].mean(1).numpy(force=True),
        needed=needed[:, late:].mean(1).numpy(force=True),
        by_episode=torch.stack([used.sum(2), left.sum(2)], dim=2).numpy(force=True),
    )


def dropped(values: np.ndarray) -> np.ndarray:
    """(samples, units, [left, used]) -> the share of what was held after recall that is gone at the next mark."""
    left, used = np.nansum(values[..., 0], axis=1), np.nansum(values[..., 1], axis=1)
    return safe_divide(used - left, used)


def margin(values: np.ndarray) -> np.ndarray:
    """(samples, units, [needed - left, used]) -> the share kept while it was needed, less that kept after; rounded to
    what single precision tells from 0."""
    above, below = np.nansum(values[..., 0], axis=1), np.nansum(values[..., 1], axis=1)
    return np.asarray(np.round(safe_divide(above, below), 6) + 0.0)


def _share(part: Tensor, whole: Tensor) -> Tensor:
    return part / whole.where(whole > 0, torch.nan)

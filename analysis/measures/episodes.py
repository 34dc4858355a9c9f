"""Whether what was used is dropped: retention aligned on episodes that each remember, recall, and are over."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from analysis.measures.divided import divided
from analysis.measures.influence_rows import recurrence


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
    return divided(used - left, used)


def margin(values: np.ndarray) -> np.ndarray:
    """(samples, units, [needed - left, used]) -> the share kept while it was needed, less that kept after; rounded to
    what single precision tells from 0."""
    above, below = np.nansum(values[..., 0], axis=1), np.nansum(values[..., 1], axis=1)
    return np.asarray(np.round(divided(above, below), 6) + 0.0)


def _share(part: Tensor, whole: Tensor) -> Tensor:
    return part / whole.where(whole > 0, torch.nan)

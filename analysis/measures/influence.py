"""Influence of past steps on what a gated unit holds: entropy, mean lag and effective windows; influence of episodes.

The influence of step i at step t is A[t, i] = write_i prod_{j = i+1..t} retention_j. Everything here follows from
linear recurrences over time, without a T x T matrix.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from analysis.statistics import safe_divide


@dataclass(frozen=True, slots=True, kw_only=True)
class InfluenceStatistics:
    """Statistics of the influence of all steps up to each step, divided by its sum.

    Each is (batch, time, units), with NaN where a unit holds nothing.
    """

    entropy: Tensor
    """In nats; its exponential is an effective window in steps."""
    lag: Tensor
    """Mean lag in steps."""
    simpson: Tensor
    """Sum of squares; its inverse is another effective window in steps."""


def influence_statistics(retention: Tensor, write: Tensor) -> InfluenceStatistics:
    """Computes entropy, mean lag and sum of squares of A[t, :] / S_t for every step t in one pass over time.

    With A[t, i] = write_i prod_{j = i+1..t} retention_j, S_t = sum_i A[t, i] and the entropy h_b of (w, 1 - w),

        S_t = retention_t S_{t-1} + write_t       w_t = write_t / S_t      v_t = 1 - w_t = retention_t S_{t-1} / S_t
        E_t = h_b(w_t) + v_t E_{t-1}              M_t = v_t (M_{t-1} + 1)  Q_t = v_t^2 Q_{t-1} + w_t^2

    are the entropy, the mean lag and the sum of squares. For the RWA and the RDA S = 1; for all others the division
    makes them comparable.

    Args:
        retention: (batch, time, units), as in a trace.
        write: the same shape, as in a trace.
    """
    total = linear_recurrence(retention, write)
    before = torch.cat([torch.zeros_like(total[:, :1]), total[:, :-1]], dim=1)
    empty = ~(total > 0)
    divisor = total.masked_fill(empty, 1.0)
    w, v = (write / divisor).masked_fill(empty, 0.0), (retention * before / divisor).masked_fill(empty, 0.0)
    # xlogy(0, 0) is 0.
    h = -torch.xlogy(w, w) - torch.xlogy(v, v)
    statistics = linear_recurrence(torch.stack([v, v, v * v], dim=-1), torch.stack([h, v, w * w], dim=-1))
    entropy, lag, simpson = statistics.masked_fill(empty.unsqueeze(-1), torch.nan).unbind(-1)
    return InfluenceStatistics(entropy=entropy, lag=lag, simpson=simpson)


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeLayout:
    """Layout of an episode: `items` symbols, `gap` steps, a mark that calls for them, `items` steps of recall."""

    items: int
    gap: int

    @property
    def steps(self) -> int:
        """Steps of an episode."""
        return 2 * self.items + self.gap + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeInfluence:
    """Influence of past episodes, sequence by sequence.

    Only episodes that another follows are measured. The later half of these are the late episodes.
    """

    held_share: np.ndarray
    """(batch, 2 steps): share of the influence that an episode's symbols have, from its first step to the last step of
    the next episode; mean over late episodes and units."""
    earlier_share: np.ndarray
    """(batch, units, steps): share of the influence that all earlier episodes have, by step of an episode; mean over
    late episodes."""
    after_input: np.ndarray
    """(batch, units): influence of an episode's symbols after the last of them; mean over late episodes."""
    after_recall: np.ndarray
    """(batch, units): the same after the episode's last step of recall."""
    at_next_mark: np.ndarray
    """(batch, units): the same at the mark of the next episode."""
    expected_at_next_mark: np.ndarray
    """(batch, units): the same at the next mark if a unit forgot at the rate that it has before: `after_recall` times
    the share that is kept from `after_input` to `after_recall`."""
    by_episode: np.ndarray
    """(batch, episodes, 2): `after_recall` and `at_next_mark` of every episode, late or not, summed over units."""


def episode_influence(retention: Tensor, write: Tensor, layout: EpisodeLayout) -> EpisodeInfluence:
    """Follows the influence of each episode's symbols to the end of the next episode.

    m_n(t) = sum over the symbols' steps i of A[t, i], the influence of `architectures.trace.influence`. From the last
    symbol to the last step of recall, and from there to the next mark, it is multiplied by the retentions alone; both
    spans have items + gap + 1 steps. A unit that forgets at a steady rate, fast or slow, keeps the same share over
    both; one that forgets on purpose keeps more over the first and drops more over the second.

    Args:
        retention: (batch, time, units), as in a trace, of whole episodes.
        write: the same shape, as in a trace.
        layout: of an episode.

    Raises:
        ValueError: if there are fewer than two episodes.
    """
    batch, time, units = retention.shape
    steps = layout.steps
    count = time // steps
    if count < 2 or time % steps:
        raise ValueError(f"{time} steps are not two or more episodes of {steps} steps")
    total = linear_recurrence(retention, write).reshape(batch, count, steps, units)
    keep, new = (values.reshape(batch, count, steps, units) for values in (retention, write))
    keep_pairs, new_pairs = (torch.cat([v[:, :-1], v[:, 1:]], dim=2).flatten(0, 1) for v in (keep, new))
    # Of what an episode and the next one write, only the first symbols count.
    new_pairs = new_pairs.clone()
    new_pairs[:, layout.items :] = 0
    m = linear_recurrence(keep_pairs, new_pairs).reshape(batch, count - 1, 2 * steps, units)
    total_pairs = torch.cat([total[:, :-1], total[:, 1:]], dim=2)
    late = (count - 1) // 2
    of_earlier = total[:, :-1, -1:] * keep[:, 1:].cumprod(2)
    after_input, after_recall = m[:, :, layout.items - 1], m[:, :, steps - 1]
    at_next_mark = m[:, :, steps + layout.items + layout.gap]
    expected = after_recall * torch.where(after_input > 0, after_recall / after_input, 0.0)
    return EpisodeInfluence(
        held_share=_share(m[:, late:], total_pairs[:, late:]).nanmean((1, 3)).numpy(force=True),
        earlier_share=_share(of_earlier[:, late:], total[:, 1 + late :]).nanmean(1).transpose(1, 2).numpy(force=True),
        after_input=after_input[:, late:].mean(1).numpy(force=True),
        after_recall=after_recall[:, late:].mean(1).numpy(force=True),
        at_next_mark=at_next_mark[:, late:].mean(1).numpy(force=True),
        expected_at_next_mark=expected[:, late:].mean(1).numpy(force=True),
        by_episode=torch.stack([after_recall.sum(2), at_next_mark.sum(2)], dim=2).numpy(force=True),
    )


def dropped_share(values: np.ndarray) -> np.ndarray:
    """Returns the share of what was held after recall that is gone at the next mark.

    Args:
        values: (samples, units, 2), `at_next_mark` and `after_recall` of `EpisodeInfluence`.

    Returns:
        (samples,).
    """
    at_next_mark, after_recall = np.nansum(values[..., 0], axis=1), np.nansum(values[..., 1], axis=1)
    return safe_divide(after_recall - at_next_mark, after_recall)


def forgetting_margin(values: np.ndarray) -> np.ndarray:
    """Returns the share kept until recall less the share kept from there to the next mark; 0 for steady forgetting.

    Args:
        values: (samples, units, 2), `expected_at_next_mark` less `at_next_mark`, and `after_recall`.

    Returns:
        (samples,), rounded to six digits: single precision cannot tell smaller margins from 0.
    """
    excess, after_recall = np.nansum(values[..., 0], axis=1), np.nansum(values[..., 1], axis=1)
    return np.asarray(np.round(safe_divide(excess, after_recall), 6) + 0.0)


def linear_recurrence(factor: Tensor, term: Tensor) -> Tensor:
    """Returns y_t = factor_t y_{t-1} + term_t along dimension 1, from y = 0 before the first step."""
    factors, terms = factor.transpose(0, 1).contiguous(), term.transpose(0, 1).contiguous()
    y = torch.empty_like(terms)
    y[0] = terms[0]
    for t in range(1, len(terms)):
        torch.addcmul(terms[t], factors[t], y[t - 1], out=y[t])
    return y.transpose(0, 1)


def bins(count: int, most: int, *, log: bool = False, start: int = 0) -> list[slice]:
    """Cuts the places `start` .. count - 1 into bins of equal width, none of them empty.

    Args:
        count: places.
        most: bins, at most.
        log: whether the widths are equal on a logarithmic axis, on which the places count from 1.
        start: the first place.
    """
    if log:
        edges = np.geomspace(start + 1, count + 1, most + 1) - 1
    else:
        edges = np.linspace(start, count, min(most, count - start) + 1)
    cuts = np.unique(np.clip(np.round(edges).astype(int), start, count))
    return [slice(int(a), int(b)) for a, b in pairwise(cuts)]


def bin_means(values: Tensor, parts: list[slice], dim: int = 1) -> Tensor:
    """Returns the mean of each bin along a dimension without NaN; NaN for a bin that has no other value."""
    return torch.stack([values.narrow(dim, part.start, part.stop - part.start).nanmean(dim) for part in parts], dim)


def bin_centres(parts: list[slice], first: float = 1.0) -> np.ndarray:
    """Returns the middle of each bin, with places counted from `first`."""
    return np.array([first + (part.start + part.stop - 1) / 2 for part in parts])


def _share(part: Tensor, whole: Tensor) -> Tensor:
    return part / whole.where(whole > 0, torch.nan)

"""Gated linear attention in chunks: a matrix of state that is kept, written and read at every step.

    S_t = f_t S_{t-1} + i_t k_t v_t^T        y_t = S_t^T q_t

Linear attention, RetNet, Mamba-2 and the mLSTM are all of this form, each with its own f, i and normaliser. Within a
chunk the steps are products of matrices, and the state goes from chunk to chunk: the chunkwise form of Hua et al. 2022
(arXiv 2202.10447) and Yang et al. 2024 (arXiv 2312.06635, section 4.1). With F the sum of log f within the chunk,
the present step included,

    y_t = sum_{s <= t} (q_t . k_s) e^{F_t - F_s} i_s v_s + e^{F_t} S^T q_t
    S <- e^{F_C} S + sum_s e^{F_C - F_s} i_s k_s v_s^T

Exponents are differences, formed and masked before any exponential is taken: e^{F_t} e^{-F_s} would overflow.

A sum of keys, z_t = f_t z_{t-1} + i_t k_t, is the state of one more component of every value that is 1 throughout: its
reading q . z is the denominator of the averages.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from architectures.kernels.autograd import INITIAL_LOG_DENOMINATOR

CHUNK = 32
"""Steps of a chunk."""
SMALL_CHUNK = 16
"""The same for small keys, where the products of a chunk cost more than they bring."""
LARGE_KEY = 32
"""Components from which on a key is none of the small ones."""
MAX_EXPONENT = 80.0
"""Largest exponent that is taken: e^88 is infinite in single precision, and has a gradient that is none."""
DENOMINATOR_EPSILON = 1e-6
"""Added to a denominator."""


class Read(NamedTuple):
    """What is read from the state at every step, and the state after the last one."""

    y: Tensor
    """(batch, time, heads, size of a value)."""
    S: Tensor
    """(batch, heads, size of a key, size of a value)."""


class StabilisedRead(NamedTuple):
    """The same where weights are logarithms, relative to their running maximum m."""

    y: Tensor
    S: Tensor
    """The state times e^{-m}."""
    m: Tensor
    """(batch, heads): the maximum after the last step."""
    all_m: Tensor
    """(batch, time, heads): the maximum after every step."""


def gated_linear_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    log_f: Tensor | None,
    start: Tensor | None = None,
    write: Tensor | None = None,
) -> Read:
    """Computes S_t = f_t S_{t-1} + i_t k_t v_t^T and y_t = S_t^T q_t.

    Args:
        q: queries, (batch, time, heads or 1, size of a key).
        k: keys, of the same shape.
        v: values, (batch, time, heads, size of a value).
        log_f: logarithm of f, (batch, time, heads), or (heads,) where it is constant; `None` is 0.
        start: S before the first step; `None` is 0.
        write: i, (batch, time, heads), where there is an f; `None` is 1.

    Raises:
        ValueError: if there is an i without an f.
    """
    if write is not None and log_f is None:
        raise ValueError("what is written can only have a weight where there is an f")
    time, steps = v.shape[1], chunk_length(v.shape[1], k.shape[3])
    queries, keys, values = (by_chunks(x, steps) for x in (q, k, v))
    S = _zeros(k, v) if start is None else start
    scores = queries @ keys.transpose(-1, -2)
    if log_f is None:
        before, S = _carry(keys.transpose(-1, -2) @ values, None, S)
        return Read(by_steps(scores.tril() @ values + queries @ before, time), S)
    F = by_chunks(log_f.expand(1, time, -1) if log_f.ndim == 1 else log_f, steps).cumsum(-1)
    weights, left = decay(F).exp(), (F[..., -1:] - F).exp()
    if write is not None:
        # Every score and every key has a factor, rather than every value: those are fewer numbers.
        written = by_chunks(write, steps)
        weights, left = weights * written.unsqueeze(-2), left * written
    before, S = _carry((keys * left.unsqueeze(-1)).transpose(-1, -2) @ values, F[..., -1].exp(), S)
    y = (scores * weights) @ values + (queries * F.exp().unsqueeze(-1)) @ before
    return Read(by_steps(y, time), S)


def linear_attention(q: Tensor, k: Tensor, v: Tensor, start: Tensor | None = None) -> Read:
    """Computes the average y_t = sum_s (q_t . k_s) v_s / sum_s q_t . k_s over s <= t; keys and queries are positive.

    Arguments and S as in `gated_linear_attention`, where S has one more column, the sum of the keys.
    """
    y, S = gated_linear_attention(q, k, _with_ones(v), None, start)
    return Read(y[..., :-1] / (y[..., -1:] + DENOMINATOR_EPSILON), S)


def stabilised_linear_attention(
    q: Tensor, k: Tensor, v: Tensor, log_f: Tensor, log_i: Tensor, start: tuple[Tensor, Tensor] | None = None
) -> StabilisedRead:
    """Computes the mLSTM's average, whose weights are exponentials and may have either sign.

        y_t = S_t^T q_t / max(|z_t . q_t|, 1)        S_t = f_t S_{t-1} + i_t k_t v_t^T , z_t = f_t z_{t-1} + i_t k_t

    with S and z relative to m_t = max(log f_t + m_{t-1}, log i_t), so that the 1 becomes e^{-m}. m takes no part in the
    derivative, for it cancels.

    Source: Beck et al. 2024, arXiv 2405.04517, equations 19 to 27 and appendix A.

    Args:
        q: queries, (batch, time, heads, size of a key).
        k: keys, of the same shape.
        v: values, (batch, time, heads, size of a value).
        log_f: logarithm of f, (batch, time, heads).
        log_i: logarithm of i, (batch, time, heads).
        start: S with z as its last column, and m, before the first step.
    """
    v = _with_ones(v)
    if start is None:
        S, m = _zeros(k, v), log_i.new_full((v.shape[0], v.shape[2]), INITIAL_LOG_DENOMINATOR)
    else:
        S, m = start
    time, steps = v.shape[1], chunk_length(v.shape[1], k.shape[3])
    queries, keys, values = (by_chunks(x, steps) for x in (q, k, v))
    F, a = by_chunks(log_f, steps).cumsum(-1), by_chunks(log_i, steps, INITIAL_LOG_DENOMINATOR)
    with torch.no_grad():
        before_m, all_m, m = _running_maximum(F, a, m)
    after_m = all_m[..., -1]
    weights = (decay(F) + (a.unsqueeze(-2) - all_m.unsqueeze(-1))).exp()
    kept = (before_m.unsqueeze(-1) + F - all_m).exp().unsqueeze(-1)
    written = (F[..., -1:] - F + a - after_m.unsqueeze(-1)).exp().unsqueeze(-1) * values
    carry = (F[..., -1] + before_m - after_m).exp()
    before, S = _carry(keys.transpose(-1, -2) @ written, carry, S)
    y = by_steps((queries @ keys.transpose(-1, -2) * weights) @ values + (queries * kept) @ before, time)
    all_m = by_steps(all_m, time)
    one = (-all_m).clamp_max(MAX_EXPONENT).exp().unsqueeze(3)
    return StabilisedRead(y[..., :-1] / (torch.maximum(y[..., -1:].abs(), one) + DENOMINATOR_EPSILON), S, m, all_m)


def chunk_length(time: int, size: int) -> int:
    """Returns the steps of a chunk, for keys of that size: no more than there are."""
    return min(time, CHUNK if size >= LARGE_KEY else SMALL_CHUNK)


def by_chunks(x: Tensor, steps: int, filler: float = 0.0) -> Tensor:
    """(batch, time, heads, ...) -> (batch, chunks, heads, steps, ...), contiguous; the last chunk is filled up.

    With zeros nothing is written after the last step, and with a log f of 0 all is kept.
    """
    missing = -x.shape[1] % steps
    if missing:
        x = pad(x, (*[0] * (2 * (x.ndim - 2)), 0, missing), value=filler)
    chunks: Tensor = x.unflatten(1, (-1, steps)).transpose(2, 3).contiguous()
    return chunks


def by_steps(x: Tensor, time: int) -> Tensor:
    """(batch, chunks, heads, steps, ...) -> (batch, time, heads, ...), without what the last chunk was filled with."""
    steps: Tensor = x.transpose(2, 3).flatten(1, 2)[:, :time]
    return steps


def decay(F: Tensor) -> Tensor:
    """Returns F_t - F_s for s <= t, else -inf: (..., steps, steps)."""
    later = torch.ones(F.shape[-1], F.shape[-1], dtype=torch.bool, device=F.device).triu(1)
    return (F.unsqueeze(-1) - F.unsqueeze(-2)).masked_fill(later, -torch.inf)


def _carry(written: Tensor, kept: Tensor | None, S: Tensor) -> tuple[Tensor, Tensor]:
    """Takes the state from chunk to chunk.

    Args:
        written: what every chunk adds, (batch, chunks, heads, size, size).
        kept: the share that every chunk keeps, (batch or 1, chunks or 1, heads); `None` is 1.
        S: before the first chunk, (batch, heads, size, size).

    Returns:
        The state before every chunk, of the shape of `written`, and that after the last one.
    """
    before = []
    shares = None if kept is None else kept.expand(-1, written.shape[1], -1).unsqueeze(-1).unsqueeze(-1).unbind(1)
    for index, new in enumerate(written.unbind(1)):
        before.append(S)
        S = S + new if shares is None else torch.addcmul(new, shares[index], S)
    return torch.stack(before, dim=1), S


def _running_maximum(F: Tensor, a: Tensor, m: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Returns m before every chunk, (batch, chunks, heads), after every step, and after the last one.

    Args:
        F: sums of log f within chunks, (batch, chunks, heads, steps).
        a: log i, of the same shape.
        m: before the first chunk, (batch, heads).
    """
    # Without the carried one.
    own = (a - F).cummax(-1).values
    before = []
    for last, largest in zip(F[..., -1].unbind(1), own[..., -1].unbind(1), strict=True):
        before.append(m)
        m = last + torch.maximum(largest, m)
    before_m = torch.stack(before, dim=1)
    return before_m, F + torch.maximum(own, before_m.unsqueeze(-1)), m


def _zeros(k: Tensor, v: Tensor) -> Tensor:
    return v.new_zeros(v.shape[0], v.shape[2], k.shape[3], v.shape[3])


def _with_ones(v: Tensor) -> Tensor:
    return pad(v, (0, 1), value=1.0)

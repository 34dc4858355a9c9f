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

CHUNK = 64
"""Steps of a chunk."""
SMALL_CHUNK = 32
"""The same for keys of fewer than 32 components, where the products of a chunk cost more than they bring."""
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


def gated_linear_attention(q: Tensor, k: Tensor, v: Tensor, log_f: Tensor | None, start: Tensor | None = None) -> Read:
    """Computes S_t = f_t S_{t-1} + k_t v_t^T and y_t = S_t^T q_t.

    Args:
        q: queries, (batch, time, heads or 1, size of a key).
        k: keys, of the same shape.
        v: values, (batch, time, heads, size of a value).
        log_f: logarithm of f, (batch, time, heads), or (heads,) where it is constant; `None` is 0.
        start: S before the first step; `None` is 0.
    """
    S = _zeros(k, v) if start is None else start
    outputs = []
    for part, steps in split_steps(v.shape[1], k.shape[3]):
        qs, ks, vs = (by_chunks(x[:, part], steps) for x in (q, k, v))
        F = _summed(log_f, part, steps)
        if F is None:
            weights, kept, written = torch.ones(steps, steps, dtype=v.dtype, device=v.device).tril(), None, vs
        else:
            weights = decay(F).exp()
            kept, last = F.exp().unsqueeze(-1), F[..., -1:]
            written = (last - F).exp().unsqueeze(-1) * vs
        scores = qs @ ks.transpose(-1, -2) * weights
        carry = None if F is None else F[..., -1].exp()
        before, S = _carry(ks.transpose(-1, -2) @ written, carry, S)
        outputs.append(by_steps(scores @ vs + (qs if kept is None else qs * kept) @ before))
    return Read(torch.cat(outputs, dim=1) if len(outputs) > 1 else outputs[0], S)


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
    outputs, maxima = [], []
    for part, steps in split_steps(v.shape[1], k.shape[3]):
        qs, ks, vs = (by_chunks(x[:, part], steps) for x in (q, k, v))
        F, a = _summed(log_f, part, steps), by_chunks(log_i[:, part], steps)
        assert F is not None
        with torch.no_grad():
            before_m, all_m, m = _running_maximum(F, a, m)
        weights = (decay(F) + a.unsqueeze(-2) - all_m.unsqueeze(-1)).exp()
        scores = qs @ ks.transpose(-1, -2) * weights
        kept = (before_m.unsqueeze(-1) + F - all_m).exp().unsqueeze(-1)
        after_m = all_m[..., -1]
        written = (F[..., -1:] - F + a - after_m.unsqueeze(-1)).exp().unsqueeze(-1) * vs
        carry = (F[..., -1] + before_m - after_m).exp()
        before, S = _carry(ks.transpose(-1, -2) @ written, carry, S)
        outputs.append(by_steps(scores @ vs + (qs * kept) @ before))
        maxima.append(by_steps(all_m))
    y, all_m = torch.cat(outputs, dim=1), torch.cat(maxima, dim=1)
    one = (-all_m).clamp_max(MAX_EXPONENT).exp().unsqueeze(3)
    return StabilisedRead(y[..., :-1] / (torch.maximum(y[..., -1:].abs(), one) + DENOMINATOR_EPSILON), S, m, all_m)


def split_steps(time: int, size: int) -> list[tuple[slice, int]]:
    """Returns the steps that fill chunks and the length of these, then what is left, one chunk of its own."""
    steps = CHUNK if size >= SMALL_CHUNK else SMALL_CHUNK
    full = time - time % steps
    parts = [(slice(0, full), steps)] if full else []
    return [*parts, (slice(full, time), time - full)] if full < time else parts


def by_chunks(x: Tensor, steps: int) -> Tensor:
    """(batch, time, heads, ...) -> (batch, chunks, heads, steps, ...)."""
    chunks: Tensor = x.unflatten(1, (-1, steps)).transpose(2, 3)
    return chunks


def by_steps(x: Tensor) -> Tensor:
    """(batch, chunks, heads, steps, ...) -> (batch, time, heads, ...)."""
    steps: Tensor = x.transpose(2, 3).flatten(1, 2)
    return steps


def _summed(log_f: Tensor | None, part: slice, steps: int) -> Tensor | None:
    """Returns F, the sums within chunks: (batch or 1, chunks or 1, heads, steps)."""
    if log_f is None:
        return None
    if log_f.ndim == 1:
        return log_f.view(1, 1, -1, 1) * torch.arange(1, steps + 1, dtype=log_f.dtype, device=log_f.device)
    return by_chunks(log_f[:, part], steps).cumsum(-1)


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

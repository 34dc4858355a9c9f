"""The gated delta rule in chunks: what a key had in the state is taken out before its new value is written.

    S_t = f_t (S_{t-1} - b_t k_t (k_t^T S_{t-1})) + b_t k_t v_t^T        y_t = S_t^T q_t

With b = 1 and f = 1, a key of unit length replaces its value. Within a chunk the values that are really written,
u_t = b_t (v_t - S^T k_t), depend on each other through the products of keys, which is a triangular system: with F the
sum of log f within the chunk, the present step included, and S the state before it,

    L_ts = b_t (k_t . k_s) e^{F_t - F_s}, s < t        (I + L) [U, W] = [b v, b e^F k]        u = U - W S
    y_t = e^{F_t} S^T q_t + sum_{s <= t} (q_t . k_s) e^{F_t - F_s} u_s
    S <- e^{F_C} S + sum_s e^{F_C - F_s} k_s u_s^T

Source: Yang et al. 2024, arXiv 2412.06464, section 3.3, and arXiv 2406.06484, section 3.2 (the WY representation).
"""

import torch
from torch import Tensor

from architectures.kernels.gated_linear import Read, by_chunks, by_steps, chunk_length, decay


def gated_delta_rule(q: Tensor, k: Tensor, v: Tensor, log_f: Tensor, b: Tensor, start: Tensor | None = None) -> Read:
    """Computes the gated delta rule, with S as in `gated_linear_attention`.

    Args:
        q: queries, (batch, time, heads, size of a key).
        k: keys of unit length, of the same shape.
        v: values, (batch, time, heads, size of a value).
        log_f: logarithm of f, (batch, time, heads).
        b: share of a value that is replaced, (batch, time, heads): 0 .. 1, or up to 2, where its sign turns.
        start: S before the first step; `None` is 0.
    """
    S = v.new_zeros(v.shape[0], v.shape[2], k.shape[3], v.shape[3]) if start is None else start
    time, steps = v.shape[1], chunk_length(v.shape[1], k.shape[3])
    queries, keys, values, shares = (by_chunks(x, steps) for x in (q, k, v, b))
    F = by_chunks(log_f, steps).cumsum(-1)
    weights, kept, writes = decay(F).exp(), F.exp().unsqueeze(-1), shares.unsqueeze(-1) * keys
    # Only the strict lower part is read, and ones on the diagonal.
    system = (writes @ keys.transpose(-1, -2)) * weights
    right = torch.cat([shares.unsqueeze(-1) * values, writes * kept], dim=-1)
    solved = torch.linalg.solve_triangular(system, right, upper=False, unitriangular=True)
    U, W = solved.split([values.shape[-1], keys.shape[-1]], dim=-1)
    K = (keys * (F[..., -1:] - F).exp().unsqueeze(-1)).transpose(-1, -2)
    before, written = [], []
    for U_now, W_now, K_now, kept_now in zip(*(x.unbind(1) for x in (U, W, K, kept[..., -1:, :])), strict=True):
        u = U_now - W_now @ S
        before.append(S)
        written.append(u)
        S = kept_now * S + K_now @ u
    scores = (queries @ keys.transpose(-1, -2)) * weights
    y = (queries * kept) @ torch.stack(before, dim=1) + scores @ torch.stack(written, dim=1)
    return Read(by_steps(y, time), S)

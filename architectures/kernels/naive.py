"""A reference implementation of the RWA's and the RDA's recurrence, as the papers write it.

The tests compare every fast version with it. It overflows where exp(p) does (float32: p > 88), so it is not for
training.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import softplus

from architectures.kernels.pointwise import Attention

ATTENTION_FUNCTIONS: dict[Attention, Callable[[Tensor], Tensor]] = {
    "exp": torch.exp,
    "sigmoid": torch.sigmoid,
    "softplus": softplus,
    "relu": torch.relu,
}


def naive_discounted_average(
    x: Tensor,
    weight_x: Tensor,
    bias: Tensor,
    weight_h: Tensor,
    s: Tensor,
    *,
    attention: Attention,
    hidden_tanh: bool,
) -> Tensor:
    """Computes n_t and d_t step by step, from the start (RDA paper, sections 3 and 5).

    Args:
        x: as in `architectures.kernels.discounted_average`.
        weight_x: as there; without the columns of q, gamma is 1.
        bias: as there.
        weight_h: as there.
        s: (batch, units) the initial value; h_0 = f_h(s).
        attention: f_a.
        hidden_tanh: whether f_h is tanh, or the identity.

    Returns:
        n_t / d_t, (batch, time, units); s while d_t is 0 (a relu closed since the start).
    """
    units = weight_h.shape[0]
    r, n, d = s, torch.zeros_like(s), torch.zeros_like(s)
    averages = []
    for t in range(x.shape[1]):
        h = r.tanh() if hidden_tanh else r
        from_x = x[:, t] @ weight_x + bias
        u = from_x[:, :units]
        g, p, *q = (from_x[:, units:] + h @ weight_h).split(units, dim=1)
        z = u * g.tanh()
        a = ATTENTION_FUNCTIONS[attention](p)
        gamma = q[0].sigmoid() if q else torch.ones_like(a)
        n = gamma * n + z * a
        d = gamma * d + a
        started = d > 0
        r = torch.where(started, n / torch.where(started, d, torch.ones_like(d)), s)
        averages.append(r)
    return torch.stack(averages, dim=1)

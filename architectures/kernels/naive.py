"""The RWA's and the RDA's recurrence as the papers write it: the definition that every fast version is tested by.

It overflows where exp(p) does (float32: p > 88), so it serves tests and readers, and nothing else.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import softplus

from architectures.kernels.pointwise import Attention

FUNCTIONS: dict[Attention, Callable[[Tensor], Tensor]] = {
    "exp": torch.exp,
    "sigmoid": torch.sigmoid,
    "softplus": softplus,
    "relu": torch.relu,
}


def naive_discounted_average(
    x: Tensor,
    input_weight: Tensor,
    bias: Tensor,
    recurrent_weight: Tensor,
    initial: Tensor,
    *,
    attention: Attention,
    hidden_tanh: bool,
) -> Tensor:
    """RDA paper, sections 3 and 5: n_t and d_t step by step, from the start.

    Args:
        x, input_weight, bias, recurrent_weight: as in `architectures.kernels.average`; without the columns of q, gamma
            is 1.
        initial: (batch, units) s; h_0 = f_h(s).
        attention: f_a.
        hidden_tanh: whether f_h is tanh, or the identity.

    Returns:
        n_t / d_t, (batch, time, units); s while d_t is 0 (a relu closed since the start).
    """
    units = recurrent_weight.shape[0]
    r, n, d = initial, torch.zeros_like(initial), torch.zeros_like(initial)
    averages = []
    for t in range(x.shape[1]):
        h = r.tanh() if hidden_tanh else r
        fed = x[:, t] @ input_weight + bias
        u = fed[:, :units]
        g, p, *q = (fed[:, units:] + h @ recurrent_weight).split(units, dim=1)
        z = u * g.tanh()
        a = FUNCTIONS[attention](p)
        gamma = q[0].sigmoid() if q else torch.ones_like(a)
        n = gamma * n + z * a
        d = gamma * d + a
        started = d > 0
        r = torch.where(started, n / torch.where(started, d, torch.ones_like(d)), initial)
        averages.append(r)
    return torch.stack(averages, dim=1)

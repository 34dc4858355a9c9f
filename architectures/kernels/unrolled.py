"""The recurrence of the RWA and the RDA as one PyTorch operation after another, for programs that PyTorch records.

`torch.export` and `torch.jit.trace` record the operations of a call, and can record neither a compiled kernel, of which
another machine knows nothing, nor a backward pass written by hand. The recorded program contains every step, so it is
for sequences of the recorded length. The formulas are those of `architectures.kernels.autograd`.
"""

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from architectures.kernels.pointwise import Attention, log_attention


def discounted_average(
    x: Tensor,
    weight_x: Tensor,
    bias: Tensor,
    weight_h: Tensor,
    r: Tensor,
    l: Tensor,
    *,
    attention: Attention,
    hidden_tanh: bool,
    output_tanh: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Computes `architectures.kernels.discounted_average`.

    PyTorch derives the gradient, which is NaN where a relu is closed.
    """
    units = len(weight_h)
    from_x = x @ weight_x + bias
    outputs = []
    h = r.tanh() if hidden_tanh else r
    for t in range(x.shape[1]):
        g, p, *q = (from_x[:, t, units:] + h @ weight_h).split(units, dim=1)
        alpha, m = log_attention(p, attention), l + logsigmoid(q[0]) if q else l
        delta = alpha - m
        l = torch.maximum(m, alpha) - logsigmoid(delta.abs())
        r = torch.lerp(r, from_x[:, t, :units] * g.tanh(), delta.sigmoid())
        h = r.tanh() if hidden_tanh else r
        outputs.append(h.tanh() if output_tanh else h)
    return torch.stack(outputs, dim=1), r, l

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
    # Taken apart at once: the gradient of a part that is cut out of all steps is as large as all steps.
    from_x = (x @ weight_x + bias).split([units, weight_h.shape[1]], dim=2)
    outputs = []
    h = r.tanh() if hidden_tanh else r
    for u, gates in zip(*(part.unbind(1) for part in from_x), strict=True):
        g, p, *q = (gates + h @ weight_h).split(units, dim=1)
        alpha, m = log_attention(p, attention), l + logsigmoid(q[0]) if q else l
        delta = alpha - m
        l = torch.maximum(m, alpha) - logsigmoid(delta.abs())
        r = torch.lerp(r, u * g.tanh(), delta.sigmoid())
        h = r.tanh() if hidden_tanh else r
        outputs.append(h.tanh() if output_tanh else h)
    return torch.stack(outputs, dim=1), r, l

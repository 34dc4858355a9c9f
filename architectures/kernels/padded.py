"""More units than there are, for kernels that read numbers many at a time where rows begin at round addresses."""

from collections.abc import Callable

from torch import Tensor
from torch.nn.functional import pad

MULTIPLE = 16
"""Of units: what Triton looks at to know how rows are aligned."""


def padded(work: Callable[..., tuple[Tensor, ...]], *operands: Tensor) -> tuple[Tensor, ...]:
    """What a recurrence comes to, computed with as many more units as make their number round.

    Their weights are 0, so their average stays 0 and no other unit ever sees them.

    Args:
        work: of operands to tensors whose last dimension are units.
        operands: x, weight_x, bias, weight_h, r and l, as `architectures.kernels.average` takes them.

    Returns:
        The same without the units that were added.
    """
    x, weight_x, bias, weight_h, r, l = operands
    units = r.shape[1]
    more = -units % MULTIPLE
    if not more:
        return work(*operands)
    gates, wider = weight_h.shape[1] // units, (0, more)
    found = work(
        x,
        pad(weight_x.unflatten(1, (1 + gates, units)), wider).flatten(1),
        pad(bias.unflatten(0, (1 + gates, units)), wider).flatten(),
        pad(weight_h.unflatten(1, (gates, units)), (*wider, 0, 0, 0, more)).flatten(1),
        pad(r, wider),
        pad(l, wider),
    )
    return tuple(each[..., :units] for each in found)

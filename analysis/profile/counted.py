"""Multiply-adds of an architecture that no formula is known for, as PyTorch counts them while it runs."""

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from analysis.profile.work import Amount, Work


def counted(module: nn.Module, x: Tensor) -> Work | None:
    """The products that PyTorch sees in one pass over one sequence, by step; `None` where it sees none.

    It does not see into operations that it has no formula for, such as fused recurrences.

    Args:
        module: whose output, or the first of its outputs, has a gradient.
        x: (1, time, input_size).
    """
    with FlopCounterMode(display=False) as forward:
        found = module(x)
    y = found[0] if isinstance(found, tuple) else found
    with FlopCounterMode(display=False) as backward:
        torch.autograd.backward(y, torch.ones_like(y))
    module.zero_grad(set_to_none=True)
    # It counts two operations to a multiply-add.
    each = [mode.get_total_flops() / 2 / x.shape[1] for mode in (forward, backward)]
    if not each[0]:
        return None
    amounts = [Amount(multiply_adds=amount, numbers=None) for amount in each]
    return Work(forward=amounts[0], backward=amounts[1])

"""Heads, among which the units of a layer are divided."""

import torch
from torch import Tensor, nn

from architectures.kernels.rms_norm import has_own_backward, rms_norm
from architectures.limits import check_width

NORM_EPSILON = 1e-5
"""Added to the mean square that a norm divides by, so that steps of zeros have gradients of a moderate size."""


def choose_heads(hidden_size: int, num_heads: int | None) -> int:
    """Returns the number of heads: by default the largest divisor of `hidden_size` up to 4, with heads of 2 units.

    Heads of a single unit would have no pair that a rotary position turns.

    Raises:
        TypeError, ValueError: if the number is no whole one, too large, or does not divide `hidden_size`.
    """
    if num_heads is None:
        return next(heads for heads in (4, 3, 2, 1) if heads == 1 or (hidden_size % heads == 0 and hidden_size > heads))
    check_width(num_heads=num_heads)
    if hidden_size % num_heads:
        raise ValueError(f"hidden_size {hidden_size} cannot be divided among {num_heads} heads")
    return num_heads


class HeadNorm(nn.Module):
    """The root mean square norm of every head, with a weight for every unit.

    (batch, time, heads, size) -> (batch, time, units).

    What a head reads may be a sum over many steps, of any size; the norm takes that out. It is the one that RetNet's
    authors use in place of group norm, without its subtraction of a mean.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))

    def forward(self, x: Tensor) -> Tensor:
        """Returns the heads side by side, (batch, time, units), in the precision of x."""
        return rms_norm(x, self.weight.view(x.shape[-2:]), NORM_EPSILON).flatten(-2)


class RMSNorm(nn.RMSNorm):
    """PyTorch's norm, in training on a CPU by the faster way that there is."""

    def forward(self, x: Tensor) -> Tensor:
        """Returns x over its root mean square, times the weight."""
        plain = self.weight is None or len(self.normalized_shape) != 1 or x.shape[-1:] != self.weight.shape
        if plain or not has_own_backward(x, self.weight):
            return super().forward(x)
        return rms_norm(x, self.weight, torch.finfo(x.dtype).eps if self.eps is None else self.eps)

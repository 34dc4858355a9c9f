"""Matrix products by the faster of the libraries that PyTorch has for them."""

import functools

import torch
from torch import Tensor

ONEDNN_FROM = 2**21
"""Multiply-adds from which oneDNN makes up for what a call of it costs more."""


def product(a: Tensor, weight: Tensor) -> Tensor:
    """a weight^T as a new tensor, (rows, units), for a: (rows, n) and weight: (units, n); not differentiable.

    For float32 PyTorch calls MKL, which on processors of another maker takes up to twice as long as oneDNN, of which
    PyTorch's own LSTM is made.
    """
    large = a.shape[0] * a.shape[1] * weight.shape[0] >= ONEDNN_FROM
    if large and a.dtype == torch.float32 and a.device.type == "cpu" and has_onednn():
        # What PyTorch's compiler calls; oneDNN's products have no public name for tensors of the ordinary layout.
        result: Tensor = torch.ops.mkldnn._linear_pointwise.default(a, weight, None, "none", [], "")
        return result
    return a @ weight.t()


@functools.cache
def has_onednn() -> bool:
    """Whether this PyTorch has the operator that `product` calls, and it runs here."""
    try:
        one = torch.ones(1, 1)
        return bool(torch.ops.mkldnn._linear_pointwise.default(one, one, None, "none", [], "") == one)
    except (AttributeError, RuntimeError, NotImplementedError):
        return False

"""The attention functions f_a of the RDA paper (section 5.1), in the logarithm."""

from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, softplus

Attention = Literal["exp", "sigmoid", "softplus", "relu"]
ATTENTIONS: tuple[Attention, ...] = get_args(Attention)


def log_attention(p: Tensor, attention: Attention) -> Tensor:
    """alpha = log f_a(p), element by element; -inf where the relu is closed."""
    match attention:
        case "exp":
            return p
        case "sigmoid":
            return logsigmoid(p)
        case "softplus":
            # Far below zero softplus(p) is exp(p), which underflows long before p does.
            return torch.where(p < _tail(p), p, softplus(p).log())
        case "relu":
            return p.relu().log()


def log_attention_slope(p: Tensor, attention: Attention) -> Tensor | None:
    """d alpha / d p, element by element; `None` stands for 1 everywhere, 0 for a closed relu."""
    match attention:
        case "exp":
            return None
        case "sigmoid":
            return torch.sigmoid(-p)
        case "softplus":
            return torch.where(p < _tail(p), torch.ones_like(p), p.sigmoid() / softplus(p))
        case "relu":
            return torch.where(p > 0, p.clamp_min(torch.finfo(p.dtype).tiny).reciprocal(), torch.zeros_like(p))


def _tail(p: Tensor) -> float:
    """Below this, log(softplus(p)) = p to the last digit: the difference is exp(p) / 2."""
    return -36.0 if p.dtype == torch.float64 else -15.0

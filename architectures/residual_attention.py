"""What levels of attention have in common: norms, products, a feed-forward network and residual connections."""

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout

from architectures.heads import RMSNorm
from architectures.initialisation import xavier_


class ResidualAttention(nn.Module):
    """Pre-normalised attention, then a feed-forward network, each with a residual connection; who attends is open.

    Args:
        size: of the vectors.
        heads: among which queries, keys and values are divided.
        dropout: rate behind attention and feed-forward network.
        bias: whether queries, keys and values have biases. That of keys has no effect where their positions have none.
    """

    def __init__(self, size: int, heads: int, dropout: float, bias: bool = True) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.attention_norm, self.feed_norm = RMSNorm(size), RMSNorm(size)
        self.qkv = nn.Linear(size, 3 * size, bias=bias)
        self.out = nn.Linear(size, size)
        self.feed = nn.Sequential(nn.Linear(size, 4 * size), nn.GELU(), nn.Linear(4 * size, size))

    def project_qkv(self, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Returns queries, keys and values of c (batch, time, size), each (batch, time, heads, head size)."""
        q, k, v = self.qkv(self.attention_norm(c)).unflatten(2, (3, self.heads, -1)).unbind(2)
        return q, k, v

    def add_residuals(self, c: Tensor, attended: Tensor) -> Tensor:
        """Returns the output of the level.

        Args:
            c: its input, (batch, time, size).
            attended: what was read, (batch, time, heads, head size).
        """
        c = c + dropout(self.out(attended.flatten(2)), self.dropout, self.training)
        return c + dropout(self.feed(self.feed_norm(c)), self.dropout, self.training)


def init_attention_(encoder: nn.Module) -> None:
    """Fills the weights of all linear maps as Xavier has it, and their biases with zeros.

    Queries, keys and values are three maps stored as one.
    """
    for module in encoder.modules():
        if isinstance(module, nn.Linear):
            xavier_(module.weight, module.in_features, module.out_features)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    for module in encoder.modules():
        if isinstance(module, ResidualAttention):
            xavier_(module.qkv.weight, module.out.in_features, module.out.out_features)


def project_input(project: nn.Linear, norm: RMSNorm, x: Tensor) -> Tensor:
    """Returns the input of the first level, (batch, time, hidden_size).

    Under autocast, too, it has the precision of the weights, and so has everything that levels add to it.
    """
    c: Tensor = project(x)
    assert isinstance(norm.weight, torch.Tensor)
    return c.to(norm.weight.dtype)

"""Attention of a decoder to the outputs of an encoder: how well each step of the source fits the decoder's state.

    additive  e_ij = v . tanh(W s_{i-1} + U h_j)                     a_i = softmax_j(e_ij)
    dot       e_ij = s_{i-1} . W h_j                                 a_i = softmax_j(e_ij)
    local     as dot, a_ij times exp(-(j - p_i)^2 / (2 sigma^2))     p_i = (S - 1) sigmoid(v_p . tanh(W_p s_{i-1}))
    hard      as additive, but the weights are 1 at a single step, which is drawn in training, else the likeliest

Sources: additive, Bahdanau et al. 2015, arXiv 1409.0473, section 3.1 and appendix A.1.2; dot ("general") and local
("local-p"), Luong et al. 2015, arXiv 1508.04025, equations 8 to 10; hard, Xu et al. 2015, arXiv 1502.03044, section
4.1.
"""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import gumbel_softmax, one_hot

from architectures.initialisation import xavier_

Attention = Literal["none", "additive", "dot", "local", "hard"]


class Alignment(nn.Module):
    """Weights of the source's steps for one state of the decoder after another.

    Local attention has no hard border at p_i - D and p_i + D, as Luong et al. have: the Gaussian alone ends it. Hard
    attention is trained with a Gumbel sample, whose gradient is that of the softmax that it stands for, where Xu et al.
    have REINFORCE.

    Args:
        kind: of `Attention`, but none.
        size: numbers of the decoder's state s.
        source_size: numbers of an output h of the encoder.
        window: D, of which half is the local attention's sigma.
    """

    def __init__(self, kind: Attention, size: int, source_size: int, window: int) -> None:
        super().__init__()
        self.kind, self.sigma = kind, window / 2
        self.source = nn.Linear(source_size, size, bias=False)
        self.state: nn.Linear | None = None
        self.score: nn.Linear | None = None
        self.place: nn.Linear | None = None
        self.center: nn.Linear | None = None
        if kind in ("additive", "hard"):
            self.state, self.score = nn.Linear(size, size, bias=False), nn.Linear(size, 1, bias=False)
        if kind == "local":
            self.place, self.center = nn.Linear(size, size, bias=False), nn.Linear(size, 1, bias=False)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                xavier_(module.weight, module.in_features, module.out_features)

    def keys(self, outputs: Tensor) -> Tensor:
        """Returns what is the same at every step of the decoder: the product of the source's steps.

        Args:
            outputs: h, (batch, S, source_size).

        Returns:
            U h or W h, (batch, S, size).
        """
        keys: Tensor = self.source(outputs)
        return keys

    def forward(self, state: Tensor, keys: Tensor) -> Tensor:
        """Returns the weights of the source's steps, (batch, S).

        Args:
            state: s_{i-1}, (batch, size).
            keys: what `keys` returned.
        """
        if self.state is not None and self.score is not None:
            logits: Tensor = self.score((self.state(state).unsqueeze(1) + keys).tanh()).squeeze(2)
        else:
            logits = (keys @ state.to(keys.dtype).unsqueeze(2)).squeeze(2)
        if self.kind == "hard":
            return self.choose(logits)
        weights: Tensor = logits.softmax(1)
        if self.place is None or self.center is None:
            return weights
        last = keys.shape[1] - 1
        center = last * self.center(self.place(state).tanh()).sigmoid()
        steps = torch.arange(last + 1, device=keys.device, dtype=center.dtype)
        bell: Tensor = torch.exp(-(steps - center).square() / (2 * self.sigma**2))
        return weights * bell

    def choose(self, logits: Tensor) -> Tensor:
        """Returns 1 for one step of the source and 0 for the others, with the gradient of a softmax."""
        if self.training:
            return gumbel_softmax(logits, hard=True)
        soft = logits.softmax(1)
        return one_hot(logits.argmax(1), logits.shape[1]).to(soft.dtype) + soft - soft.detach()

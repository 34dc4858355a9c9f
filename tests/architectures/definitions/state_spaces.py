"""The LRU (Orvieto et al. 2023, section 3) and S4D-Lin (Gu et al. 2022, sections 3 and 4), step by step."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from tests.architectures.definitions.residual import residual_stack


def lru(parameters: Mapping[str, Tensor], x: Tensor, options: Mapping[str, Any], lengths: list[int]) -> Tensor:
    """Computes a stack of blocks with `lru_mixer`."""
    return residual_stack(lru_mixer, parameters, x, options, lengths)


def s4d(parameters: Mapping[str, Tensor], x: Tensor, options: Mapping[str, Any], lengths: list[int]) -> Tensor:
    """Computes a stack of blocks with `s4d_mixer`."""
    return residual_stack(s4d_mixer, parameters, x, options, lengths)


def lru_mixer(mixer: Mapping[str, Tensor], u: Tensor, options: Mapping[str, Any]) -> Tensor:
    """x = lambda x + gamma B u; v = Re(C x) + D u."""
    lam = torch.exp(torch.complex(-mixer["nu"].exp(), mixer["theta"].exp()))
    B = torch.complex(*mixer["read.weight"].chunk(2))
    C_re, minus_C_im = mixer["write.weight"].chunk(2, dim=1)
    C = torch.complex(C_re, -minus_C_im)
    state, outputs = torch.zeros(len(u), len(lam), dtype=lam.dtype), []
    for t in range(u.shape[1]):
        state = lam * state + mixer["log_gamma"].exp() * (u[:, t].to(B.dtype) @ B.T)
        outputs.append((state @ C.T).real + mixer["skip"] * u[:, t])
    return mix(mixer, torch.stack(outputs, dim=1))


def s4d_mixer(mixer: Mapping[str, Tensor], u: Tensor, options: Mapping[str, Any]) -> Tensor:
    """x = A' x + B' u for every feature; v = 2 Re(C x) + D u."""
    A = torch.complex(-mixer["log_rate"].exp(), mixer["frequency"])
    A_bar = torch.exp(A * mixer["log_step"].exp().unsqueeze(1))
    B_bar, C = (A_bar - 1) / A, torch.complex(*mixer["write"].chunk(2, dim=1))
    state, outputs = torch.zeros(len(u), *A.shape, dtype=A.dtype), []
    for t in range(u.shape[1]):
        state = A_bar * state + B_bar * u[:, t].unsqueeze(2)
        outputs.append(2 * (C * state).sum(2).real + mixer["skip"] * u[:, t])
    return mix(mixer, torch.stack(outputs, dim=1))


def mix(mixer: Mapping[str, Tensor], v: Tensor) -> Tensor:
    """Returns a sigmoid(g) of the map of gelu(v) to [a, g]."""
    v = 0.5 * v * (1 + torch.erf(v / math.sqrt(2)))
    a, g = (v @ mixer["mix.weight"].T + mixer["mix.bias"]).chunk(2, dim=2)
    return a * g.sigmoid()

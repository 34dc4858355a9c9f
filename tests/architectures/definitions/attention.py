"""The Transformer and the forgetting transformer, one query, key and head at a time."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from tests.architectures.definitions.han import rotate
from tests.architectures.definitions.residual import head_count, residual_stack, split_heads


def transformer(parameters: Mapping[str, Tensor], x: Tensor, options: Mapping[str, Any], lengths: list[int]) -> Tensor:
    """Attention to the last `window` steps; queries and keys turned by their positions (Vaswani et al. 2017, eq. 1)."""
    return residual_stack(rotary_attention, parameters, x, options, lengths)


def fox(parameters: Mapping[str, Tensor], x: Tensor, options: Mapping[str, Any], lengths: list[int]) -> Tensor:
    """Attention to all steps so far, each less the logarithms of the gates behind it (Lin et al. 2025, eq. 5 to 9)."""
    return residual_stack(forgetting_attention, parameters, x, options, lengths)


def rotary_attention(parameters: Mapping[str, Tensor], x: Tensor, options: Mapping[str, Any]) -> Tensor:
    window = options.get("window") or x.shape[1]
    heads = []
    for q, k, v in qkv_heads(parameters, x, head_count(options)):
        turned_q, turned_k = ([rotate(part[:, t], t) for t in range(x.shape[1])] for part in (q, k))
        steps = []
        for t in range(x.shape[1]):
            seen = range(max(0, t - window + 1), t + 1)
            logits = [(turned_q[t] * turned_k[i]).sum(1) / math.sqrt(q.shape[2]) for i in seen]
            steps.append(softmax_average(logits, [v[:, i] for i in seen]))
        heads.append(torch.stack(steps, dim=1))
    return torch.cat(heads, dim=2) @ parameters["out.weight"].T


def forgetting_attention(parameters: Mapping[str, Tensor], x: Tensor, options: Mapping[str, Any]) -> Tensor:
    heads = []
    gates = torch.sigmoid(x @ parameters["gate.weight"].T + parameters["gate.bias"])
    for n, (q, k, v) in enumerate(qkv_heads(parameters, x, head_count(options))):
        steps = []
        for t in range(x.shape[1]):
            logits, decay = [], x.new_zeros(x.shape[0])
            for i in range(t, -1, -1):
                logits.append((q[:, t] * k[:, i]).sum(1) / math.sqrt(q.shape[2]) + decay)
                decay = decay + gates[:, i, n].log()
            steps.append(softmax_average(logits, [v[:, i] for i in range(t, -1, -1)]))
        heads.append(torch.stack(steps, dim=1))
    return torch.cat(heads, dim=2) @ parameters["out.weight"].T


def qkv_heads(parameters: Mapping[str, Tensor], x: Tensor, heads: int) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Returns queries, keys and values of every head, (batch, time, size) each."""
    weights = parameters["qkv.weight"].chunk(3)
    return list(zip(*(split_heads(x @ weight.T, heads) for weight in weights), strict=True))


def softmax_average(logits: list[Tensor], values: list[Tensor]) -> Tensor:
    """Returns sum_i exp(logit_i) value_i / sum_i exp(logit_i), (batch, size)."""
    weights = [logit.exp() for logit in logits]
    total = sum(weights, start=torch.zeros_like(weights[0]))
    average = torch.zeros_like(values[0])
    for weight, value in zip(weights, values, strict=True):
        average = average + (weight / total).unsqueeze(1) * value
    return average

"""Linear attention and its gated relatives, as recurrences of a matrix, one step and head at a time."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from tests.architectures.definitions.attention import qkv_heads
from tests.architectures.definitions.han import rotate
from tests.architectures.definitions.residual import EPSILON, head_count, residual_stack, split_heads


def linear_attention(
    parameters: Mapping[str, Tensor], x: Tensor, options: Mapping[str, Any], lengths: list[int]
) -> Tensor:
    """Sums of phi(k) v^T and of phi(k), with phi = elu + 1 (Katharopoulos et al. 2020, eq. 7, 10 to 12)."""
    return residual_stack(linear_attention_mixer, parameters, x, options, lengths)


def retnet(parameters: Mapping[str, Tensor], x: Tensor, options: Mapping[str, Any], lengths: list[int]) -> Tensor:
    """S = gamma S + k v^T with turned queries and keys (Sun et al. 2023, eq. 5 to 8)."""
    return residual_stack(retention_mixer, parameters, x, options, lengths)


def mlstm(parameters: Mapping[str, Tensor], x: Tensor, options: Mapping[str, Any], lengths: list[int]) -> Tensor:
    """C = f C + i v k^T, n = f n + i k, in the stabilised form (Beck et al. 2024, eq. 15 to 27)."""
    return residual_stack(mlstm_mixer, parameters, x, options, lengths)


def mamba2(parameters: Mapping[str, Tensor], x: Tensor, options: Mapping[str, Any], lengths: list[int]) -> Tensor:
    """S = exp(-A dt) S + dt B u^T, y = S^T C + D u (Dao and Gu 2024, section 7)."""
    return residual_stack(mamba2_mixer, parameters, x, options, lengths)


def gated_deltanet(
    parameters: Mapping[str, Tensor], x: Tensor, options: Mapping[str, Any], lengths: list[int]
) -> Tensor:
    """S = a (I - b k k^T) S + b k v^T, with k of unit length (Yang et al. 2024, eq. 10)."""
    return residual_stack(delta_mixer, parameters, x, options, lengths)


def linear_attention_mixer(parameters: Mapping[str, Tensor], x: Tensor, options: Mapping[str, Any]) -> Tensor:
    heads = []
    for q, k, v in qkv_heads(parameters, x, head_count(options)):
        S, z, steps = matrix(k, v), torch.zeros_like(k[:, 0]), []
        for t in range(x.shape[1]):
            key, query = phi(k[:, t]), phi(q[:, t])
            S, z = S + outer(key, v[:, t]), z + key
            steps.append(read(S, query) / ((query * z).sum(1, keepdim=True) + 1e-6))
        heads.append(torch.stack(steps, dim=1))
    return torch.cat(heads, dim=2) @ parameters["out.weight"].T


def retention_mixer(parameters: Mapping[str, Tensor], x: Tensor, options: Mapping[str, Any]) -> Tensor:
    heads = []
    for n, (q, k, v) in enumerate(qkv_heads(parameters, x, head_count(options))):
        S, gamma, steps = matrix(k, v), 1 - 2.0 ** (-5 - n), []
        for t in range(x.shape[1]):
            S = gamma * S + outer(rotate(k[:, t], t) / math.sqrt(k.shape[2]), v[:, t])
            steps.append(unit_norm(read(S, rotate(q[:, t], t))))
        heads.append(torch.stack(steps, dim=1))
    gate = x @ parameters["gate.weight"].T
    normed = torch.cat(heads, dim=2) * parameters["norm.weight"]
    return (gate * torch.sigmoid(gate) * normed) @ parameters["out.weight"].T


def mlstm_mixer(parameters: Mapping[str, Tensor], x: Tensor, options: Mapping[str, Any]) -> Tensor:
    count, heads = head_count(options), []
    gates = x @ parameters["gates.weight"].T + parameters["gates.bias"]
    for head, (q, k, v) in enumerate(qkv_heads(parameters, x, count)):
        C, n, m, steps = matrix(k, v), torch.zeros_like(k[:, 0]), None, []
        for t in range(x.shape[1]):
            log_i, log_f = gates[:, t, head], torch.sigmoid(gates[:, t, count + head]).log()
            key = k[:, t] / math.sqrt(k.shape[2])
            # It cancels, all but the last digits: no derivative.
            after = (log_i if m is None else torch.maximum(log_f + m, log_i)).detach()
            i = torch.exp(log_i - after).unsqueeze(1)
            f = torch.zeros_like(i) if m is None else torch.exp(log_f + m - after).unsqueeze(1)
            m = after
            C = f.unsqueeze(2) * C + i.unsqueeze(2) * outer(key, v[:, t])
            n = f * n + i * key
            denominator = torch.maximum((n * q[:, t]).sum(1).abs(), torch.exp(-m)) + 1e-6
            steps.append(unit_norm(read(C, q[:, t]) / denominator.unsqueeze(1)))
        heads.append(torch.stack(steps, dim=1))
    gate = torch.sigmoid(x @ parameters["output_gate.weight"].T + parameters["output_gate.bias"])
    return (gate * torch.cat(heads, dim=2) * parameters["norm.weight"]) @ parameters["out.weight"].T


def mamba2_mixer(parameters: Mapping[str, Tensor], x: Tensor, options: Mapping[str, Any]) -> Tensor:
    count, size = head_count(options), x.shape[2]
    states, inner = options.get("num_states", size // count), 2 * size
    z, inputs, d = (x @ parameters["project.weight"].T).split([inner, inner + 2 * states, count], dim=2)
    convolved = short_convolution(parameters, "convolution", inputs)
    u, B, C = convolved.split([inner, states, states], dim=2)
    heads = []
    for n, values in enumerate(split_heads(u, count)):
        S, steps = matrix(B, values), []
        for t in range(x.shape[1]):
            dt = torch.log1p(torch.exp(d[:, t, n] + parameters["step_bias"][n]))
            kept = torch.exp(-parameters["log_rate"][n].exp() * dt)
            S = kept.view(-1, 1, 1) * S + dt.view(-1, 1, 1) * outer(B[:, t], values[:, t])
            steps.append(read(S, C[:, t]) + parameters["skip"][n] * values[:, t])
        heads.append(torch.stack(steps, dim=1))
    gated = torch.cat(heads, dim=2) * z * torch.sigmoid(z)
    return (unit_norm(gated) * parameters["norm_weight"]) @ parameters["out.weight"].T


def delta_mixer(parameters: Mapping[str, Tensor], x: Tensor, options: Mapping[str, Any]) -> Tensor:
    count, heads = head_count(options), []
    convolved = short_convolution(parameters, "convolution", x @ parameters["qkv.weight"].T)
    rates = x @ parameters["rates.weight"].T
    for n, (q, k, v) in enumerate(zip(*(split_heads(part, count) for part in convolved.chunk(3, dim=2)), strict=True)):
        S, steps = matrix(k, v), []
        for t in range(x.shape[1]):
            query, key = (part[:, t] / torch.sqrt(part[:, t].square().sum(1, keepdim=True) + 1e-6) for part in (q, k))
            dt = torch.log1p(torch.exp(rates[:, t, n] + parameters["step_bias"][n]))
            a = torch.exp(-parameters["log_rate"][n].exp() * dt).view(-1, 1, 1)
            b = torch.sigmoid(rates[:, t, count + n]).view(-1, 1, 1) * (2 if options.get("negative") else 1)
            S = a * (S - b * outer(key, read(S, key))) + b * outer(key, v[:, t])
            steps.append(unit_norm(read(S, query) / math.sqrt(k.shape[2])))
        heads.append(torch.stack(steps, dim=1))
    gate = x @ parameters["gate.weight"].T
    normed = torch.cat(heads, dim=2) * parameters["norm.weight"]
    return (gate * torch.sigmoid(gate) * normed) @ parameters["out.weight"].T


def short_convolution(parameters: Mapping[str, Tensor], name: str, x: Tensor) -> Tensor:
    """silu(b + sum_j w_j x_{t - j}), tap by tap."""
    steps = []
    for t in range(x.shape[1]):
        total = torch.zeros_like(x[:, 0])
        for j, w in enumerate(parameters[f"{name}.weight"]):
            if t >= j:
                total = total + w * x[:, t - j]
        total = total + parameters[f"{name}.bias"] if f"{name}.bias" in parameters else total
        steps.append(total * torch.sigmoid(total))
    return torch.stack(steps, dim=1)


def phi(x: Tensor) -> Tensor:
    return torch.where(x > 0, x + 1, x.clamp_max(0).exp())


def matrix(k: Tensor, v: Tensor) -> Tensor:
    """Returns zeros, (batch, size of a key, size of a value)."""
    return k.new_zeros(k.shape[0], k.shape[2], v.shape[2])


def outer(k: Tensor, v: Tensor) -> Tensor:
    return k.unsqueeze(2) * v.unsqueeze(1)


def read(S: Tensor, q: Tensor) -> Tensor:
    """Returns S^T q, (batch, size of a value)."""
    return (S * q.unsqueeze(2)).sum(1)


def unit_norm(x: Tensor) -> Tensor:
    """Returns x over its root mean square."""
    return x / torch.sqrt(x.square().sum(-1, keepdim=True) / x.shape[-1] + EPSILON)

"""Encoder and decoder, with attention or without: sequence by sequence, step by step, source step by source step."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from tests.architectures.definitions.common import split_layers, strip_prefix

Step = tuple[Tensor, ...]


def gru_step(layer: Mapping[str, Tensor], x: Tensor, state: Step) -> Step:
    """PyTorch's GRU, of one vector."""
    (h,) = state
    W, U, b, c = (layer[f"core.{name}"] for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"))
    (x_r, x_z, x_n), (h_r, h_z, h_n) = (W @ x + b).chunk(3), (U @ h + c).chunk(3)
    r, z = torch.sigmoid(x_r + h_r), torch.sigmoid(x_z + h_z)
    return ((1 - z) * torch.tanh(x_n + r * h_n) + z * h,)


def paper_gru_step(layer: Mapping[str, Tensor], x: Tensor, state: Step) -> Step:
    """The GRU of the paper's appendix A.2.2, whose reset gate stands before the product; here z keeps."""
    (h,) = state
    units = len(h)
    W, U, b = (layer[name].split(units) for name in ("weight_x", "weight_h", "bias"))
    r, z = (torch.sigmoid(W[gate] @ x + U[gate] @ h + b[gate]) for gate in (0, 1))
    n = torch.tanh(W[2] @ x + U[2] @ (r * h) + b[2])
    return ((1 - z) * n + z * h,)


def lstm_step(layer: Mapping[str, Tensor], x: Tensor, state: Step) -> Step:
    """PyTorch's LSTM, of one vector."""
    h, c = state
    W, U, b, d = (layer[f"core.{name}"] for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"))
    i, f, g, o = (W @ x + b + U @ h + d).chunk(4)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def rnn_step(layer: Mapping[str, Tensor], x: Tensor, state: Step) -> Step:
    """PyTorch's RNN, of one vector."""
    W, U, b, c = (layer[f"core.{name}"] for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"))
    return (torch.tanh(W @ x + b + U @ state[0] + c),)


def choose_step(options: Mapping[str, Any]) -> tuple[Any, int]:
    """Returns the step of the architecture that encoder and decoder are, and the number of its states."""
    if (options.get("base_options") or {}).get("reset") == "before":
        return paper_gru_step, 1
    return {"gru": (gru_step, 1), "lstm": (lstm_step, 2), "rnn": (rnn_step, 1)}[options.get("base", "gru")]


def run_stack(
    parameters: Mapping[str, Tensor], inputs: list[Tensor], options: Mapping[str, Any], units: int
) -> list[Tensor]:
    """Returns the outputs of layers one upon another, from zeros."""
    step, count = choose_step(options)
    for layer in split_layers(parameters, "layers."):
        state: Step = (inputs[0].new_zeros(units),) * count
        outputs = []
        for x in inputs:
            state = step(layer, x, state)
            outputs.append(state[0])
        inputs = outputs
    return inputs


def seq2seq(
    parameters: Mapping[str, Tensor], x: Tensor, options: Mapping[str, Any], lengths: list[int], **fixed: Any
) -> Tensor:
    """y is 0 over the source, and [s_i, c_i] behind it."""
    options = {**options, **fixed}
    return torch.stack([_sequence(parameters, row, options) for row in x])


def _sequence(parameters: Mapping[str, Tensor], x: Tensor, options: Mapping[str, Any]) -> Tensor:
    units, source = options["hidden_size"], options.get("source", 1)
    attention, both = options.get("attention", "additive"), options.get("bidirectional", True)
    size = (3 if both else 2) * units
    if len(x) <= source:
        return x.new_zeros(len(x), size)
    given = list(x[:source])
    if both:
        onward = run_stack(strip_prefix(parameters, "encoder.onward."), given, options, units)
        backward = run_stack(strip_prefix(parameters, "encoder.backward."), given[::-1], options, units)[::-1]
        h, end, fixed = [torch.cat(pair) for pair in zip(onward, backward, strict=True)], backward[0], None
        fixed = torch.cat([onward[-1], backward[0]])
    else:
        h = run_stack(strip_prefix(parameters, "encoder."), given, options, units)
        end = fixed = h[-1]
    step, count = choose_step(options)
    layers = split_layers(parameters, "decoder.layers.")
    starts = torch.tanh(parameters["start.weight"] @ end + parameters["start.bias"]).chunk(len(layers))
    states: list[Step] = [(start, *[torch.zeros_like(start)] * (count - 1)) for start in starts]
    ys = [x.new_zeros(size)] * source
    own = strip_prefix(parameters, "alignment.")
    for x_i in x[source:]:
        s = states[-1][0]
        c = fixed
        if attention != "none":
            weights = align(own, s, h, attention, options.get("window", 10))
            c = torch.stack([weight * h_j for weight, h_j in zip(weights, h, strict=True)]).sum(0)
        below = torch.cat([x_i, c])
        for index, layer in enumerate(layers):
            states[index] = step(layer, below, states[index])
            below = states[index][0]
        ys.append(torch.cat([below, c]))
    return torch.stack(ys)


def align(own: Mapping[str, Tensor], s: Tensor, h: list[Tensor], attention: str, window: int) -> list[Tensor]:
    """Returns the weight of every step of the source, in evaluation."""
    U = own["source.weight"]
    if attention in ("additive", "hard"):
        logits = [own["score.weight"][0] @ torch.tanh(own["state.weight"] @ s + U @ h_j) for h_j in h]
    else:
        logits = [s @ (U @ h_j) for h_j in h]
    exponentials = [torch.exp(logit) for logit in logits]
    total = torch.stack(exponentials).sum()
    weights = [exponential / total for exponential in exponentials]
    if attention == "hard":
        best = max(range(len(h)), key=lambda j: logits[j].item())
        # The value is 0 or 1, the gradient that of the softmax.
        return [(j == best) + weight - weight.detach() for j, weight in enumerate(weights)]
    if attention == "local":
        p = (len(h) - 1) * torch.sigmoid(own["center.weight"][0] @ torch.tanh(own["place.weight"] @ s))
        weights = [weight * torch.exp(-((j - p) ** 2) / (2 * (window / 2) ** 2)) for j, weight in enumerate(weights)]
    return weights

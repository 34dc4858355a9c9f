"""The recurrence of highway layers within a step, with a backward pass written by hand.

    a^l = tanh(p^l), t^l = sigmoid(q^l) with [p^l, q^l] = R^l s^{l-1} + b^l        s^l = s^{l-1} + t^l (a^l - s^{l-1})

for l = 1 .. L within every step; s^0 is the last s of the step before, and the b of the first layer has one value for
each step. With g the gradient of s^l,

    D^l = [g t^l (1 - a^l^2), g (a^l - s^{l-1}) t^l (1 - t^l)]        g <- g (1 - t^l) + R^l^T D^l

The factors of g are computed for many steps at once, so that a layer is three operations on the way back, where
PyTorch's own way takes a dozen; and the gradients of weights are one product for as many.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from architectures.kernels.derivatives import once_differentiable

BLOCK_STEPS = 64
"""Steps whose factors are computed at once on the way back: all of them would take as much memory again."""


def highway_recurrence(given: Tensor, start: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor]) -> Tensor:
    """Returns s^L after every step, (batch, time, units); differentiable once with respect to every operand.

    Args:
        given: b of the first layer, (batch, time, 2 units), a's half first.
        start: s before the first step, (batch, units).
        weights: R of every layer, (2 units, units) each.
        biases: b of the layers above the first, (2 units,) each.

    Raises:
        ValueError: if the start has another number of rows, or there is not one bias for each layer above the first.
    """
    if start.shape != (given.shape[0], given.shape[2] // 2) or len(biases) != len(weights) - 1:
        raise ValueError(
            f"a start of shape {tuple(start.shape)} and {len(biases)} biases do not fit {len(weights)} layers "
            f"and a b of shape {tuple(given.shape)}"
        )
    y: Tensor = _Highway.apply(given, start, torch.stack(list(weights)), *biases)  # type: ignore[no-untyped-call]
    return y


class _Highway(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, given: Tensor, start: Tensor, weights: Tensor, *biases: Tensor) -> Tensor:
        (batch, time, _), (depth, _, units) = given.shape, weights.shape
        gates = given.new_empty(time, depth, batch, 2 * units)
        # s^0 of a step is s^L of the one before.
        states = given.new_empty(time * depth + 1, batch, units)
        states[0] = start
        matrices, before = weights.transpose(1, 2).unbind(0), states[0]
        steps = zip(given.unbind(1), gates.unbind(0), strict=True)
        after = iter(states[1:].unbind(0))
        for first, layers in steps:
            for index, gate in enumerate(layers.unbind(0)):
                torch.addmm(biases[index - 1] if index else first, before, matrices[index], out=gate)
                a, t = gate.split(units, dim=1)
                torch.lerp(before, a.tanh_(), t.sigmoid_(), out=(now := next(after)))
                before = now
        ctx.save_for_backward(weights, gates, states)
        # A copy: a view would keep the states of all layers for as long as the output.
        return states[depth::depth].transpose(0, 1).clone(memory_format=torch.contiguous_format)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_y: Tensor) -> tuple[Tensor | None, ...]:
        # Whoever differentiates within autocast gets the same.
        with torch.autocast("cpu", enabled=False):
            weights, gates, states = ctx.saved_tensors
            time, depth, batch, width = gates.shape
            units = width // 2
            inputs = states[:-1].view(time, depth, batch, units)
            of_s, of_given = of_y.new_zeros(batch, units), of_y.new_empty(time, batch, width)
            of_weights, of_biases = torch.zeros_like(weights), of_y.new_zeros(depth, width)
            matrices, of_steps = weights.unbind(0)[::-1], of_y.transpose(0, 1)
            for end in range(time, 0, -BLOCK_STEPS):
                block = slice(max(0, end - BLOCK_STEPS), end)
                a, t = gates[block].split(units, dim=3)
                kept = 1 - t
                # The factors are replaced by the gradients that they are factors of.
                factors = torch.stack([t * (1 - a * a), (a - inputs[block]) * t * kept], dim=3)
                flat = factors.view(-1, depth, batch, width)
                parts = (of_steps[block], factors, flat, kept)
                for of_step, *step in zip(*(part.unbind(0)[::-1] for part in parts), strict=True):
                    of_s = of_s + of_step
                    layers = zip(*(part.unbind(0)[::-1] for part in step), matrices, strict=True)
                    for factor, product, share, matrix in layers:
                        factor.mul_(of_s.unsqueeze(1))
                        of_s = torch.addmm(of_s * share, product, matrix)
                rows = flat.transpose(0, 1).reshape(depth, -1, width)
                seen = inputs[block].transpose(0, 1).reshape(depth, -1, units)
                of_weights.baddbmm_(rows.transpose(1, 2), seen)
                of_biases += rows.sum(1)
                of_given[block] = flat[:, 0]
            return of_given.transpose(0, 1), of_s, of_weights, *of_biases[1:].unbind(0)

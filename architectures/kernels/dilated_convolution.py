"""A causal dilated convolution as a sum of products, one for each tap, of shifted views of its input.

    y_t = b + sum_j W_j x_{t - j d}, j = 0 .. k - 1

Before the start the input is 0, and what would be multiplied with zeros is left out: at a dilation of 64, the first of
7 taps lies 384 steps back, before the start of a sequence of 200. With the channels of a step as neighbours in memory,
a shifted view is an operand of a product as it is.
"""

from typing import Any

import torch
from torch import Tensor

from architectures.kernels.derivatives import once_differentiable
from architectures.recording import is_recording

MIN_STEPS, MIN_ROWS = 100, 1000
"""Steps of a sequence, and of a whole batch, from which on a product for each tap takes less time in training than
PyTorch's convolution, a single call. In evaluation it takes more."""


def takes_products(x: Tensor, training: bool) -> bool:
    """Returns whether `dilated_convolution` is faster than PyTorch's for an input, (batch, channels, time).

    In evaluation it never is, gradients or not: there, how many sequences are measured at once must change no bit.
    """
    return (
        training
        and x.device.type == "cpu"
        and x.dtype in (torch.float32, torch.float64)
        and x.shape[2] >= MIN_STEPS
        and x.shape[0] * x.shape[2] >= MIN_ROWS
        and torch.is_grad_enabled()
        and not torch.is_autocast_enabled("cpu")
        and not is_recording()
    )


def dilated_convolution(x: Tensor, past: Tensor | None, weight: Tensor, bias: Tensor, dilation: int) -> Tensor:
    """Returns y, (batch, channels out, time), the channels of a step neighbours in memory; differentiable once.

    Args:
        x: (batch, channels in, time).
        past: the (k - 1) d inputs before, (batch, channels in, steps); `None` is the start, where they are 0.
        weight: (channels out, channels in, k), the tap of the present step last.
        bias: (channels out,).
        dilation: d, the distance of two taps in steps.
    """
    before = 0 if past is None else past.shape[2]
    whole = x if past is None else torch.cat([past, x], dim=2)
    y: Tensor = _Products.apply(whole.transpose(1, 2), weight, bias, dilation, before)  # type: ignore[no-untyped-call]
    return y.transpose(1, 2)


class _Products(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, dilation: int, before: int) -> Tensor:
        x = x.contiguous()
        ctx.save_for_backward(x, weight)
        ctx.dilation, ctx.before = dilation, before
        y = bias.expand(x.shape[0], x.shape[1] - before, -1).clone(memory_format=torch.contiguous_format)
        for tap, seen, written in _views(x, y, weight, dilation, before):
            written.baddbmm_(seen, tap.t().expand(len(x), -1, -1))
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_y: Tensor) -> tuple[Tensor | None, ...]:
        # Whoever differentiates within autocast gets the same.
        with torch.autocast("cpu", enabled=False):
            x, weight = ctx.saved_tensors
            of_y, dx, dweight = of_y.contiguous(), None, None
            if ctx.needs_input_grad[0]:
                dx = torch.zeros_like(x)
                for tap, seen, written in _views(dx, of_y, weight, ctx.dilation, ctx.before):
                    seen.baddbmm_(written, tap.expand(len(x), -1, -1))
            if ctx.needs_input_grad[1]:
                views = _views(x, of_y, weight, ctx.dilation, ctx.before)
                taps = [torch.bmm(written.transpose(1, 2), seen).sum(0) for _, seen, written in views]
                # The earliest taps may lie before the start.
                unseen = [torch.zeros_like(weight[:, :, 0])] * (weight.shape[2] - len(taps))
                dweight = torch.stack([*unseen, *reversed(taps)], dim=2)
            return dx, dweight, of_y.sum((0, 1)), None, None


def _views(x: Tensor, y: Tensor, weight: Tensor, dilation: int, before: int) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Returns the weights of every tap that sees anything, the latest first, what it sees and what depends on that.

    Args:
        x: inputs, (batch, before + time, channels in).
        y: outputs, (batch, time, channels out).
        weight: (channels out, channels in, k).
        dilation: the distance of two taps.
        before: how many inputs are there before the first output.
    """
    taps, time, found = weight.permute(2, 0, 1).contiguous(), y.shape[1], []
    for lag, tap in zip(range(0, len(taps) * dilation, dilation), taps.flip(0).unbind(0), strict=True):
        start = max(0, lag - before)
        if start < time:
            found.append((tap, x[:, start + before - lag : time + before - lag], y[:, start:]))
    return found

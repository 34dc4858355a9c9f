"""The linear recurrence h_t = a_t h_{t-1} + b_t, unit by unit, with real or complex numbers.

Its backward pass is the same recurrence from the last step to the first, with g the gradient of h:

    G_t = g_t + conj(a_{t+1}) G_{t+1}        db_t = G_t        da_t = G_t conj(h_{t-1})

On a CPU it is a loop over the steps, in C++ (`native/scan.h`) or, without a compiler, in PyTorch; on other devices,
where a loop would be as many launches as there are steps, log2(time) passes over all steps (Hillis and Steele 1986).
All three are sums of the same products. A scan in logarithms (Heinsen 2023) subtracts sums over all steps from each
other, which in single precision loses digits over long sequences.

Complex numbers are kept as real ones, all real parts before all imaginary parts, so that modules with complex states
can be converted to any floating-point type.
"""

from typing import Any

import torch
from torch import Tensor

from architectures.kernels import native
from architectures.kernels.derivatives import once_differentiable
from architectures.kernels.dispatch import Backend, pick_backend
from architectures.recording import is_exporting, is_transformed


def linear_scan(
    a: Tensor, b: Tensor, start: Tensor, *, is_complex: bool = False, backend: Backend | None = None
) -> Tensor:
    """Computes h_t = a_t h_{t-1} + b_t for every step; differentiable once, with respect to every operand.

    Args:
        a: (batch, time, units) the factors, or (units,) where they are the same at every step.
        b: (batch, time, units) what is added.
        start: (batch, units) h before the first step.
        is_complex: whether the last dimension of all operands holds N real parts, then N imaginary parts.
        backend: `compiled` (CPU, float32 and float64), `eager` (wherever PyTorch runs), or `auto`: the first of these
            that works. By default the environment variable WORKBENCH_BACKEND, or else `auto`.

    Returns:
        h, (batch, time, units), of b's type. Half precision is summed in float32, and stays float32 under autocast.

    Raises:
        ValueError: if the operands do not fit together.
    """
    _check(a, b, start, is_complex)
    dtype = torch.float32 if torch.is_autocast_enabled(b.device.type) else b.dtype
    if b.dtype not in (torch.float32, torch.float64):
        b = b.float()
    a, start = a.to(b.dtype), start.to(b.dtype)
    with torch.autocast(b.device.type, enabled=False):
        if is_exporting():
            h = _unrolled(a, b, start, is_complex)
        elif is_transformed():
            h = scan_parts_by_doubling(a, b, start) if is_complex else scan_by_doubling(a, b, start)
        else:
            compiled = native.supports(b) and pick_backend(b, backend) == "compiled"
            h = _Scan.apply(a, b, start, is_complex, compiled)  # type: ignore[no-untyped-call]
    return h.to(dtype) if dtype != h.dtype and h.dtype != torch.float64 else h


def _check(a: Tensor, b: Tensor, start: Tensor, is_complex: bool) -> None:
    if b.ndim != 3 or not b.numel():
        raise ValueError(f"b must be (batch, time, units), not of shape {tuple(b.shape)}")
    if a.shape != b.shape and a.shape != b.shape[2:]:
        raise ValueError(f"a must be of the shape of b, {tuple(b.shape)}, or of its units, not {tuple(a.shape)}")
    if start.shape != (b.shape[0], b.shape[2]):
        raise ValueError(f"the start must be ({b.shape[0]}, {b.shape[2]}), not of shape {tuple(start.shape)}")
    if is_complex and b.shape[2] % 2:
        raise ValueError(f"complex numbers have as many imaginary as real parts, so not {b.shape[2]} in all")


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, start: Tensor, is_complex: bool, compiled: bool) -> Tensor:
        h: Tensor
        if compiled:
            h = torch.ops.sequence_workbench.scan(a, b, start, is_complex)
        else:
            h = _join(scan_in_pytorch(*(_split(value, is_complex) for value in (a, b, start))))
        ctx.save_for_backward(a, h, start)
        ctx.is_complex, ctx.compiled = is_complex, compiled
        return h

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_h: Tensor) -> tuple[Tensor | None, ...]:
        a, h, start = ctx.saved_tensors
        wants_a = ctx.needs_input_grad[0]
        with torch.autocast(h.device.type, enabled=False):
            if ctx.compiled:
                of_a, of_b, of_start = torch.ops.sequence_workbench.scan_backward(
                    a, h, start, of_h, ctx.is_complex, wants_a
                )
                if wants_a and a.ndim == 1:
                    of_a = of_a.sum(0)
            else:
                of_a, of_b, of_start = _backward_in_pytorch(a, h, start, of_h, ctx.is_complex)
        return of_a if wants_a else None, of_b, of_start, None, None


def scan_in_pytorch(a: Tensor, b: Tensor, start: Tensor) -> Tensor:
    """Computes `linear_scan`, for real or complex tensors: on a CPU by a loop, elsewhere by doubling."""
    return scan_by_loop(a, b, start) if b.device.type == "cpu" else scan_by_doubling(a, b, start)


def scan_by_loop(a: Tensor, b: Tensor, start: Tensor) -> Tensor:
    """Computes `linear_scan` one step after another, for real or complex tensors."""
    steps = b.new_empty(b.shape[1], b.shape[0], b.shape[2])
    factors = a.unbind(1) if a.ndim == 3 else [a] * len(steps)
    for factor, added, h in zip(factors, b.unbind(1), steps.unbind(0), strict=True):
        torch.addcmul(added, factor, start, out=h)
        start = h
    return steps.transpose(0, 1)


def scan_by_doubling(a: Tensor, b: Tensor, start: Tensor) -> Tensor:
    """Computes `linear_scan` in log2(time) passes over all steps, for real or complex tensors.

    After a pass with distance d, every step holds what it gets from the 2 d steps that end with it.
    """
    a = a.expand_as(b)
    b = torch.cat([(b[:, 0] + a[:, 0] * start).unsqueeze(1), b[:, 1:]], dim=1)
    distance = 1
    while distance < b.shape[1]:
        b = torch.cat([b[:, :distance], torch.addcmul(b[:, distance:], a[:, distance:], b[:, :-distance])], dim=1)
        a = torch.cat([a[:, :distance], a[:, distance:] * a[:, :-distance]], dim=1)
        distance *= 2
    return b


def scan_parts_by_doubling(a: Tensor, b: Tensor, start: Tensor) -> Tensor:
    """Does so for complex numbers as `linear_scan` takes them, in real arithmetic alone."""
    a = a.expand_as(b)
    b = torch.cat([(b[:, 0] + _multiply(a[:, 0], start)).unsqueeze(1), b[:, 1:]], dim=1)
    distance = 1
    while distance < b.shape[1]:
        b = torch.cat([b[:, :distance], b[:, distance:] + _multiply(a[:, distance:], b[:, :-distance])], dim=1)
        a = torch.cat([a[:, :distance], _multiply(a[:, distance:], a[:, :-distance])], dim=1)
        distance *= 2
    return b


def _multiply(x: Tensor, y: Tensor) -> Tensor:
    """Returns the product of complex numbers whose real and imaginary parts lie behind each other."""
    (x_re, x_im), (y_re, y_im) = x.chunk(2, dim=-1), y.chunk(2, dim=-1)
    return torch.cat([x_re * y_re - x_im * y_im, x_re * y_im + x_im * y_re], dim=-1)


def _backward_in_pytorch(
    a: Tensor, h: Tensor, start: Tensor, of_h: Tensor, is_complex: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Returns the gradients of a, b and the start."""
    a, h, start, of_h = (_split(value, is_complex) for value in (a, h, start, of_h))
    backward_a = a.conj_physical()
    # The last step hears of no later one: its factor meets a start of 0.
    factors = backward_a if a.ndim == 1 else backward_a.roll(-1, 1).flip(1)
    of_b = scan_in_pytorch(factors, of_h.flip(1), torch.zeros_like(start)).flip(1)
    before = torch.cat([start.unsqueeze(1), h[:, :-1]], dim=1)
    of_a = of_b * before.conj_physical()
    first = backward_a if a.ndim == 1 else backward_a[:, 0]
    return _join(of_a.sum((0, 1)) if a.ndim == 1 else of_a), _join(of_b), _join(first * of_b[:, 0])


def _split(x: Tensor, is_complex: bool) -> Tensor:
    """Returns the complex tensor of real and imaginary parts that lie behind each other."""
    return torch.complex(*(part.contiguous() for part in x.chunk(2, dim=-1))) if is_complex else x


def _join(x: Tensor) -> Tensor:
    """Returns real and imaginary parts, one behind the other; a real tensor as it is."""
    return torch.cat([x.real, x.imag], dim=-1) if x.is_complex() else x


def _unrolled(a: Tensor, b: Tensor, start: Tensor, is_complex: bool) -> Tensor:
    """Computes `linear_scan` as one of PyTorch's operations after another, for programs that PyTorch records."""
    factors = a.unbind(1) if a.ndim == 3 else [a] * b.shape[1]
    h, steps = start, []
    for factor, added in zip(factors, b.unbind(1), strict=True):
        h = (_multiply(factor, h) if is_complex else factor * h) + added
        steps.append(h)
    return torch.stack(steps, dim=1)

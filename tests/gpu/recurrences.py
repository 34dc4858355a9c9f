"""The averages' recurrence on random operands, by a backend and a precision."""

import random
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from architectures.kernels import START, average
from tests.architectures.cases import noise
from workbench.config import Precision
from workbench.devices import MatmulPrecision, autocast, matmul_precision

EXACT = torch.float64
SMOOTH = ("exp", "sigmoid", "softplus")
"""Near a closing relu the gradient has no bound, and rounding decides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Sizes and options of a recurrence."""

    batch: int
    time: int
    units: int
    inputs: int
    options: dict[str, Any]
    discounted: bool
    carried: bool

    def operands(self) -> tuple[Tensor, ...]:
        """x, weights, bias, r and l in double precision; the weights such that sums over them stay near 1."""
        gates = 3 if self.discounted else 2
        units = self.units
        shapes = [
            (self.batch, self.time, self.inputs),
            (self.inputs, (1 + gates) * units),
            ((1 + gates) * units,),
            (units, gates * units),
            (self.batch, units),
        ]
        x, weight_x, bias, weight_h, r = (noise(*shape, seed=seed) for seed, shape in enumerate(shapes))
        l = noise(self.batch, units, seed=7) if self.carried else torch.full_like(r, START)
        return x, weight_x / self.inputs**0.5, 0.5 * bias, 0.5 * weight_h / units**0.5, r, l


def drawn(seed: int, *, batch: int, time: int, units: int) -> Problem:
    """A problem at random, with sizes up to those given."""
    draw = random.Random(seed)
    return Problem(
        batch=draw.randint(1, batch),
        time=draw.randint(1, time),
        units=draw.randint(1, units),
        inputs=draw.randint(1, 5),
        options={
            "attention": draw.choice(SMOOTH),
            "hidden_tanh": draw.random() < 0.5,
            "output_tanh": draw.random() < 0.5,
        },
        discounted=draw.random() < 0.5,
        carried=draw.random() < 0.5,
    )


def solved(
    problem: Problem,
    device: str,
    backend: Any,
    dtype: torch.dtype = torch.float32,
    precision: Precision = "float32",
    matmul: MatmulPrecision = "highest",
) -> list[Tensor]:
    """What is put out, the last r and l, and the gradients of a loss over them with respect to every operand, on the
    device that they were computed on."""
    given = [value.to(device, dtype).requires_grad_() for value in problem.operands()]
    with matmul_precision(matmul):
        with autocast(precision, device):
            y, r, l = average(*given, backend=backend, **problem.options)
        probes = [noise(*value.shape, seed=9 + place).to(value) for place, value in enumerate((y, r, l))]
        torch.autograd.backward([y, r, l], probes)
    grads = [value.grad for value in given]
    return [value.detach() for value in (y, r, l, *grads) if value is not None]


def distances(found: list[Tensor], exact: list[Tensor]) -> tuple[float, float]:
    """||found - exact|| / ||exact||: the largest among y, r and l, and that of all gradients together. Some gradients
    are sums that all but cancel (those of alpha do so by law), which say nothing by themselves."""
    pairs = [(a.to("cpu", EXACT), b) for a, b in zip(found, exact, strict=True)]
    values = max(float((a - b).norm() / b.norm()) for a, b in pairs[:3])
    off = sum(float((a - b).square().sum()) for a, b in pairs[3:])
    whole = sum(float(b.square().sum()) for _, b in pairs[3:])
    return values, (off / whole) ** 0.5


def poison(like: list[Tensor]) -> None:
    """Leaves NaN in memory that the allocator has free: blocks of the sizes of these tensors and of all a pass needs
    beside, so that what nobody writes shows."""
    left = [torch.full_like(value, torch.nan) for value in like for _ in range(6)]
    del left

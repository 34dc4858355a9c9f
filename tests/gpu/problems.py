"""Random problems of the averages' recurrence, solved by a backend in a precision."""

import random
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from architectures.kernels import INITIAL_LOG_DENOMINATOR, discounted_average
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
        """Returns x, weights, bias, r and l in double precision, scaled such that sums over weights stay near 1."""
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
        l = noise(self.batch, units, seed=7) if self.carried else torch.full_like(r, INITIAL_LOG_DENOMINATOR)
        return x, weight_x / self.inputs**0.5, 0.5 * bias, 0.5 * weight_h / units**0.5, r, l


def random_problem(seed: int, *, batch: int, time: int, units: int) -> Problem:
    """Returns a random problem, with sizes up to the arguments."""
    rng = random.Random(seed)
    return Problem(
        batch=rng.randint(1, batch),
        time=rng.randint(1, time),
        units=rng.randint(1, units),
        inputs=rng.randint(1, 5),
        options={
            "attention": rng.choice(SMOOTH),
            "hidden_tanh": rng.random() < 0.5,
            "output_tanh": rng.random() < 0.5,
        },
        discounted=rng.random() < 0.5,
        carried=rng.random() < 0.5,
    )


def solve(
    problem: Problem,
    device: str,
    backend: Any,
    dtype: torch.dtype = torch.float32,
    precision: Precision = "float32",
    matmul: MatmulPrecision = "highest",
) -> list[Tensor]:
    """Returns the outputs, the last r and l, and the gradients of a random projection with respect to every operand.

    They stay on the device.
    """
    leaves = [value.to(device, dtype).requires_grad_() for value in problem.operands()]
    with matmul_precision(matmul):
        with autocast(precision, device):
            y, r, l = discounted_average(*leaves, backend=backend, **problem.options)
        probes = [noise(*value.shape, seed=9 + index).to(value) for index, value in enumerate((y, r, l))]
        torch.autograd.backward([y, r, l], probes)
    grads = [value.grad for value in leaves]
    return [value.detach() for value in (y, r, l, *grads) if value is not None]


def relative_errors(results: list[Tensor], exact: list[Tensor]) -> tuple[float, float]:
    """Returns ||result - exact|| / ||exact||: the largest among y, r and l, and that of all gradients together.

    Some gradients are sums that all but cancel (those of alpha do so by law), whose own errors mean nothing.
    """
    pairs = [(a.to("cpu", EXACT), b) for a, b in zip(results, exact, strict=True)]
    values = max(float((a - b).norm() / b.norm()) for a, b in pairs[:3])
    squared_error = sum(float((a - b).square().sum()) for a, b in pairs[3:])
    squared_norm = sum(float(b.square().sum()) for _, b in pairs[3:])
    return values, (squared_error / squared_norm) ** 0.5


def poison_free_memory(tensors: list[Tensor]) -> None:
    """Fills free memory of the allocator with NaN, so that reading unwritten memory shows.

    The blocks have the sizes of these tensors, and are enough for everything else that a pass needs.
    """
    blocks = [torch.full_like(value, torch.nan) for value in tensors for _ in range(6)]
    del blocks

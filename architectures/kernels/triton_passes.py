"""The recurrence's two passes over time as Triton kernels, each one launch for the whole sequence.

The kernels are in `triton_forward.py` and `triton_backward.py`.
"""

import functools
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn.functional import pad

from architectures.kernels.autograd import SavedTensors
from architectures.kernels.pointwise import product

Precision = Literal["ieee", "tf32x3", "tf32", "bf16", "fp16"]
HALF_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
"""The operands' types of the precisions below 32 bits."""
TILE_ROWS = 16
"""Sequences of a program: the fewest that the matrix units accept."""
STAGE_BYTES = 48 * 1024
"""Bytes of weights that are loaded at once, at most."""
RESERVED_BYTES = 16 * 1024
"""Bytes of shared memory for everything except weights."""
DEFAULT_SHARED_BYTES = 160 * 1024
"""Bytes of shared memory that are assumed if there is no GPU."""
REGISTERS_PER_MULTIPROCESSOR = 64 * 1024
"""Registers of a multiprocessor."""


@dataclass(frozen=True, slots=True)
class TritonPasses:
    """Implementation of `architectures.kernels.autograd.Passes` for float32 tensors of at most `MAX_UNITS` units.

    Args:
        precision: of the operands of the recurrent products; sums, r, l and their adjoints are always float32.
    """

    precision: Precision

    def forward(self, saved: SavedTensors, weight: Tensor, logs: Tensor) -> None:
        """Implements `architectures.kernels.autograd.Passes.forward`."""
        from architectures.kernels.triton_forward import forward

        time, batch, units = saved.u.shape
        inputs = saved.operand.shape[2] - units
        gates = len(weight) // units
        input_gates = product(saved.operand[:-1, :, :inputs].reshape(time * batch, inputs), weight[:, :inputs])
        keep = time > 0 and saved.delta.stride(0) > 0
        self.launch(
            forward,
            batch,
            units,
            gates,
            input_gates,
            self.pad_weights(weight[:, inputs:].view(gates, units, units).transpose(1, 2)),
            saved.u,
            saved.hidden,
            saved.averages,
            logs,
            *saved_per_step(saved),
            time,
            batch,
            units,
            saved.hidden.stride(1),
            saved.averages.stride(1),
            ATTENTION=saved.attention,
            HIDDEN_TANH=saved.hidden_tanh,
            DISCOUNTED=gates == 3,
            KEEP=keep,
            ALL_LOGS=len(logs) > 2 or time == 1,
        )

    def backward(
        self,
        saved: SavedTensors,
        weight_h: Tensor,
        output_grads: tuple[Tensor | None, Tensor | None, Tensor | None],
        R: Tensor,
        L: Tensor,
        grad_u: Tensor,
        grad_gates: Tensor,
    ) -> Tensor:
        """Implements `architectures.kernels.autograd.Passes.backward`."""
        from architectures.kernels.triton_backward import backward

        time, batch, units = saved.u.shape
        gates = weight_h.shape[1] // units
        grad_h_0 = torch.empty_like(R)
        grads = [R if grad is None else with_contiguous_units(grad) for grad in output_grads]
        self.launch(
            backward,
            batch,
            units,
            gates,
            self.pad_weights(weight_h.view(units, gates, units).permute(1, 2, 0)),
            saved.u,
            saved.hidden,
            saved.averages,
            *saved_per_step(saved),
            *grads,
            R,
            L,
            grad_h_0,
            grad_u,
            grad_gates,
            time,
            batch,
            units,
            saved.hidden.stride(1),
            saved.averages.stride(1),
            *(stride for grad in grads for stride in grad.stride()[:2]),
            ATTENTION=saved.attention,
            HIDDEN_TANH=saved.hidden_tanh,
            DISCOUNTED=gates == 3,
            OF_H=output_grads[0] is not None,
            OF_R=output_grads[1] is not None,
            OF_L=output_grads[2] is not None,
            maxnreg=max_registers(units),
        )
        return grad_h_0

    def pad_weights(self, weight: Tensor) -> Tensor:
        """Returns (gates, units, units) weights in the operands' type, padded with zeros to the width of a tile."""
        gates, units, _ = weight.shape
        width = tile_width(units)
        padded = weight.new_zeros(gates, width, width, dtype=HALF_DTYPES.get(self.precision, weight.dtype))
        padded[:, :units, :units] = weight
        return padded

    def launch(self, kernel: Any, batch: int, units: int, gates: int, *arguments: Any, **options: Any) -> None:
        """Launches a kernel with a program for each tile of sequences."""
        device = arguments[0].device
        # Triton launches on the current device, whatever the tensors' is.
        with torch.cuda.device(device) if device.type == "cuda" else nullcontext():
            config = tile_config(units, gates, self.precision, shared_memory(device))
            kernel[(-(-batch // TILE_ROWS),)](*arguments, **options, **config)


def saved_per_step(saved: SavedTensors) -> tuple[Tensor, ...]:
    """Returns tanh_g, p, q and delta; for one that is `None`, which no kernel touches, tanh_g takes its place."""
    first = saved.tanh_g
    return first, first if saved.p is None else saved.p, first if saved.q is None else saved.q, saved.delta


def tile_config(units: int, gates: int, precision: Precision, shared: int = DEFAULT_SHARED_BYTES) -> dict[str, Any]:
    """Returns the constants of a kernel that depend on the size, by argument name.

    Args:
        units: the number of units.
        gates: 2 or 3.
        precision: of the products.
        shared: bytes of shared memory that a program can have.
    """
    width = tile_width(units)
    row = gates * width * (2 if precision in HALF_DTYPES else 4)
    chunk = min(width, max(16, 2 ** ((STAGE_BYTES // row).bit_length() - 1)))
    return {
        "ROWS": TILE_ROWS,
        "WIDTH": width,
        "CHUNK": chunk,
        "STAGES": min(3, 1 + (shared - RESERVED_BYTES) // (chunk * row)),
        "PRECISION": "ieee" if precision in HALF_DTYPES else precision,
        "num_warps": num_warps(width),
    }


def num_warps(width: int) -> int:
    """Returns the number of warps of a program, for a tile of that width."""
    return max(4, min(16, width // 16))


def max_registers(units: int) -> int | None:
    """Returns the limit of registers for a thread of the backward pass; `None` leaves it to NVIDIA's assembler.

    Without a limit, the assembler gives some of the widest kernels half or a quarter of the registers that there are,
    and spills the rest. To narrower ones, and to all forward passes, it gives all registers, and spills less without
    a limit.
    """
    width = tile_width(units)
    return REGISTERS_PER_MULTIPROCESSOR // (32 * num_warps(width)) if width > 256 else None


def tile_width(units: int) -> int:
    """Returns the units of a tile: a power of two, and at least as many as the matrix units accept."""
    return max(16, 1 << (units - 1).bit_length())


def with_contiguous_units(grad: Tensor) -> Tensor:
    """Returns the gradient with the units contiguous in memory, copied only if necessary."""
    return grad if grad.stride(2) == 1 or grad.shape[2] == 1 else grad.contiguous()


@functools.cache
def shared_memory(device: torch.device) -> int:
    """Returns how many bytes of shared memory a program can have."""
    if device.type != "cuda":
        return DEFAULT_SHARED_BYTES
    from triton.runtime import driver

    index = torch.cuda.current_device() if device.index is None else device.index
    return int(driver.active.utils.get_device_properties(index)["max_shared_mem"])


UNIT_ALIGNMENT = 16
"""The divisor of the number of units by which Triton recognises that rows are aligned."""


def run_with_padded_units(compute: Callable[..., tuple[Tensor, ...]], *operands: Tensor) -> tuple[Tensor, ...]:
    """Runs a recurrence with the number of units padded to a multiple of `UNIT_ALIGNMENT`.

    The weights of the added units are 0, so their average stays 0 and no other unit ever sees them.

    Args:
        compute: maps the operands to tensors whose last dimension is that of the units.
        operands: x, weight_x, bias, weight_h, r and l, as `architectures.kernels.discounted_average` takes them.

    Returns:
        The results of `compute` without the added units.
    """
    x, weight_x, bias, weight_h, r, l = operands
    units = r.shape[1]
    added = -units % UNIT_ALIGNMENT
    if not added:
        return compute(*operands)
    gates, padding = weight_h.shape[1] // units, (0, added)
    results = compute(
        x,
        pad(weight_x.unflatten(1, (1 + gates, units)), padding).flatten(1),
        pad(bias.unflatten(0, (1 + gates, units)), padding).flatten(),
        pad(weight_h.unflatten(1, (gates, units)), (*padding, 0, 0, 0, added)).flatten(1),
        pad(r, padding),
        pad(l, padding),
    )
    return tuple(result[..., :units] for result in results)

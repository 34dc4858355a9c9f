"""The two passes over time as Triton kernels: each one launch for the whole sequence (`triton_forward.py`,
`triton_backward.py`)."""

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
OPERANDS = {"bf16": torch.bfloat16, "fp16": torch.float16}
ROWS = 16
"""Sequences of a program: the fewest that the matrix units take."""
STAGE = 48 * 1024
"""Bytes of weights that are on their way at once, at most."""
RESERVE = 16 * 1024
"""Bytes of shared memory for all but weights."""
SHARED = 160 * 1024
"""Bytes of shared memory where there is no GPU to ask."""
REGISTERS = 64 * 1024
"""Of a multiprocessor."""


@dataclass(frozen=True, slots=True)
class TritonPasses:
    """`architectures.kernels.autograd.Passes` for float32 tensors of at most `MOST_UNITS` units.

    Args:
        precision: of the operands of the recurrent products; sums, r, l and their adjoints are float32 always.
    """

    precision: Precision

    def forward(self, saved: SavedTensors, weight: Tensor, logs: Tensor) -> None:
        """`architectures.kernels.autograd.Passes.forward`."""
        from architectures.kernels.triton_forward import forward

        time, batch, units = saved.u.shape
        inputs = saved.operand.shape[2] - units
        gates = len(weight) // units
        given = product(saved.operand[:-1, :, :inputs].reshape(time * batch, inputs), weight[:, :inputs])
        keep = time > 0 and saved.delta.stride(0) > 0
        self.launch(
            forward,
            batch,
            units,
            gates,
            given,
            self.packed(weight[:, inputs:].view(gates, units, units).transpose(1, 2)),
            saved.u,
            saved.hidden,
            saved.averages,
            logs,
            *per_step(saved),
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
        outside: tuple[Tensor | None, Tensor | None, Tensor | None],
        R: Tensor,
        L: Tensor,
        grad_u: Tensor,
        grad_gates: Tensor,
    ) -> Tensor:
        """`architectures.kernels.autograd.Passes.backward`."""
        from architectures.kernels.triton_backward import backward

        time, batch, units = saved.u.shape
        gates = weight_h.shape[1] // units
        back = torch.empty_like(R)
        grads = [R if grad is None else dense(grad) for grad in outside]
        self.launch(
            backward,
            batch,
            units,
            gates,
            self.packed(weight_h.view(units, gates, units).permute(1, 2, 0)),
            saved.u,
            saved.hidden,
            saved.averages,
            *per_step(saved),
            *grads,
            R,
            L,
            back,
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
            OF_H=outside[0] is not None,
            OF_R=outside[1] is not None,
            OF_L=outside[2] is not None,
            maxnreg=registers(units),
        )
        return back

    def packed(self, weight: Tensor) -> Tensor:
        """(gates, units, units) weights in the operands' type, with zeros up to the width of a tile."""
        gates, units, _ = weight.shape
        width = tile_width(units)
        room = weight.new_zeros(gates, width, width, dtype=OPERANDS.get(self.precision, weight.dtype))
        room[:, :units, :units] = weight
        return room

    def launch(self, kernel: Any, batch: int, units: int, gates: int, *arguments: Any, **options: Any) -> None:
        """Starts as many programs as there are tiles of sequences."""
        device = arguments[0].device
        # Triton launches on the current device, whatever the tensors' is.
        with torch.cuda.device(device) if device.type == "cuda" else nullcontext():
            cut = tiles(units, gates, self.precision, shared_memory(device))
            kernel[(-(-batch // ROWS),)](*arguments, **options, **cut)


def per_step(saved: SavedTensors) -> tuple[Tensor, ...]:
    """tanh_g, p, q and delta; what there is not, and no kernel touches, is another of them."""
    first = saved.tanh_g
    return first, first if saved.p is None else saved.p, first if saved.q is None else saved.q, saved.delta


def tiles(units: int, gates: int, precision: Precision, shared: int = SHARED) -> dict[str, Any]:
    """How a kernel is cut into pieces, by the names of its arguments, where a program may have so many bytes of shared
    memory."""
    width = tile_width(units)
    row = gates * width * (2 if precision in OPERANDS else 4)
    chunk = min(width, max(16, 2 ** ((STAGE // row).bit_length() - 1)))
    return {
        "ROWS": ROWS,
        "WIDTH": width,
        "CHUNK": chunk,
        "STAGES": min(3, 1 + (shared - RESERVE) // (chunk * row)),
        "PRECISION": "ieee" if precision in OPERANDS else precision,
        "num_warps": num_warps(width),
    }


def num_warps(width: int) -> int:
    """Of a program, for a tile of so many units."""
    return max(4, min(16, width // 16))


def registers(units: int) -> int | None:
    """Of a thread of the backward pass; `None`: as many as NVIDIA's assembler takes.

    Left to itself, it gives some of the widest half or a quarter of those that there are, and spills what the others
    would hold. Narrower ones, and all forward passes, it gives what there is, and spills less if it is not told so.
    """
    width = tile_width(units)
    return REGISTERS // (32 * num_warps(width)) if width > 256 else None


def tile_width(units: int) -> int:
    """The units of a tile: a power of two, and at least as many as the matrix units take."""
    return max(16, 1 << (units - 1).bit_length())


def dense(grad: Tensor) -> Tensor:
    """The gradient, with neighbouring units next to each other."""
    return grad if grad.stride(2) == 1 or grad.shape[2] == 1 else grad.contiguous()


@functools.cache
def shared_memory(device: torch.device) -> int:
    """Bytes of shared memory that a program can have."""
    if device.type != "cuda":
        return SHARED
    from triton.runtime import driver

    index = torch.cuda.current_device() if device.index is None else device.index
    return int(driver.active.utils.get_device_properties(index)["max_shared_mem"])


MULTIPLE = 16
"""Of units: what Triton looks at to know how rows are aligned."""


def with_padded_units(work: Callable[..., tuple[Tensor, ...]], *operands: Tensor) -> tuple[Tensor, ...]:
    """What a recurrence comes to, computed with as many more units as make their number round.

    Their weights are 0, so their average stays 0 and no other unit ever sees them.

    Args:
        work: of operands to tensors whose last dimension are units.
        operands: x, weight_x, bias, weight_h, r and l, as `architectures.kernels.average` takes them.

    Returns:
        The same without the units that were added.
    """
    x, weight_x, bias, weight_h, r, l = operands
    units = r.shape[1]
    more = -units % MULTIPLE
    if not more:
        return work(*operands)
    gates, wider = weight_h.shape[1] // units, (0, more)
    found = work(
        x,
        pad(weight_x.unflatten(1, (1 + gates, units)), wider).flatten(1),
        pad(bias.unflatten(0, (1 + gates, units)), wider).flatten(),
        pad(weight_h.unflatten(1, (gates, units)), (*wider, 0, 0, 0, more)).flatten(1),
        pad(r, wider),
        pad(l, wider),
    )
    return tuple(each[..., :units] for each in found)

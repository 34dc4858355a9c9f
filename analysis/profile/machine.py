"""What this machine is, and how fast it is at its best."""

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch

from analysis.profile.settings import ProfileSettings
from analysis.profile.timing import Workload
from architectures.kernels import pick_backend
from workbench import malloc
from workbench.devices import dtype, matmul_precision
from workbench.run import processor

ORDER = {"cpu": 2048, "cuda": 8192}
"""Rows and columns of the matrices that the peak is measured with."""
LARGE = {"cpu": 2**24, "cuda": 2**27}
"""Numbers in each of three vectors that no cache holds together."""
SMALL = 2**19
"""Numbers in each of three vectors, 6 MiB together, that the last cache holds on all but the smallest machines."""
GEMM, MEMORY, CACHE = "peak: product", "peak: memory", "peak: cache"


@dataclass(frozen=True, slots=True, kw_only=True)
class Peak:
    """The best that was measured."""

    gflops: float
    """10^9 operations a second of a matrix product in the precision that is asked for, two to a multiply-add."""
    memory: float
    """10^9 bytes a second of c = a + 2 b over vectors in memory."""
    cache: float
    """The same over vectors in the last cache."""


def peak_workloads(device: str, settings: ProfileSettings) -> dict[str, Workload]:
    """What measures the peak."""
    order, large = ORDER[device], LARGE[device]
    a, b, c = (torch.ones(order, order, device=device, dtype=dtype(settings.precision)) for _ in range(3))

    def multiply() -> None:
        with matmul_precision(settings.matmul_precision):
            torch.mm(a, b, out=c)

    found = {GEMM: Workload(run=multiply)}
    for name, size in ((MEMORY, large), (CACHE, SMALL)):
        x, y, z = (torch.ones(size, device=device) for _ in range(3))
        found[name] = Workload(run=lambda x=x, y=y, z=z: torch.add(x, y, alpha=2.0, out=z))  # type: ignore[misc]
    return found


def peak(seconds: Mapping[str, Sequence[float]], device: str) -> Peak:
    """The peak, from the seconds that the jobs took: the fastest, as others can only slow it down."""
    best = {name: min(seconds[name]) for name in (GEMM, MEMORY, CACHE)}
    return Peak(
        gflops=2 * ORDER[device] ** 3 / best[GEMM] / 1e9,
        memory=12 * LARGE[device] / best[MEMORY] / 1e9,
        cache=12 * SMALL / best[CACHE] / 1e9,
    )


def machine_info(device: str, settings: ProfileSettings) -> dict[str, Any]:
    """The machine and the software, and what they were told."""
    told: dict[str, Any] = {
        "device": device,
        "processor": torch.cuda.get_device_name() if device == "cuda" else processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": settings.threads,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "dtype": "float32, under autocast to bfloat16" if settings.precision == "bf16" else "float32",
        "float32_matmul_precision": settings.matmul_precision,
        "allocator": allocator(device),
        "recurrences": pick_backend(torch.zeros(1, device=device), units=settings.hidden_size),
    }
    if device == "cuda":
        with matmul_precision(settings.matmul_precision):
            told["tf32"] = {"products": torch.backends.cuda.matmul.allow_tf32, "cudnn": torch.backends.cudnn.allow_tf32}
    return told


def allocator(device: str) -> str:
    """Who hands out memory, with what settings."""
    if device == "cuda":
        settings = os.environ.get("PYTORCH_ALLOC_CONF") or os.environ.get("PYTORCH_CUDA_ALLOC_CONF")
        return f"PyTorch's for CUDA{f' ({settings})' if settings else ''}"
    chosen = {key: value for key, value in os.environ.items() if key.startswith(("MALLOC_", "GLIBC_TUNABLES"))}
    chosen |= {"LD_PRELOAD": os.environ["LD_PRELOAD"]} if os.environ.get("LD_PRELOAD") else {}
    told = [f"{key}={value}" for key, value in sorted(chosen.items())]
    return " ".join(["the system's, told to keep what is freed", *told] if malloc.kept else told) or "the system's"


Algorithm = Literal["standard", "persistent", "persistent for small sizes"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LSTMSize:
    """An LSTM of one layer and one direction, and what it runs on.

    Args:
        dtype: that cuDNN is given; autocast may choose another than its own.
        batch, input_size, units: sizes.
        capability: of the device, major and minor.
        multiprocessors: of the device.
    """

    dtype: torch.dtype
    batch: int
    input_size: int
    units: int
    capability: tuple[int, int]
    multiprocessors: int

    @property
    def forward(self) -> Algorithm:
        """Of the forward pass."""
        return self._algorithm(small=192)

    @property
    def backward(self) -> Algorithm:
        """Of the backward pass."""
        return self._algorithm(small=128)

    @property
    def missing(self) -> list[str]:
        """The conditions of the persistent algorithm, which keeps the weights on the chip, that are not met."""
        conditions = {
            "float16": self.dtype == torch.float16,
            "units a multiple of 128, and at most 1024": self.units % 128 == 0 and self.units <= 1024,
            "input size a multiple of 128": self.input_size % 128 == 0,
            "batch a multiple of 8, and at most 128": self.batch % 8 == 0 and self.batch <= 128,
            "compute capability 8 or more, save 8.6, and at least 98 multiprocessors": (
                self.capability[0] >= 8 and self.capability[1] != 6 and self.multiprocessors >= 98
            ),
        }
        return [name for name, met in conditions.items() if not met]

    def _algorithm(self, small: int) -> Algorithm:
        if self.dtype != torch.float64 and self.units <= small:
            return "persistent for small sizes"
        return "standard" if self.missing else "persistent"


def here(dtype: torch.dtype, batch: int, input_size: int, units: int) -> LSTMSize:
    """An LSTM on the CUDA device that is current."""
    found = torch.cuda.get_device_properties()
    return LSTMSize(
        dtype=dtype,
        batch=batch,
        input_size=input_size,
        units=units,
        capability=(found.major, found.minor),
        multiprocessors=found.multi_processor_count,
    )

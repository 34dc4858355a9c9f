"""This machine: its hardware and software, its measured peak, and the algorithm that cuDNN chooses for an LSTM."""

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
from workbench.cores import available_cores
from workbench.devices import matmul_precision, operand_dtype
from workbench.run import processor_name

MATRIX_SIZE = {"cpu": 2048, "cuda": 8192}
"""Rows and columns of the matrices that the peak is measured with, by device."""
MEMORY_VECTOR_SIZE = {"cpu": 2**24, "cuda": 2**27}
"""Numbers in each of three vectors that together exceed every cache, by device."""
CACHE_VECTOR_SIZE = 2**19
"""Numbers in each of three vectors, 6 MiB together, that fit into the last-level cache of almost every machine."""
MATRIX_PRODUCT, MEMORY, CACHE = "peak: product", "peak: memory", "peak: cache"
"""Names of the workloads that measure the peak."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peak:
    """The highest measured rates of the machine."""

    gflops: float
    """10^9 operations per second of a matrix product in the precision of the profile, two per multiply-add."""
    memory: float
    """10^9 bytes per second of c = a + 2 b for vectors in memory."""
    cache: float
    """The same for vectors in the last-level cache."""


def peak_workloads(device: str, settings: ProfileSettings) -> dict[str, Workload]:
    """Returns the workloads that measure the peak, by name."""
    rows = MATRIX_SIZE[device]
    a, b, c = (torch.ones(rows, rows, device=device, dtype=operand_dtype(settings.precision)) for _ in range(3))

    def multiply() -> None:
        with matmul_precision(settings.matmul_precision):
            torch.mm(a, b, out=c)

    workloads = {MATRIX_PRODUCT: Workload(run=multiply)}
    for name, size in ((MEMORY, MEMORY_VECTOR_SIZE[device]), (CACHE, CACHE_VECTOR_SIZE)):
        x, y, z = (torch.ones(size, device=device) for _ in range(3))
        workloads[name] = Workload(run=lambda x=x, y=y, z=z: torch.add(x, y, alpha=2.0, out=z))  # type: ignore[misc]
    return workloads


def compute_peak(seconds: Mapping[str, Sequence[float]], device: str) -> Peak:
    """Returns the peak from the fastest run of each workload, as other load can only slow them down.

    Args:
        seconds: seconds per run of the workloads, by name.
        device: cpu or cuda.
    """
    best = {name: min(seconds[name]) for name in (MATRIX_PRODUCT, MEMORY, CACHE)}
    return Peak(
        gflops=2 * MATRIX_SIZE[device] ** 3 / best[MATRIX_PRODUCT] / 1e9,
        memory=12 * MEMORY_VECTOR_SIZE[device] / best[MEMORY] / 1e9,
        cache=12 * CACHE_VECTOR_SIZE / best[CACHE] / 1e9,
    )


def machine_info(device: str, settings: ProfileSettings) -> dict[str, Any]:
    """Returns the machine, the versions of the software, and the settings that times depend on."""
    info: dict[str, Any] = {
        "device": device,
        "processor": torch.cuda.get_device_name() if device == "cuda" else processor_name(),
        "cores": available_cores(),
        "threads": settings.threads,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "dtype": "float32, under autocast to bfloat16" if settings.precision == "bf16" else "float32",
        "float32_matmul_precision": settings.matmul_precision,
        "allocator": describe_allocator(device),
        "recurrences": pick_backend(torch.zeros(1, device=device), units=settings.hidden_size),
    }
    if device == "cuda":
        with matmul_precision(settings.matmul_precision):
            info["tf32"] = {"products": torch.backends.cuda.matmul.allow_tf32, "cudnn": torch.backends.cudnn.allow_tf32}
    return info


def describe_allocator(device: str) -> str:
    """Returns the memory allocator, with its settings."""
    if device == "cuda":
        config = os.environ.get("PYTORCH_ALLOC_CONF") or os.environ.get("PYTORCH_CUDA_ALLOC_CONF")
        return f"PyTorch's for CUDA{f' ({config})' if config else ''}"
    variables = {key: value for key, value in os.environ.items() if key.startswith(("MALLOC_", "GLIBC_TUNABLES"))}
    variables |= {"LD_PRELOAD": os.environ["LD_PRELOAD"]} if os.environ.get("LD_PRELOAD") else {}
    settings = [f"{key}={value}" for key, value in sorted(variables.items())]
    if malloc.keeps_memory:
        settings = ["the system's, set to keep freed memory", *settings]
    return " ".join(settings) or "the system's"


Algorithm = Literal["standard", "persistent", "persistent for small sizes"]
"""Algorithms of cuDNN; the persistent ones keep the weights on the chip."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CudnnLSTM:
    """An LSTM with one layer and one direction on a CUDA device, by the conditions in PyTorch's source.

    Args:
        dtype: type of the data that cuDNN receives, which under autocast may not be autocast's own.
        batch: sequences in a batch.
        input_size: features per step.
        units: units of the LSTM.
        capability: compute capability of the device, major and minor.
        multiprocessors: number of multiprocessors of the device.
    """

    dtype: torch.dtype
    batch: int
    input_size: int
    units: int
    capability: tuple[int, int]
    multiprocessors: int

    @property
    def forward_algorithm(self) -> Algorithm:
        """Algorithm of the forward pass."""
        return self._algorithm(small=192)

    @property
    def backward_algorithm(self) -> Algorithm:
        """Algorithm of the backward pass."""
        return self._algorithm(small=128)

    @property
    def unmet_conditions(self) -> list[str]:
        """The conditions of the persistent algorithm that are not met."""
        conditions = {
            "float16": self.dtype == torch.float16,
            "units a multiple of 128, and at most 1024": self.units % 128 == 0 and self.units <= 1024,
            "input size a multiple of 128": self.input_size % 128 == 0,
            "batch a multiple of 8, and at most 128": self.batch % 8 == 0 and self.batch <= 128,
            "compute capability 8 or more, except 8.6, and at least 98 multiprocessors": (
                self.capability[0] >= 8 and self.capability[1] != 6 and self.multiprocessors >= 98
            ),
        }
        return [name for name, met in conditions.items() if not met]

    def _algorithm(self, small: int) -> Algorithm:
        if self.dtype != torch.float64 and self.units <= small:
            return "persistent for small sizes"
        return "standard" if self.unmet_conditions else "persistent"


def lstm_on_current_device(dtype: torch.dtype, batch: int, input_size: int, units: int) -> CudnnLSTM:
    """Returns an LSTM on the current CUDA device."""
    device = torch.cuda.get_device_properties()
    return CudnnLSTM(
        dtype=dtype,
        batch=batch,
        input_size=input_size,
        units=units,
        capability=(device.major, device.minor),
        multiprocessors=device.multi_processor_count,
    )

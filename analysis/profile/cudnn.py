"""Which of cuDNN's algorithms PyTorch asks for, for an LSTM of one layer.

By the conditions in PyTorch's source (aten/src/ATen/native/cudnn/RNN.cpp, `get_algo`), not by observation.
"""

from dataclasses import dataclass
from typing import Literal

import torch

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

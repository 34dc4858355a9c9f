"""The device that float64 numbers are computed on: the GPU of a Mac has none."""

import torch

CPU = torch.device("cpu")
WITHOUT_FLOAT64 = frozenset({"mps"})
"""Kinds of devices that have no float64."""


def float64_device(device: torch.device) -> torch.device:
    """Returns the device on which float64 numbers for a device are computed: itself, or the CPU if it has none."""
    return CPU if device.type in WITHOUT_FLOAT64 else device

"""Simulated device for tests without a GPU: called `meta`, computed on the CPU, as strict as a GPU."""

import functools
from contextlib import nullcontext
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

# While the fixture replaces torch.Generator, this must not be imported for the first time: it names it in a signature.
import torch.distributed.tensor._random
from torch import Tensor
from torch.utils._mode_utils import no_dispatch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from workbench.data.own import dataset
from workbench.tasks import digits, epochs, mnist, one_to_many, text

OTHER_DEVICE = torch.device("meta")
"""The one device of PyTorch that needs no hardware and whose backward pass runs on the CPU."""
CPU = torch.device("cpu")
CROSS_DEVICE_OPS = (torch.ops.aten._to_copy, torch.ops.aten.copy_, torch.ops.aten.copy)
"""Operations that may have operands on two devices."""
TorchGenerator = torch.Generator
"""The original class, which the fixture replaces."""


class OtherDeviceTensor(Tensor):
    """Tensor on the other device. It has no data there: reading it (`numpy`, `data_ptr`) fails."""

    cpu_tensor: Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @staticmethod
    def __new__(cls, cpu_tensor: Tensor) -> "OtherDeviceTensor":
        tensor: OtherDeviceTensor = torch.Tensor._make_wrapper_subclass(
            cls,
            cpu_tensor.shape,
            strides=cpu_tensor.stride(),
            storage_offset=cpu_tensor.storage_offset(),
            dtype=cpu_tensor.dtype,
            device=OTHER_DEVICE,
            requires_grad=cpu_tensor.requires_grad,
        )
        tensor.cpu_tensor = cpu_tensor
        return tensor

    def numpy(self, *, force: bool = False) -> np.ndarray:
        """Returns an array only if forced, as a tensor on a GPU does."""
        if not force:
            raise TypeError("can't convert a tensor on another device to numpy")
        return np.asarray(self.detach().cpu().numpy())

    def tolist(self) -> Any:
        """Returns the numbers, fetched from the device."""
        return self.detach().cpu().tolist()

    def uniform_(self, low: float = 0, high: float = 1, *, generator: Any = None) -> Tensor:
        """Fills the tensor, also from a generator of the other device."""
        return support_generators(super().uniform_)(low, high, generator=generator)  # type: ignore[no-any-return]

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        return dispatch(func, args, kwargs or {})


class OtherDeviceMode(TorchDispatchMode):
    """Mode in which new tensors may be created on the other device."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return dispatch(func, args, kwargs or {})


def dispatch(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Computes an operation on the device of its operands.

    Raises:
        RuntimeError: if they are on two devices. A number (a tensor without dimensions) may come from the CPU to an
            elementwise operation, unless it is the operand that is written to.
    """
    leaves = tree_leaves((args, kwargs))
    on_other = [leaf for leaf in leaves if isinstance(leaf, OtherDeviceTensor)]
    on_cpu = [leaf for leaf in leaves if isinstance(leaf, Tensor) and not isinstance(leaf, OtherDeviceTensor)]
    device = kwargs.get("device")
    if func.overloadpacket in CROSS_DEVICE_OPS:
        to_other = isinstance(args[0], OtherDeviceTensor) if device is None else torch.device(device) == OTHER_DEVICE
    else:
        to_other = bool(on_other) if device is None else torch.device(device) == OTHER_DEVICE
        numbers = torch.Tag.pointwise in func.tags and not any(tensor.dim() for tensor in on_cpu)
        writes_to_cpu = func._schema.name[-1] == "_" and not isinstance(args[0], OtherDeviceTensor)
        if on_other and on_cpu and (writes_to_cpu or not numbers):
            raise RuntimeError(f"{func}: operands on two devices")
    if any(isinstance(leaf, TorchGenerator) for leaf in leaves) and to_other != OtherDeviceGenerator.in_use:
        raise RuntimeError(f"{func}: a generator of another device")
    cpu_args, cpu_kwargs = tree_map(
        lambda leaf: leaf.cpu_tensor if isinstance(leaf, OtherDeviceTensor) else leaf, (args, kwargs)
    )
    if device is not None:
        cpu_kwargs["device"] = CPU
    result = func(*cpu_args, **cpu_kwargs)
    if not to_other:
        return result
    if torch.Tag.inplace_view in func.tags:
        # A transposition in place changes the shape of the operand too.
        with no_dispatch():
            func(*args, **kwargs)
    # An operand that is written in place is returned itself.
    operands = {id(tensor.cpu_tensor): tensor for tensor in on_other}

    def wrap(leaf: Any) -> Any:
        if not isinstance(leaf, Tensor):
            return leaf
        return operands[id(leaf)] if id(leaf) in operands else OtherDeviceTensor(leaf)

    return tree_map(wrap, result)


class OtherDeviceGenerator:
    """Generator of the other device. The CPU draws its numbers, so they are the same."""

    device = OTHER_DEVICE
    in_use: ClassVar[bool] = False
    """True while one of them is drawing."""

    def __init__(self) -> None:
        self.cpu_generator = TorchGenerator()

    def manual_seed(self, seed: int) -> "OtherDeviceGenerator":
        """Starts again from a seed."""
        self.cpu_generator.manual_seed(seed)
        return self


def make_generator(device: torch.device | str = CPU) -> Any:
    """Returns a generator of any device, as `torch.Generator` does."""
    return OtherDeviceGenerator() if torch.device(device) == OTHER_DEVICE else TorchGenerator(device)


def support_generators(draw: Any) -> Any:
    """Returns a random function of PyTorch that also takes a generator of the other device."""

    @functools.wraps(draw)
    def wrapper(*args: Any, generator: Any = None, **options: Any) -> Any:
        if not isinstance(generator, OtherDeviceGenerator):
            return draw(*args, **options) if generator is None else draw(*args, generator=generator, **options)
        OtherDeviceGenerator.in_use = True
        try:
            return draw(*args, generator=generator.cpu_generator, **options)
        finally:
            OtherDeviceGenerator.in_use = False

    return wrapper


@pytest.fixture
def other_device(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The other device, usable while the test runs."""
    # PyTorch's autocast does not support it.
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda kind="cpu": False)
    monkeypatch.setattr(torch, "autocast", lambda *args, **options: nullcontext())
    monkeypatch.setattr(torch, "Generator", make_generator)
    for name in ("rand", "randn", "randint", "randperm"):
        monkeypatch.setattr(torch, name, support_generators(getattr(torch, name)))
    clear_task_caches()
    with OtherDeviceMode():
        yield OTHER_DEVICE
    clear_task_caches()


def clear_task_caches() -> None:
    """Clears the tensors that tasks cache by device, as other tests use the same device as it is."""
    for cached in (
        *(digits.load_split, epochs.epoch_permutation, mnist.pixel_order, mnist.load_split, text.load_part),
        *(one_to_many.spellings, dataset._load),
    ):
        cached.cache_clear()

"""A device that any machine has: it says `meta`, computes on the CPU, and refuses what a GPU would refuse."""

import functools
from contextlib import nullcontext
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._mode_utils import no_dispatch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from workbench.tasks import digits, epochs, mnist, text

ELSEWHERE = torch.device("meta")
"""Of PyTorch's devices the one that needs no hardware, and whose tensors it goes back through on the CPU."""
CPU = torch.device("cpu")
CROSSING = (torch.ops.aten._to_copy, torch.ops.aten.copy_, torch.ops.aten.copy)
"""What may take operands on two devices."""
GENERATOR = torch.Generator


class Away(Tensor):
    """A tensor elsewhere. It has no data of its own: what would read it there (`numpy`, `data_ptr`) fails."""

    held: Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @staticmethod
    def __new__(cls, held: Tensor) -> "Away":
        made: Away = torch.Tensor._make_wrapper_subclass(
            cls,
            held.shape,
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=ELSEWHERE,
            requires_grad=held.requires_grad,
        )
        made.held = held
        return made

    def numpy(self, *, force: bool = False) -> np.ndarray:
        """Of what is elsewhere, as of what is on a GPU, there is an array only by force."""
        if not force:
            raise TypeError("can't convert a tensor elsewhere to numpy")
        return np.asarray(self.detach().cpu().numpy())

    def tolist(self) -> Any:
        """The numbers, fetched."""
        return self.detach().cpu().tolist()

    def uniform_(self, low: float = 0, high: float = 1, *, generator: Any = None) -> Tensor:
        """As `drawing` has it."""
        return drawing(super().uniform_)(low, high, generator=generator)  # type: ignore[no-any-return]

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        return dispatched(func, args, kwargs or {})


class Elsewhere(TorchDispatchMode):
    """While it holds, tensors are made there too."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return dispatched(func, args, kwargs or {})


def dispatched(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Computes where the operands are.

    Raises:
        RuntimeError: if they are on two devices. A number (a tensor without dimensions) may come from the CPU to what
            goes element by element, if it is not what is written.
    """
    given = [each for each in tree_leaves((args, kwargs)) if isinstance(each, Tensor)]
    away = [each for each in given if isinstance(each, Away)]
    here = [each for each in given if not isinstance(each, Away)]
    named = kwargs.get("device")
    if func.overloadpacket in CROSSING:
        there = isinstance(args[0], Away) if named is None else torch.device(named) == ELSEWHERE
    else:
        there = bool(away) if named is None else torch.device(named) == ELSEWHERE
        numbers = torch.Tag.pointwise in func.tags and not any(each.dim() for each in here)
        if away and here and not (numbers and isinstance(args[0], Away) | (func._schema.name[-1] != "_")):
            raise RuntimeError(f"{func}: operands on two devices")
    if any(isinstance(each, GENERATOR) for each in tree_leaves((args, kwargs))) and there != Generator.drawing:
        raise RuntimeError(f"{func}: a generator of another device")
    plain_args, plain_kwargs = tree_map(lambda each: each.held if isinstance(each, Away) else each, (args, kwargs))
    if named is not None:
        plain_kwargs["device"] = CPU
    out = func(*plain_args, **plain_kwargs)
    if not there:
        return out
    if torch.Tag.inplace_view in func.tags:
        # A transposition in place: the form is the operand's own, too.
        with no_dispatch():
            func(*args, **kwargs)
    # What is written in place is the operand itself.
    known = {id(each.held): each for each in away}

    def wrapped(each: Any) -> Any:
        if not isinstance(each, Tensor):
            return each
        return known[id(each)] if id(each) in known else Away(each)

    return tree_map(wrapped, out)


class Generator:
    """Random numbers of there: the same as those of the CPU, as it is the CPU that draws them."""

    device = ELSEWHERE
    drawing: ClassVar[bool] = False
    """Whether one of them is just used."""

    def __init__(self) -> None:
        self.held = GENERATOR()

    def manual_seed(self, seed: int) -> "Generator":
        """Begins anew."""
        self.held.manual_seed(seed)
        return self


def generator(device: torch.device | str = CPU) -> Any:
    """`torch.Generator`, also of there."""
    return Generator() if torch.device(device) == ELSEWHERE else GENERATOR(device)


def drawing(draw: Any) -> Any:
    """A function of PyTorch that takes such a generator, too."""

    @functools.wraps(draw)
    def drawn(*args: Any, generator: Any = None, **options: Any) -> Any:
        if not isinstance(generator, Generator):
            return draw(*args, **options) if generator is None else draw(*args, generator=generator, **options)
        Generator.drawing = True
        try:
            return draw(*args, generator=generator.held, **options)
        finally:
            Generator.drawing = False

    return drawn


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The device, for a test."""
    # PyTorch's autocast does not know it.
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda kind="cpu": False)
    monkeypatch.setattr(torch, "autocast", lambda *args, **options: nullcontext())
    monkeypatch.setattr(torch, "Generator", generator)
    for name in ("rand", "randn", "randint", "randperm"):
        monkeypatch.setattr(torch, name, drawing(getattr(torch, name)))
    forget()
    with Elsewhere():
        yield ELSEWHERE
    forget()


def forget() -> None:
    """What tasks keep for the device: others pretend that it is theirs."""
    for kept in (digits.examples, epochs.permutation, mnist.permutation, mnist.split_of, text.part_of):
        kept.cache_clear()

"""A device that any machine has: it says `meta`, computes on the CPU, and refuses what a GPU would refuse."""

from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._mode_utils import no_dispatch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

ELSEWHERE = torch.device("meta")
"""Of PyTorch's devices the one that needs no hardware, and whose tensors it goes back through on the CPU."""
CROSSING = (torch.ops.aten._to_copy, torch.ops.aten.copy_, torch.ops.aten.copy)
"""What may take operands on two devices."""


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
        RuntimeError: if they are on two devices; a number (a tensor without dimensions) may come from the CPU.
    """
    given = [each for each in tree_leaves((args, kwargs)) if isinstance(each, Tensor)]
    away = [each for each in given if isinstance(each, Away)]
    named = kwargs.get("device")
    if func.overloadpacket in CROSSING:
        there = isinstance(args[0], Away) if named is None else torch.device(named) == ELSEWHERE
    else:
        there = bool(away) if named is None else torch.device(named) == ELSEWHERE
        if away and any(each.dim() and not isinstance(each, Away) for each in given):
            raise RuntimeError(f"{func}: operands on two devices")
    plain_args, plain_kwargs = tree_map(lambda each: each.held if isinstance(each, Away) else each, (args, kwargs))
    if named is not None:
        plain_kwargs["device"] = torch.device("cpu")
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


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The device, for a test."""
    # PyTorch's autocast does not know it.
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda kind="cpu": False)
    monkeypatch.setattr(torch, "autocast", lambda *args, **options: nullcontext())
    with Elsewhere():
        yield ELSEWHERE

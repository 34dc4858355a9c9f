"""What a CUDA graph does, without a GPU: the same operations once more, in the same memory, and no Python."""

from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Tape(TorchDispatchMode):
    """Operations with their operands and results, which it keeps alive."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, Any, Any, Any]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        self.calls.append((func, args, kwargs or {}, out))
        return out

    def replay(self) -> None:
        """Does all of them again; new results go to where the recorded ones lie."""
        for func, args, kwargs, out in self.calls:
            for old, new in zip(tree_leaves(out), tree_leaves(func(*args, **kwargs)), strict=True):
                if isinstance(old, Tensor) and old.data_ptr() != new.data_ptr():
                    old.copy_(new)


def recorded(work: Callable[[], object]) -> Callable[[], None]:
    """Does the work twice on whatever is there, as before a capture and as a capture that computed would, and returns
    its replay."""
    work()
    tape = Tape()
    with tape:
        work()
    return tape.replay

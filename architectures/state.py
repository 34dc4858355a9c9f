"""State is opaque to everyone but its encoder: a tree of tuples whose leaves are tensors, or `None` at the start."""

from collections.abc import Callable, Iterator

from torch import Tensor

State = Tensor | tuple["State", ...] | None


def map_state(function: Callable[[Tensor], Tensor], state: State) -> State:
    """Applies `function` to every tensor of the tree and keeps its shape."""
    if state is None:
        return None
    if isinstance(state, Tensor):
        return function(state)
    return tuple(map_state(function, branch) for branch in state)


def tensors(state: State) -> Iterator[Tensor]:
    """The tensors of the tree, from left to right."""
    if isinstance(state, Tensor):
        yield state
    elif state is not None:
        for branch in state:
            yield from tensors(branch)


def detach(state: State) -> State:
    """The same state, cut off from the graph that made it: what truncated backpropagation carries over."""
    return map_state(Tensor.detach, state)

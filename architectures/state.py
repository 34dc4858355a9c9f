"""The state of an encoder: a tree of tuples with tensors as leaves, or `None` at the start.

Only the encoder itself knows what the tensors mean.
"""

from collections.abc import Callable, Iterator

from torch import Tensor

State = Tensor | tuple["State", ...] | None


def map_state(function: Callable[[Tensor], Tensor], state: State) -> State:
    """Applies `function` to every tensor of a state and returns a tree of the same shape."""
    if state is None:
        return None
    if isinstance(state, Tensor):
        return function(state)
    return tuple(map_state(function, branch) for branch in state)


def iter_tensors(state: State) -> Iterator[Tensor]:
    """Iterates over the tensors of a state, from left to right."""
    if isinstance(state, Tensor):
        yield state
    elif state is not None:
        for branch in state:
            yield from iter_tensors(branch)


def detach(state: State) -> State:
    """Returns the state detached from its autograd graph, as truncated backpropagation carries it over."""
    return map_state(Tensor.detach, state)

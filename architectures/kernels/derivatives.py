"""What gradients written by hand have in common."""

import functools
from collections.abc import Callable
from typing import Any

import torch


def once_differentiable(backward: Callable[..., Any]) -> Callable[..., Any]:
    """Makes the backward pass of a `torch.autograd.Function` refuse to be differentiated, as soon as that is prepared.

    PyTorch's decorator of this name puts its error at the end of paths that `torch.autograd.grad` does not follow to a
    given input: where another path leads there, the second derivative is wrong, and nothing is said.

    Raises:
        RuntimeError: if the gradient is taken with `create_graph=True`.
    """

    @functools.wraps(backward)
    def checked(ctx: Any, *grads: Any) -> Any:
        if torch.is_grad_enabled():
            raise RuntimeError(
                "a gradient that is written by hand can be taken once, not with create_graph=True; within "
                "architectures.recording.transformed() PyTorch derives it, as often as it can"
            )
        return backward(ctx, *grads)

    return checked

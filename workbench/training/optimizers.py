"""Optimisers, and the schedule of the learning rate."""

import math
from collections.abc import Iterable

import torch

from workbench.config import Optimization


def make_optimizer(
    options: Optimization, parameters: Iterable[torch.nn.Parameter], *, fused: bool = True
) -> torch.optim.Optimizer:
    """Returns the optimiser that the options name, in PyTorch's fused version if it has one.

    For small models, the many small operations of the other versions take as long as a gradient.

    Args:
        options: the optimiser and its settings.
        parameters: what it is to change.
        fused: false where the fused version cannot be used.
    """
    rate, decay, momentum = options.learning_rate, options.weight_decay, options.momentum
    match options.optimizer:
        case "adam":
            return torch.optim.Adam(parameters, lr=rate, weight_decay=decay, fused=fused)
        case "adamw":
            return torch.optim.AdamW(parameters, lr=rate, weight_decay=decay, fused=fused)
        case "rmsprop":
            return torch.optim.RMSprop(parameters, lr=rate, weight_decay=decay, momentum=momentum)
        case "sgd":
            return torch.optim.SGD(parameters, lr=rate, weight_decay=decay, momentum=momentum, fused=fused)


def learning_rate_factor(options: Optimization, step: int, steps: float) -> float:
    """Returns the factor on the learning rate at a step, counted from 0.

    It rises linearly over the warm-up, then follows the schedule, which reaches 0 after the last of `steps`.
    """
    if step < options.warmup_steps:
        return (step + 1) / options.warmup_steps
    progress = min(1.0, (step - options.warmup_steps) / max(1, steps - options.warmup_steps))
    match options.schedule:
        case "constant":
            return 1.0
        case "linear":
            return 1.0 - progress
        case "cosine":
            return (1 + math.cos(math.pi * progress)) / 2

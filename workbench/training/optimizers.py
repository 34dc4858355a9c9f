"""Optimisers, groups of parameters, and the schedule of the learning rate."""

import math
from typing import Any

import torch
from torch.optim.optimizer import ParamsT

from architectures.parameter_rules import ParameterRule, find_rules
from workbench.config import Optimization


def make_optimizer(options: Optimization, parameters: ParamsT, *, fused: bool = True) -> torch.optim.Optimizer:
    """Returns the optimiser that the options name, in PyTorch's fused version if it has one.

    For small models, the many small operations of the other versions take as long as a gradient.

    Args:
        options: the optimiser and its settings.
        parameters: what it is to change, or groups from `parameter_groups`.
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


def parameter_groups(options: Optimization, module: torch.nn.Module, encoder: torch.nn.Module) -> list[dict[str, Any]]:
    """Returns the groups of a module's parameters that are trained alike, for PyTorch's optimisers.

    Those for which the encoder has no rule come first; they are the only group where it has none.

    Args:
        options: the optimiser's settings.
        module: all of what is trained.
        encoder: the part of it that may have rules (`architectures.parameter_rules`).
    """
    named = dict(encoder.named_parameters())
    rules = {id(named[name]): rule for name, rule in find_rules(encoder).items()}
    groups: dict[ParameterRule, list[torch.nn.Parameter]] = {ParameterRule(): []}
    for parameter in module.parameters():
        groups.setdefault(rules.get(id(parameter), ParameterRule()), []).append(parameter)
    return [
        {
            "params": parameters,
            "lr": options.learning_rate * rule.rate,
            "weight_decay": options.weight_decay if rule.decay else 0.0,
        }
        for rule, parameters in groups.items()
        if parameters
    ]


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

"""The least memory that an experiment needs, in closed form, so that one too large is refused before it is built.

A system that lends more memory than it has ends a process without a word once that is used, or drags the whole machine
down before. The estimate counts what no way of training does without; the true need is a small multiple of it.
"""

import os
from contextlib import suppress
from pathlib import Path

import torch
from torch import nn
from tqdm import tqdm

from architectures import Encoder
from workbench.config import Budget, Experiment
from workbench.custom_parts import user_errors
from workbench.errors import UserError
from workbench.model import count_trainable_parameters, meta_model
from workbench.tasks import Task
from workbench.tasks import build as build_task

NUMBER, SYMBOL = 4, 8
"""Bytes of a float32, and of a symbol."""
AVERAGES = {"adam": 2, "adamw": 2, "rmsprop": 1, "sgd": 0}
"""Numbers that an optimiser keeps for each parameter, without momentum."""
CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def check_memory(experiment: Experiment, device: str = "cpu", seeds: int = 1) -> None:
    """Refuses an experiment that needs more memory than the machine has.

    Args:
        experiment: what is to be trained.
        device: `cpu` or `cuda`.
        seeds: how many seeds of it are trained at a time in one process.

    Raises:
        UserError: that says how much it needs, what for, and which options decide it.
        Exception: whatever the architecture or the task raises, if one of them cannot be built.
    """
    owner = f"{experiment.architecture.name} on {experiment.task.name}"
    owner += f", {seeds} seeds at once," if seeds > 1 else ""
    optimization, budget = experiment.optimization, experiment.budget
    task = build_task(experiment.task.name, **experiment.task.arguments)
    model = meta_model(task, experiment.architecture, experiment.embedding_size)
    copies = 2 + AVERAGES[optimization.optimizer] + (optimization.momentum > 0)
    weights = NUMBER * copies * count_trainable_parameters(model)
    needs = {
        f"the weights and what their optimiser keeps of them ({', '.join(size_options(experiment))})": weights,
        f"a batch ({budget.batch_size:,} sequences of {task.steps:,} steps)": (
            batch_bytes(task, budget.batch_size, model.encoder)
        ),
        f"validation and test sets ({budget.evaluation_size:,} sequences of {task.steps:,} steps each)": (
            fixed_set_bytes(task, budget)
        ),
    }
    refuse_beyond({name: seeds * size for name, size in needs.items()}, owner, device)


def check_weights(experiment: Experiment) -> None:
    """Refuses an experiment whose weights alone, untrained, are more than the machine has memory for.

    Raises:
        UserError: that says how much they take.
    """
    owner = f"{experiment.architecture.name} on {experiment.task.name}"
    with user_errors(owner):
        task = build_task(experiment.task.name, **experiment.task.arguments)
        model = meta_model(task, experiment.architecture, experiment.embedding_size)
        size = NUMBER * count_trainable_parameters(model)
    refuse_beyond({f"the weights ({', '.join(size_options(experiment))})": size}, owner, "cpu")


def refuse_beyond(needs: dict[str, int], owner: str, device: str) -> None:
    """Refuses what needs more memory than the machine has.

    Args:
        needs: bytes, by what they are for.
        owner: what needs them, for the message.
        device: `cpu` or `cuda`.

    Raises:
        UserError: that names the largest of the needs.
    """
    total, available = sum(needs.values()), device_memory(device)
    if available is not None and total > available:
        most = max(needs, key=lambda name: needs[name])
        where = "the GPU" if device == "cuda" else "this machine"
        raise UserError(
            f"{owner} needs at least {format_size(total)} of memory, and {where} has {format_size(available)}; "
            f"{format_size(needs[most])} of it are for {most}"
        )


def size_options(experiment: Experiment) -> list[str]:
    """Returns the options that decide how many weights there are, as they are set."""
    options = experiment.architecture.options
    sizes = {key: options[key] for key in ("hidden_size", "num_layers", "kernel_size") if options.get(key) is not None}
    if experiment.embedding_size is not None:
        sizes["embedding_size"] = experiment.embedding_size
    return [f"{key} {value}" for key, value in sizes.items()] or ["its options"]


def batch_bytes(task: Task, size: int, encoder: Encoder) -> int:
    """Returns the bytes of a training batch: inputs, the output of every layer, predictions and the state."""
    every = task.readout == "every"
    layers = max((len(module) for module in encoder.modules() if isinstance(module, nn.ModuleList)), default=1)
    per_step = NUMBER * (encoder.input_size + layers * encoder.output_size + (task.output_size if every else 0))
    per_step += SYMBOL if task.symbols is not None else 0
    # One that is not causal has its input as its state.
    state = NUMBER * encoder.state_size(task.steps) if encoder.causal else 0
    return size * (task.steps * per_step + state)


def fixed_set_bytes(task: Task, budget: Budget) -> int:
    """Returns the bytes of the validation and the test set, of a task that draws as many as it is asked for."""
    if type(task).fixed is not Task.fixed:
        return 0
    per_step = SYMBOL if task.symbols is not None else NUMBER * task.input_size
    return 2 * budget.evaluation_size * task.steps * per_step


def device_memory(device: str) -> int | None:
    """Returns the bytes of memory of a device, free or not; `None` if the system does not say."""
    if device == "cuda" and not torch.cuda.is_available():
        return None
    if device == "cuda":
        return int(torch.cuda.get_device_properties(torch.cuda.current_device()).total_memory)
    sizes = []
    # Windows has no sysconf.
    with suppress(ValueError, OSError, AttributeError):
        sizes.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    for path in CGROUP_LIMITS:
        # "max" where there is no limit.
        with suppress(ValueError, OSError):
            sizes.append(int(Path(path).read_text(encoding="utf-8")))
    return min((size for size in sizes if size > 0), default=None)


def format_size(size: int) -> str:
    """Returns a number of bytes in words.

    Example:
        >>> format_size(640 * 10**9)
        '640GB'
    """
    return f"{tqdm.format_sizeof(size)}B"

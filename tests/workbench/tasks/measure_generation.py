"""Time to make a batch, compared with the cheapest training step that could use it.

    python -m tests.workbench.tasks.measure_generation

One thread of the CPU. The step is forward, backward and Adam of an LSTM of one unit on as many sequences of the same
length, so every other architecture's share is smaller.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch

from workbench import tasks

BOUND = 0.1
REPEATS = 60


def main() -> None:
    """Prints a row for each task, length and batch size."""
    torch.set_num_threads(1)
    print(f"{'task':<17}{'options':<15}{'steps':>6}{'batch':>7}{'make, ms':>10}{'step, ms':>10}{'share':>8}")
    worst = 0.0
    for name in tasks.names():
        for options in option_sets(name):
            task = tasks.build(name, **options)
            for size in (20, 100):
                make_seconds, step_seconds = medians(generation(task, size), training(task, size))
                worst = max(worst, make_seconds / step_seconds)
                options_text = ", ".join(f"{key}={value}" for key, value in options.items()) or "default"
                print(
                    f"{name:<17}{options_text:<15}{task.steps:>6}{size:>7}{make_seconds * 1e3:>10.3f}"
                    f"{step_seconds * 1e3:>10.2f}{make_seconds / step_seconds:>8.1%}"
                )
    print(f"worst: {worst:.1%}, allowed: {BOUND:.0%}")


def option_sets(name: str) -> list[dict[str, Any]]:
    """Returns the default options, and length 1000 if the task has a length."""
    return [{}, {"length": 1000}] if "length" in tasks.options(name) else [{}]


def generation(task: tasks.Task, size: int) -> Callable[[int], object]:
    """Returns a function that makes the training batch of a step."""
    device = torch.device("cpu")
    return lambda step: task.train(step, size, 0, device)


def training(task: tasks.Task, size: int) -> Callable[[int], object]:
    """Returns a function that makes one training step; its input exists already, so that only the model counts."""
    lstm = torch.nn.LSTM(task.input_size, 1, batch_first=True)
    adam = torch.optim.Adam(lstm.parameters())
    x = torch.randn(size, task.steps, task.input_size)

    def step(_: int) -> None:
        adam.zero_grad()
        y, _state = lstm(x)
        y.square().mean().backward()
        adam.step()

    return step


def medians(*actions: Callable[[int], object]) -> list[float]:
    """Returns the median seconds of each action, taken in turns so that a busy machine slows them alike."""
    seconds: list[list[float]] = [[] for _ in actions]
    for step in range(REPEATS + 2):
        for action, times in zip(actions, seconds, strict=True):
            start = time.perf_counter()
            action(step)
            times.append(time.perf_counter() - start)
    return [statistics.median(times[2:]) for times in seconds]  # the first two warm up


if __name__ == "__main__":
    main()

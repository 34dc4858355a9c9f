"""Training in processes side by side on one device."""

import multiprocessing
import queue
import time
from pathlib import Path
from typing import Any

PATIENCE = 80
"""Seconds that all processes together may take."""


def train(device: str, architecture: str, steps: int, out: Path, barrier: Any, answers: Any) -> None:
    """Waits for the other processes, trains, and answers with all digits of the loss on the test set."""
    from tests.workbench.experiments import small
    from workbench.run import RunDevice, run
    from workbench.training.trainer import silence_lightning

    silence_lightning()
    experiment = small(architecture, steps=steps, task_options={"length": 50})
    try:
        # Work of the first use is done before, so that the processes really run side by side.
        run(small(architecture, steps=1), out / "first", RunDevice(device=device))
        barrier.wait(PATIENCE)
        finished = run(experiment, out / "all", RunDevice(device=device))
        assert finished is not None
        answers.put(repr(finished.result["test"]["loss"]))
    except BaseException as error:
        barrier.abort()
        answers.put(f"{type(error).__name__}: {error}")


def train_side_by_side(number: int, device: str, architecture: str, steps: int, out: Path) -> list[str]:
    """Runs the same training in `number` processes at the same time; returns their answers."""
    context = multiprocessing.get_context("spawn")
    barrier, answers = context.Barrier(number), context.Queue()
    processes = [
        context.Process(target=train, args=(device, architecture, steps, out / str(index), barrier, answers))
        for index in range(number)
    ]
    for process in processes:
        process.start()
    deadline = time.monotonic() + PATIENCE
    try:
        return [answers.get(timeout=max(0.0, deadline - time.monotonic())) for _ in processes]
    except queue.Empty:
        return ["no answer"]
    finally:
        for process in processes:
            process.join(5)
            if process.is_alive():
                process.kill()
                process.join()

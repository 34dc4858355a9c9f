"""Trains in processes side by side on one device."""

import multiprocessing
import queue
import time
from pathlib import Path
from typing import Any

PATIENCE = 80
"""Seconds for all of them."""


def train(device: str, architecture: str, steps: int, out: Path, barrier: Any, answers: Any) -> None:
    """Waits for the others, trains, and answers with what the test set says, all digits of it."""
    from tests.workbench.experiments import small
    from workbench.run import RunDevice, run, silence_lightning

    silence_lightning()
    experiment = small(architecture, steps=steps, task_options={"length": 50})
    try:
        # What is made at the first use is made before, so that they really run side by side.
        run(small(architecture, steps=1), out / "first", RunDevice(device=device))
        barrier.wait(PATIENCE)
        run_ = run(experiment, out / "all", RunDevice(device=device))
        assert run_ is not None
        answers.put(repr(run_.result["test"]["loss"]))
    except BaseException as error:
        barrier.abort()
        answers.put(f"{type(error).__name__}: {error}")


def together(number: int, device: str, architecture: str, steps: int, out: Path) -> list[str]:
    """What each of so many processes answers, that run the same at the same time."""
    context = multiprocessing.get_context("spawn")
    barrier, answers = context.Barrier(number), context.Queue()
    made = [
        context.Process(target=train, args=(device, architecture, steps, out / str(place), barrier, answers))
        for place in range(number)
    ]
    for process in made:
        process.start()
    until = time.monotonic() + PATIENCE
    try:
        return [answers.get(timeout=max(0.0, until - time.monotonic())) for _ in made]
    except queue.Empty:
        return ["no answer"]
    finally:
        for process in made:
            process.join(5)
            if process.is_alive():
                process.kill()
                process.join()

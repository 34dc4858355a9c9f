"""Lanes: several runs side by side in one process, whose gradients are computed together.

Each lane is a run as any other, with its own trainer, callbacks, files and locks, in a thread of its own. But no two of
them ever move at the same time: one after another is let go until it needs gradients, and once all of them do, the
calling thread computes those of all. So nothing depends on chance, and global state, such as that of the random
numbers, is no more shared than by runs one after another. A lane that ends leaves the others to themselves.
"""

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from torch import Tensor

from workbench.denormals import flushed_denormals
from workbench.training.batches import TrainingBatch
from workbench.training.callbacks.record import TrainingClock
from workbench.training.sequence_module import SequenceModule
from workbench.training.stacked_gradients import Step, compute_alone, compute_together, describe_obstacle


class AbandonedError(BaseException):
    """The lanes are given up, because the thread that leads them was interrupted."""


class SharedTime:
    """Seconds of training that all lanes have an equal share of.

    They pass while gradients are computed, and while a lane is moving whose clock runs. What each lane's clock shows is
    its part of what the stack has taken, so that those of all lanes add up to it.

    Args:
        sharers: how many lanes there are.
        now: returns seconds since some moment.
    """

    def __init__(self, sharers: int, now: Callable[[], float] = time.perf_counter) -> None:
        self.sharers, self._now = sharers, now
        self._before = 0.0
        self._since: float | None = None

    def seconds(self) -> float:
        """Returns the seconds of a lane so far."""
        running = 0.0 if self._since is None else (self._now() - self._since) / self.sharers
        return self._before + running

    def run(self) -> None:
        """Lets the time pass."""
        if self._since is None:
            self._since = self._now()

    def pause(self) -> None:
        """Stops it."""
        self._before, self._since = self.seconds(), None

    def share(self, sharers: int) -> None:
        """Divides the time from now on by another number of lanes."""
        running = self._since is not None
        self.pause()
        self.sharers = sharers
        if running:
            self.run()


class LaneClock(TrainingClock):
    """The training clock of a lane, which stops the time for all lanes when it stops: none of them moves meanwhile.

    Args:
        shared: the time of all lanes.
    """

    def __init__(self, shared: SharedTime) -> None:
        super().__init__(shared.seconds)
        self._shared = shared

    def start(self) -> None:
        """Lets the clock run."""
        self._shared.run()
        super().start()

    def stop(self) -> None:
        """Stops the clock."""
        super().stop()
        self._shared.pause()


class Lane:
    """A run among several, as it sees itself.

    Args:
        shared: the time of all lanes.
    """

    def __init__(self, shared: SharedTime) -> None:
        self.clock = LaneClock(shared)
        self.stacked = 1
        """Most seeds that its gradients were computed together with, itself among them."""
        self.begun = self.over = self.abandoned = False
        self.step: Step | None = None
        """The step that it waits for, between two turns."""
        self._turn, self._turn_over = threading.Semaphore(0), threading.Semaphore(0)

    def gradients(self, module: SequenceModule, batch: TrainingBatch, batch_idx: int) -> dict[str, Tensor]:
        """Has the gradients of a batch added to a module's parameters, with those of all lanes; returns its scores.

        Raises:
            Exception: what this step raises.
        """
        step = self.step = Step(module=module, batch=batch, batch_idx=batch_idx)
        self._turn_over.release()
        self._turn.acquire()
        if self.abandoned:
            raise AbandonedError
        self.step = None
        if step.error is not None:
            raise step.error
        assert step.scores is not None
        return step.scores

    def begin(self, work: Callable[["Lane"], None]) -> threading.Thread:
        """Starts the thread of the lane, which waits for its first turn."""

        def wait_and_work() -> None:
            self._turn.acquire()
            try:
                with suppress(AbandonedError):
                    if not self.abandoned:
                        work(self)
            finally:
                self.over = True
                self._turn_over.release()

        thread = threading.Thread(target=wait_and_work, name="lane", daemon=True)
        thread.start()
        return thread

    def move(self) -> None:
        """Lets the lane move until it needs gradients, or is over. Called by the thread that leads the lanes."""
        self.begun = True
        self._turn.release()
        self._turn_over.acquire()


def run_lanes(works: Sequence[Callable[[Lane], None]], tell: Callable[[str], None] = lambda line: None) -> None:
    """Runs several pieces of work side by side, each of which trains a run, and raises nothing itself.

    Args:
        works: each called with its lane, in a thread of its own.
        tell: called with a line if they cannot be computed together after all; then each is alone from there on.
    """
    together = True
    shared = SharedTime(len(works))
    lanes = [Lane(shared) for _ in works]
    threads = [lane.begin(work) for lane, work in zip(lanes, works, strict=True)]
    try:
        while lanes:
            for lane in lanes:
                # To build a model is not training.
                (shared.run if lane.begun else shared.pause)()
                lane.move()
            lanes = [lane for lane in lanes if not lane.over]
            if lanes:
                shared.share(len(lanes))
                shared.run()
                # The lanes flush them each in its own thread; this is another.
                with flushed_denormals():
                    together = _compute(lanes, tell) if together else _compute_apart(lanes)
    finally:
        for lane in lanes:
            if not lane.over:
                lane.abandoned = True
                lane.move()
        for thread in threads:
            thread.join()


def _compute(lanes: Sequence[Lane], tell: Callable[[str], None]) -> bool:
    """Computes what lanes wait for together; returns whether that is to be tried again."""
    obstacle = compute_together([lane.step for lane in lanes if lane.step is not None])
    if obstacle is not None:
        tell(f"these seeds are trained one by one from here on: {describe_obstacle(obstacle)}")
        return False
    for lane in lanes:
        lane.stacked = max(lane.stacked, len(lanes))
    return True


def _compute_apart(lanes: Sequence[Lane]) -> bool:
    """Computes what lanes wait for one by one; returns False."""
    for lane in lanes:
        if lane.step is not None:
            compute_alone(lane.step)
    return False

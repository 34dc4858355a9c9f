"""Settings that a comparison, a single run and a sweep take by keyword, typed for editors and type checkers."""

from typing import TypedDict

from workbench.config import Clip, Draw, Optimizer, Precision, Schedule


class Settings(TypedDict, total=False):
    """How runs are trained: what they may use, the optimiser, the numerics. `workbench.config` has the defaults.

    `workbench train --help` describes each of them.
    """

    steps: int
    seconds: float | None
    batch_size: int
    log_every: int
    evaluation_size: int
    until: str | None
    optimizer: Optimizer
    learning_rate: float
    weight_decay: float
    momentum: float
    clip: Clip
    clip_at: float
    schedule: Schedule
    warmup_steps: int
    precision: Precision
    draw: Draw
    embedding_size: int | None

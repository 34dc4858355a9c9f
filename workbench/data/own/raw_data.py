"""Sequences as they were read from a file, before anything is inferred, split or scaled."""

from dataclasses import dataclass, field

import numpy as np

PARTS = ("train", "validation", "test")
"""The parts of a split, in the order in which they are trained on and used."""
PART_NAMES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev"), "validation"),
    **dict.fromkeys(("test", "testing", "eval", "evaluation"), "test"),
}
"""What files call the parts of a split."""


@dataclass(slots=True, kw_only=True, eq=False)
class RawData:
    """Sequences one after another, without padding.

    `total` is the number of steps of all of them, `count` the number of sequences.
    """

    values: np.ndarray
    """(total, features) float64; NaN where a value is missing. For symbols (total, 1)."""
    features: list[str]
    lengths: np.ndarray
    """(count,) steps of each sequence."""
    target: np.ndarray | None = None
    """(count, targets) or (total, targets), of any type; `None` if the file has none."""
    target_names: list[str] = field(default_factory=list)
    per_step: bool = False
    """True if `target` has a row for each step."""
    times: np.ndarray | None = None
    """(total,) the time of each step as a number that grows; `None` if the file has no time."""
    parts: np.ndarray | None = None
    """(count,) or (total,) the part of each sequence, or of each step: train, validation or test; `None` if the file
    does not say."""
    whole_integers: bool = False
    """True if x is whole numbers of 0 or more without an axis of features, so that they might be symbols."""
    is_series: bool = False
    """True if the file is a table without a column for sequences: one series, to be cut into windows."""
    notes: list[str] = field(default_factory=list)
    """What was inferred, in clauses."""
    said: dict[str, object] = field(default_factory=dict)
    """Options that were inferred, by name."""

    @property
    def count(self) -> int:
        """The number of sequences."""
        return len(self.lengths)

    @property
    def starts(self) -> np.ndarray:
        """(count,) the first step of each sequence."""
        return np.concatenate([[0], np.cumsum(self.lengths)[:-1]]).astype(np.int64)

"""Floors: what cheap strategies reach on a task, and how results hold them."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

LARGEST = 1e30
"""Largest loss that a floor may have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """What a cheap strategy reaches on a task, so that a model that has learned no more than it can be told by it."""

    loss: float
    """The strategy's expected loss, with the best probabilities for what it knows."""
    accuracy: float | None = None
    """The expected share of right answers of its likeliest answer, or `None` if the task has no accuracy."""


def write_floors(floors: Mapping[str, Floor]) -> dict[str, dict[str, float | None]]:
    """Returns floors as `result.json` holds them, without any that is not finite."""
    return {
        name: asdict(floor)
        for name, floor in floors.items()
        if math.isfinite(floor.loss) and (floor.accuracy is None or math.isfinite(floor.accuracy))
    }


def read_floors(value: Any) -> dict[str, Floor]:
    """Returns floors from the form in which `result.json` holds them.

    Args:
        value: the written floors; `None` for results from before there were any.

    Raises:
        ValueError: if they are not floors by name.
    """
    if value is None:
        return {}
    floors = {}
    for name, numbers in value.items() if isinstance(value, dict) else [("", value)]:
        known = isinstance(numbers, dict) and numbers.keys() == {"loss", "accuracy"}
        if not known or not _is_number(numbers["loss"]):
            raise ValueError("floors are losses and accuracies by name")
        if numbers["accuracy"] is not None and not _is_number(numbers["accuracy"]):
            raise ValueError("floors are losses and accuracies by name")
        floors[name] = Floor(**numbers)
    return floors


def _is_number(value: object) -> bool:
    """Returns whether a value is a number as losses and accuracies are: none that a drawing could not have."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= LARGEST

"""What a configuration is called, and what tells it from others."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from analysis.formats import printable
from workbench.config import Experiment


def variant_key(task: str, options: Mapping[str, Any]) -> str:
    """The same for the same variant of a task: JSON, so that the number 1 and the text "1" are two options."""
    return json.dumps([task, options], sort_keys=True)


def described(name: str, options: Mapping[str, Any]) -> str:
    """A task with its options, as sections are headed.

    Example:
        >>> described("addition", {"length": 100})
        'addition, length=100'
    """
    return printable(", ".join([name, *(f"{key}={shown(value)}" for key, value in options.items())]))


def shown(value: Any) -> str:
    """An option's value: strings as they are, everything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def flattened(experiment: Experiment) -> dict[str, Any]:
    """The configuration, seed apart, under one flat key for each value: `budget.steps`, ..."""
    flat: dict[str, Any] = {}

    def walk(values: Mapping[str, Any], prefix: str) -> None:
        for key, value in values.items():
            if isinstance(value, Mapping):
                walk(value, f"{prefix}{key}.")
            else:
                flat[prefix + key] = value

    walk(experiment.to_dict(), "")
    del flat["seed"]
    return flat


def difference(one: Mapping[str, Any], others: Sequence[Mapping[str, Any]]) -> str:
    """What tells a configuration from others of the same architecture: ` (hidden_size=100)`, or nothing."""
    keys = sorted({key for other in others for key in other})
    differing = [key for key in keys if len({json.dumps(other.get(key)) for other in others}) > 1]
    parts = [f"{key.rpartition('.')[2]}={shown(one[key])[:16]}" for key in differing if key in one]
    return printable(f" ({', '.join(parts)})") if parts else ""


def natural(text: str) -> list[tuple[float, str]]:
    """A sorting key that takes numbers for numbers: `length=100` stands between `length=20` and `length=1000`."""
    parts = re.split(r"([0-9]+\.?[0-9]*(?:e[-+]?[0-9]+)?)", text)
    return [(float(part), "") if index % 2 else (0.0, part) for index, part in enumerate(parts)]

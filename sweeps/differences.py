"""Where two sets of settings differ."""

import json
from collections.abc import Mapping
from typing import Any


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Each setting that is another, with both values, the first one's first.

    Example:
        >>> differences({"budget": {"steps": 2000}}, {"budget": {"steps": 500}})
        ['budget.steps is 2000, not 500']
    """
    first, second = flattened(one), flattened(other)
    pairs = {key: (written(first, key), written(second, key)) for key in (*first, *second)}
    return [f"{key} is {found}, not {due}" for key, (found, due) in pairs.items() if found != due]


def flattened(plain: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Nested mappings as one, with dots between the keys."""
    found: dict[str, Any] = {}
    for key, value in plain.items():
        inner = isinstance(value, Mapping) and value
        found |= flattened(inner, f"{above}{key}.") if inner else {f"{above}{key}": value}
    return found


def written(flat: Mapping[str, Any], key: str) -> str:
    """A value in JSON, or that there is none."""
    return json.dumps(flat[key], sort_keys=True) if key in flat else "left out"

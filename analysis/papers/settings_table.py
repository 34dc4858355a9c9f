"""The setting of a preset as a table, and by what factor the small one is smaller."""

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields
from typing import Any

from analysis.formatting import ABSENT
from analysis.grouping import format_option
from analysis.papers.markdown import plain, table
from analysis.papers.preset import Preset, Scale
from workbench.comparison import Comparison
from workbench.config import Budget, Optimization

OMITTED = ("seeds", "log_every")
"""Settings that are ours, not the paper's."""


def flatten(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Each value under one key: `task.addition.length`; of what single architectures have, `each.lstm.clip`."""
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


DEFAULTS = {
    item.name: item.default for part in (Comparison, Budget, Optimization) for item in fields(part)
    if item.default is not MISSING
}  # fmt: skip


def value_of(key: str, settings: Mapping[str, Any]) -> Any:
    """What holds where a setting is not named: for a single architecture what all have, for all the default."""
    if key in settings:
        return settings[key]
    if key.startswith("each."):
        return value_of(key.split(".", 2)[2], settings)
    return DEFAULTS.get(key)


def settings_table(preset: Preset, scale: Scale, seeds: int | None = None) -> str:
    """All that is set; at small scale beside the paper's, with the factor where both are numbers.

    Args:
        preset: the table.
        scale: the paper's setting, or the small one.
        seeds: of each, where not as the preset has them.
    """
    paper, here = dict(flatten(preset.full)), dict(flatten(preset.settings(scale)))
    if seeds is not None:
        here["seeds"] = seeds
    if scale == "full":
        return table(("setting", "value"), ((plain(key), format_setting(value)) for key, value in here.items()), left=2)
    keys = list(dict.fromkeys([*paper, *here]))
    both = ((key, None if key in OMITTED else value_of(key, paper), value_of(key, here)) for key in keys)
    lines = (
        (plain(key), format_setting(theirs), format_setting(ours), describe_factor(theirs, ours))
        for key, theirs, ours in both
    )
    return table(("setting", "paper", "here", "factor"), lines, left=3)


def reductions(preset: Preset) -> str:
    """What is otherwise at the small scale, in a sentence's end: `length 25 instead of 100 (1/4)`."""
    paper, here = dict(flatten(preset.full)), dict(flatten(preset.settings("small")))
    changes = []
    for key, value in here.items():
        if key in preset.numerics.unusual:
            # Said by itself.
            continue
        if key in (*OMITTED, "match") or key.startswith("each.") or (key in paper and paper[key] == value):
            continue
        name = key.rpartition(".")[2].replace("_", " ")
        if key not in paper:
            # In the paper's setting each architecture has one of its own.
            changes.append(f"{name} {format_option(value)} for all")
            continue
        by = describe_factor(paper[key], value)
        changes.append(
            f"{name} {format_option(value)} instead of {format_option(paper[key])}{f' ({by})' if by else ''}"
        )
    return "; ".join(changes)


def describe_factor(paper: Any, here: Any) -> str:
    """By what factor ours is smaller or larger; empty where that says nothing.

    Example:
        >>> factor(1000, 50), factor(20, 30), factor("adam", "sgd")
        ('1/20', '1.5', '')
    """
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in (paper, here))
    if not numbers or not paper or not here or paper == here:
        return ""
    return f"1/{paper / here:.3g}" if here < paper else f"{here / paper:.3g}"


def format_setting(value: Any) -> str:
    """A value in a table's cell."""
    return ABSENT if value is None else plain(format_option(value))

"""Settings of a preset as a table, and how the other scales differ from the paper's."""

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields
from typing import Any

from analysis.formatting import ABSENT
from analysis.papers.markdown import escape, markdown_table
from analysis.presets.preset import Preset, Scale, Settings
from analysis.variant_names import format_option
from workbench.comparison import Comparison
from workbench.config import Budget, Optimization

OMITTED = ("seeds", "log_every")
"""Settings that are ours and not in any paper."""


DEFAULTS = {
    item.name: item.default for part in (Comparison, Budget, Optimization) for item in fields(part)
    if item.default is not MISSING
}  # fmt: skip
"""Defaults of the settings of a comparison."""


def settings_table(preset: Preset, scale: Scale, seeds: int | None = None) -> str:
    """Returns all settings as Markdown; at another scale beside the paper's, with the factor between numbers.

    Args:
        preset: the preset.
        scale: the paper's setting, or another one.
        seeds: number of seeds, if not that of the preset.
    """
    paper, here = dict(flatten_settings(preset.full)), dict(flatten_settings(preset.settings(scale)))
    if seeds is not None:
        here["seeds"] = seeds
    if scale == "full":
        lines = [(escape(key), format_setting(value)) for key, value in here.items()]
        return markdown_table(("setting", "value"), lines, left=2)
    rows = []
    for key in dict.fromkeys([*paper, *here]):
        full, small = None if key in OMITTED else effective_value(key, paper), effective_value(key, here)
        rows.append((escape(key), format_setting(full), format_setting(small), describe_factor(full, small)))
    return markdown_table(("setting", "paper" if preset.sources else "full", "here", "factor"), rows, left=3)


def describe_reductions(preset: Preset, scale: Scale) -> str:
    """Returns the differences of a scale from the paper's, as the end of a sentence: `length 25 instead of 100`."""
    paper, here = dict(flatten_settings(preset.full)), dict(flatten_settings(preset.settings(scale)))
    changes = []
    for key, value in here.items():
        if key in preset.numerics.non_defaults:
            # The page mentions these separately.
            continue
        if (
            key in (*OMITTED, "match", "rates", "rate_seeds")
            or key.startswith("each.")
            or (key in paper and paper[key] == value)
        ):
            continue
        name = key.rpartition(".")[2].replace("_", " ")
        if key not in paper:
            # In the paper's setting each architecture has its own value.
            changes.append(f"{name} {format_option(value)} for all")
            continue
        factor = describe_factor(paper[key], value)
        change = f"{name} {format_option(value)} instead of {format_option(paper[key])}"
        changes.append(change + (f" ({factor})" if factor else ""))
    return "; ".join(changes)


def flatten_settings(settings: Settings, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yields each value with one flat key: `task.addition.length`, or for a single architecture `each.lstm.clip`."""
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from flatten_settings(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def effective_value(key: str, settings: Settings) -> Any:
    """Returns the value of a setting, or what applies if it is missing.

    For a single architecture, that is the value for all architectures; for all architectures, the default.
    """
    if key in settings:
        return settings[key]
    if key.startswith("each."):
        return effective_value(key.split(".", 2)[2], settings)
    return DEFAULTS.get(key)


def describe_factor(paper: Any, here: Any) -> str:
    """Returns the factor by which our value is smaller or larger; nothing if the values are equal or not numbers.

    Example:
        >>> describe_factor(1000, 50), describe_factor(20, 30), describe_factor("adam", "sgd")
        ('1/20', '1.5', '')
    """
    are_numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in (paper, here))
    if not are_numbers or not paper or not here or paper == here:
        return ""
    return f"1/{paper / here:.3g}" if here < paper else f"{here / paper:.3g}"


def format_setting(value: Any) -> str:
    """Formats a value for a cell of a table."""
    return ABSENT if value is None else escape(format_option(value))

"""The tables of the papers as YAML files."""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

from analysis.presets.metric import Metric
from analysis.presets.preset import Preset
from architectures.suggest import did_you_mean
from workbench.config import Numerics
from workbench.errors import UserError
from workbench.files import read_yaml

FOLDER = Path(__file__).parent / "presets"
"""The folder of the presets."""


def preset_names() -> tuple[str, ...]:
    """Returns the names of all presets, in order of source and number."""
    return tuple(sorted((path.stem for path in FOLDER.glob("*.yaml")), key=preset_sort_key))


def preset_sort_key(name: str) -> tuple[str, ...]:
    """Returns a sort key by source and number: rwa-copy-100 is before rwa-copy-1000, and tables are in order."""
    return tuple(part.zfill(6) if part.isdigit() else part for part in name.split("-"))


def load_preset(name: str, numerics: Numerics | None = None) -> Preset:
    """Loads a preset.

    Args:
        name: name of its file.
        numerics: precision and random numbers of the runs; by default the usual ones.

    Raises:
        UserError: if there is no such preset, or its file is invalid.
    """
    path = FOLDER / f"{name}.yaml"
    names = preset_names()
    if name not in names:
        raise UserError(f"unknown preset {name!r}{did_you_mean(name, names)}; workbench reproduce --list shows them")
    values = read_yaml(path)
    accepted = [item.name for item in fields(Preset) if item.name not in ("name", "numerics")]
    for key in values:
        if key not in accepted:
            raise UserError(f"{path} has no key {key!r}{did_you_mean(str(key), accepted)}")
    if not isinstance(values.get("title"), str):
        raise UserError(f"{path} needs a title")
    for key in ("sources", "unlike", "history", "of", "measures"):
        if not isinstance(values.setdefault(key, []), list) or not all(isinstance(text, str) for text in values[key]):
            raise UserError(f"{path}: {key} must be a list of texts, not {values[key]!r}")
        values[key] = tuple(values[key])
    for key in ("full", "long", "small", "found"):
        if not isinstance(values.setdefault(key, {}), Mapping):
            raise UserError(f"{path}: {key} must be a mapping, not {values[key]!r}")
    if not isinstance(values.setdefault("factor", 1.5), int | float) or not values["factor"] > 1:
        raise UserError(f"{path}: factor must be a number above 1, not {values['factor']!r}")
    if not values["of"] and len(values["full"].get("tasks") or ()) != 1:
        raise UserError(f"{path}: full must name one task (tasks: [addition]), or of other presets")
    values["measures"] = tuple(Metric.parse(text) for text in values["measures"])
    return Preset(name=name, numerics=numerics or Numerics(), **values)

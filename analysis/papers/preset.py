"""A table of a paper as a preset: its setting, what of it is made small, and what it counts."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from analysis.papers.metric import Metric
from architectures.suggest import did_you_mean
from workbench.comparison import Comparison
from workbench.config import Experiment, Numerics
from workbench.errors import UserError
from workbench.files import read_yaml

FOLDER = Path(__file__).parent / "presets"

Scale = Literal["full", "small"]
Settings = Mapping[str, Any]
"""Keys as in the file of `workbench compare --config`; under `each`, more of them by architecture; under `over`, values
of one option of the task, where the table has more than one variant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """One table.

    Args:
        name: that of its file.
        title: what it is about.
        sources: whose figures it is compared with, as in analysis/published.yaml.
        full: the paper's setting.
        small: what is otherwise where the scale is small.
        measures: what is counted; the first decides whether the page agrees with the paper.
        unlike: where the setting is not, or may not be, the source's, in sentences.
        found: what was looked for where ours and theirs disagree, in sentences, by scale.
        of: other presets, where it is a figure made of their runs.
        numerics: what it is computed in, which no paper says; its file does not, either.
    """

    name: str
    title: str
    sources: tuple[str, ...] = ()
    full: Settings = field(default_factory=dict)
    small: Settings = field(default_factory=dict)
    measures: tuple[Metric, ...] = ()
    unlike: tuple[str, ...] = ()
    found: Mapping[Scale, Sequence[str]] = field(default_factory=dict)
    of: tuple[str, ...] = ()
    numerics: Numerics = field(default_factory=Numerics)

    def page(self, scale: Scale) -> str:
        """The name of its page, without an ending."""
        return f"{self.name}-{scale}{suffix(self.numerics)}"

    def settings(self, scale: Scale) -> dict[str, Any]:
        """What is asked of `workbench compare` at a scale, beside what single architectures have of their own."""
        mine = overlay(self.full, self.small) if scale == "small" else dict(self.full)
        return {**mine, **self.numerics.unusual}

    def experiments(self, scale: Scale, seeds: int | None = None) -> list[Experiment]:
        """All runs of the table, seed by seed, so that early results already have every architecture.

        Args:
            scale: the paper's setting, or the small one.
            seeds: runs of each; by default as the preset has it.

        Raises:
            UserError: if a file of data is missing, or a setting cannot be.
        """
        found = [each for variant in self.variants(scale) for each in self._variant(variant, scale, seeds)]
        return sorted(found, key=lambda experiment: experiment.seed)

    def variants(self, scale: Scale) -> list[dict[str, Any]]:
        """The options of the task in each variant of the table."""
        chosen: Mapping[str, Sequence[Any]] = self.settings(scale).get("over", {})
        return [{key: value} for key, values in chosen.items() for value in values] or [{}]

    def _variant(self, options: Mapping[str, Any], scale: Scale, seeds: int | None) -> Iterator[Experiment]:
        settings = self.settings(scale)
        own: Mapping[str, Settings] = settings.pop("each", {})
        settings.pop("over", None)
        (task,) = settings["tasks"]
        settings = overlay(settings, {"task": {task: options}} if options else {})
        if seeds is not None:
            settings["seeds"] = seeds
        for name in settings["architectures"]:
            # Alone, as an architecture may have an optimiser of its own.
            alone = overlay(settings, own.get(name, {}))
            alone["architectures"] = [name]
            for kind in ("architecture", "task"):
                names = (name, task)
                alone[kind] = {key: value for key, value in alone.get(kind, {}).items() if key in names}
            yield from Comparison.from_dict(alone).experiments()


def suffix(numerics: Numerics) -> str:
    """What tells the page of runs that are computed so from the usual one: `-bf16`, `-bf16-drawn-on-device`."""
    unusual = numerics.unusual
    return f"-{numerics.precision}" * ("precision" in unusual) + f"-drawn-on-{numerics.draw}" * ("draw" in unusual)


def overlay(settings: Settings, changed: Settings) -> dict[str, Any]:
    """Settings with others over them: mappings key by key, all else as a whole; `each` is replaced, as what one scale
    gives an architecture is not what another does."""
    merged = dict(settings)
    for key, value in changed.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping) and key != "each"
        merged[key] = overlay(merged[key], value) if both else value
    return merged


def names() -> tuple[str, ...]:
    """Every preset there is."""
    return tuple(sorted((path.stem for path in FOLDER.glob("*.yaml")), key=order))


def order(name: str) -> tuple[str, ...]:
    """A sorting key by source and number: rwa-copy-100 before rwa-copy-1000, tables in their order."""
    return tuple(part.zfill(6) if part.isdigit() else part for part in name.split("-"))


def load(name: str, numerics: Numerics | None = None) -> Preset:
    """The preset of a name.

    Args:
        name: that of its file.
        numerics: what it is computed in; by default as usual.

    Raises:
        UserError: if there is none, or its file says what no preset says.
    """
    path = FOLDER / f"{name}.yaml"
    if name not in names():
        raise UserError(f"unknown preset {name!r}{did_you_mean(name, names())}; workbench reproduce --list shows them")
    values = read_yaml(path)
    accepted = [item.name for item in fields(Preset) if item.name not in ("name", "numerics")]
    for key in values:
        if key not in accepted:
            raise UserError(f"{path} has no key {key!r}{did_you_mean(str(key), accepted)}")
    if not isinstance(values.get("title"), str):
        raise UserError(f"{path} needs a title")
    for key in ("sources", "unlike", "of", "measures"):
        if not isinstance(values.setdefault(key, []), list) or not all(isinstance(each, str) for each in values[key]):
            raise UserError(f"{path}: {key} must be a list of texts, not {values[key]!r}")
        values[key] = tuple(values[key])
    for key in ("full", "small", "found"):
        if not isinstance(values.setdefault(key, {}), Mapping):
            raise UserError(f"{path}: {key} must be a mapping, not {values[key]!r}")
    if not values["of"] and len(values["full"].get("tasks") or ()) != 1:
        raise UserError(f"{path}: full must name one task (tasks: [addition]), or of other presets")
    values["measures"] = tuple(Metric.read(text) for text in values["measures"])
    return Preset(name=name, numerics=numerics or Numerics(), **values)

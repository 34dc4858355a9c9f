"""Published figures that may stand beside ours: those of the same variant of a task, and no others."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from analysis.quoted import Quoted
from workbench.config import Part

FILE = Path(__file__).parent / "published.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What one source reports of one variant of a task."""

    task: str
    options: Mapping[str, Any] = field(default_factory=dict)
    """The options that make the variant, all of which must be equal."""
    unstated: frozenset[str] = frozenset()
    """Options that the source leaves open. Any further option of the task would make another variant."""
    source: str
    measure: str
    """What the figures count, in words."""
    of: str
    """The same as `papers.metric` reads it."""
    setting: str
    """The model and the budget behind them."""
    figures: Mapping[str, Quoted]
    """By the catalogue's name of the architecture."""

    def matches(self, task: Part) -> bool:
        """Whether the task is the variant that the source has."""
        stated = {key: value for key, value in task.options.items() if key not in self.unstated}
        return task.name == self.task and stated == dict(self.options)


def read(file: Path) -> tuple[Published, ...]:
    """The entries of a file, with the safe loader."""
    return tuple(
        Published(
            **{
                **entry,
                "unstated": frozenset(entry.get("unstated", ())),
                "figures": {name: Quoted.read(text) for name, text in entry["figures"].items()},
            }
        )
        for entry in yaml.safe_load(file.read_text(encoding="utf-8"))
    )


PUBLISHED = read(FILE)

RDA_FORMS: Mapping[tuple[Any, ...], str] = {
    ("exp", "identity", "tanh"): "rda-exp-tanh",
    ("sigmoid", "identity", "identity"): "rda-sigmoid-id",
}
"""The paper's two, by the options attention, hidden and output of `rda`."""


def catalogue_name(architecture: Part) -> str:
    """The name that the sources know it by: `rda` with the options of one of the paper's two is that one."""
    if architecture.name == "rda":
        form = tuple(architecture.options.get(key) for key in ("attention", "hidden", "output"))
        return RDA_FORMS.get(form, "rda")
    return architecture.name


def published_for(task: Part) -> tuple[Published, ...]:
    """All that is published of exactly this variant."""
    return tuple(entry for entry in PUBLISHED if entry.matches(task))

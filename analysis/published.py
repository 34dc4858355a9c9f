"""Published figures that may stand beside ours: those of the same variant of a task, and no others."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

import yaml

from analysis.formatting import format_power
from workbench.config import Part

FILE = Path(__file__).parent / "published.yaml"

FORM = re.compile(r"(?:(?P<sign>[<>])\s*)?(?P<digits>-?\d+(?:\.\d+)?)(?:e(?P<power>-?\d+))?(?P<percent> %)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedFigure:
    """One published figure."""

    text: str
    """`2036`, `> 10000`, `5.8e-5` or `98.11 %`."""
    value: float
    """As a number; a percentage as a share."""
    bound: Literal["exact", "above", "below"]
    """Whether the source has the number itself, or says only that it was more, or less."""
    rounding: float
    """By how much the number may lie off because it was rounded: half of its last digit."""

    @classmethod
    def read(cls, text: str) -> Self:
        """The figure behind a text.

        Raises:
            ValueError: if it is none.
        """
        found = FORM.fullmatch(text)
        if found is None:
            raise ValueError(f"{text!r} is no figure such as 2036, > 10000, 5.8e-5 or 98.11 %")
        scale = float(f"1e{found['power'] or 0}") / (100 if found["percent"] else 1)
        value = float(f"{found['digits']}e{found['power'] or 0}") / (100 if found["percent"] else 1)
        decimals = len(found["digits"].partition(".")[2])
        kinds: dict[str | None, Literal["exact", "above", "below"]] = {None: "exact", ">": "above", "<": "below"}
        return cls(text=text, value=value, bound=kinds[found["sign"]], rounding=0.5 * 10.0**-decimals * scale)

    def __str__(self) -> str:
        """As the report prints it.

        Example:
            >>> print(Quoted.read("> 10000"), Quoted.read("5.8e-5"), Quoted.read("0.0204"))
            > 10,000 5.8 × 10⁻⁵ 0.0204
        """
        found = FORM.fullmatch(self.text)
        assert found is not None
        digits = f"{int(found['digits']):,}" if found["digits"].isdigit() else found["digits"]
        power = format_power(int(found["power"])) if found["power"] else ""
        return f"{found['sign']} " * bool(found["sign"]) + digits + power + (found["percent"] or "")


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedSource:
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
    """The same as `analysis.papers.metric` reads it."""
    setting: str
    """The model and the budget behind them."""
    figures: Mapping[str, PublishedFigure]
    """By the catalogue's name of the architecture."""

    def matches(self, task: Part) -> bool:
        """Whether the task is the variant that the source has."""
        stated = {key: value for key, value in task.options.items() if key not in self.unstated}
        return task.name == self.task and stated == dict(self.options)


def read_published(file: Path) -> tuple[PublishedSource, ...]:
    """The entries of a file, with the safe loader."""
    return tuple(
        PublishedSource(
            **{
                **entry,
                "unstated": frozenset(entry.get("unstated", ())),
                "figures": {name: PublishedFigure.read(text) for name, text in entry["figures"].items()},
            }
        )
        for entry in yaml.safe_load(file.read_text(encoding="utf-8"))
    )


PUBLISHED = read_published(FILE)

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


def published_for(task: Part) -> tuple[PublishedSource, ...]:
    """All that is published of exactly this variant."""
    return tuple(entry for entry in PUBLISHED if entry.matches(task))

"""Published figures to compare with: those of exactly the same variant of a task."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

import yaml

from analysis.formatting import format_power
from workbench.config import Part

FILE = Path(__file__).parent / "published.yaml"

FIGURE_PATTERN = re.compile(r"(?:(?P<sign>[<>])\s*)?(?P<digits>-?\d+(?:\.\d+)?)(?:e(?P<power>-?\d+))?(?P<percent> %)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedFigure:
    """One published figure."""

    text: str
    """`2036`, `> 10000`, `5.8e-5` or `98.11 %`."""
    value: float
    """As a number; a percentage as a share."""
    bound: Literal["exact", "above", "below"]
    """`exact` if the source reports the number itself, `above` or `below` if it only reports a bound."""
    rounding: float
    """The largest error of the number due to rounding: half a unit of its last digit."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parses a figure.

        Raises:
            ValueError: if the text is not a figure.
        """
        match = FIGURE_PATTERN.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is not a figure such as 2036, > 10000, 5.8e-5 or 98.11 %")
        divisor = 100 if match["percent"] else 1
        scale = float(f"1e{match['power'] or 0}") / divisor
        value = float(f"{match['digits']}e{match['power'] or 0}") / divisor
        decimals = len(match["digits"].partition(".")[2])
        bounds: dict[str | None, Literal["exact", "above", "below"]] = {None: "exact", ">": "above", "<": "below"}
        return cls(text=text, value=value, bound=bounds[match["sign"]], rounding=0.5 * 10.0**-decimals * scale)

    def __str__(self) -> str:
        """Formats the figure as the report prints it.

        Example:
            >>> for text in ("> 10000", "5.8e-5", "0.0204"):
            ...     print(PublishedFigure.parse(text))
            > 10,000
            5.8 × 10⁻⁵
            0.0204
        """
        match = FIGURE_PATTERN.fullmatch(self.text)
        assert match is not None
        digits = f"{int(match['digits']):,}" if match["digits"].isdigit() else match["digits"]
        power = format_power(int(match["power"])) if match["power"] else ""
        return f"{match['sign']} " * bool(match["sign"]) + digits + power + (match["percent"] or "")


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedSource:
    """Figures that one source reports for one variant of a task."""

    task: str
    options: Mapping[str, Any] = field(default_factory=dict)
    """The options that define the variant; all of them must be equal."""
    unstated: frozenset[str] = frozenset()
    """Options that the source does not state. Any other option of the task would make another variant."""
    source: str
    reference: str
    """Where the figures stand: a table of a paper, or files of a commit."""
    measure: str
    """The metric of the figures, in words."""
    of: str
    """The same metric in the syntax of `analysis.presets.metric`."""
    setting: str
    """The model and the budget behind them."""
    figures: Mapping[str, PublishedFigure]
    """The figure of each architecture, by its name in the catalogue."""
    quoted: Mapping[str, PublishedFigure] = field(default_factory=dict)
    """Figures beside them that the source quotes from others, by its own names."""

    def matches(self, task: Part) -> bool:
        """Returns whether a task is the variant that the figures are for."""
        stated = {key: value for key, value in task.options.items() if key not in self.unstated}
        return task.name == self.task and stated == dict(self.options)


def read_published(file: Path) -> tuple[PublishedSource, ...]:
    """Reads the sources of a YAML file."""
    return tuple(
        PublishedSource(
            **{
                **entry,
                "unstated": frozenset(entry.get("unstated", ())),
                **{
                    key: {name: PublishedFigure.parse(text) for name, text in entry.get(key, {}).items()}
                    for key in ("figures", "quoted")
                },
            }
        )
        for entry in yaml.safe_load(file.read_text(encoding="utf-8"))
    )


PUBLISHED = read_published(FILE)

RDA_FORMS: Mapping[tuple[Any, ...], str] = {
    ("exp", "identity", "tanh"): "rda-exp-tanh",
    ("sigmoid", "identity", "identity"): "rda-sigmoid-id",
}
"""Names of the two forms in the RDA paper, by the options attention, hidden and output of `rda`."""


def catalogue_name(architecture: Part) -> str:
    """Returns the name under which sources report an architecture.

    It is the architecture's own name, except that `rda` with the options of a form in the RDA paper has that form's.
    """
    if architecture.name == "rda":
        form = tuple(architecture.options.get(key) for key in ("attention", "hidden", "output"))
        return RDA_FORMS.get(form, "rda")
    return architecture.name


def find_published(task: Part) -> tuple[PublishedSource, ...]:
    """Returns all sources that report exactly this variant of a task."""
    return tuple(entry for entry in PUBLISHED if entry.matches(task))

"""A figure as a source prints it: shown as it stands there, and compared as a number."""

import re
from dataclasses import dataclass
from typing import Literal, Self

from analysis.formats import times

FORM = re.compile(r"(?:(?P<sign>[<>])\s*)?(?P<digits>-?\d+(?:\.\d+)?)(?:e(?P<power>-?\d+))?(?P<percent> %)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Quoted:
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
        power = times(int(found["power"])) if found["power"] else ""
        return f"{found['sign']} " * bool(found["sign"]) + digits + power + (found["percent"] or "")

"""The width at which an architecture has a given number of parameters, for comparisons at equal size."""

from typing import TYPE_CHECKING

from workbench.config import Part
from workbench.custom_parts import user_errors
from workbench.errors import UserError

if TYPE_CHECKING:
    from workbench.tasks import Task

MAX_WIDTH_MULTIPLE = 128
"""Largest number of which the widths of an architecture may have to be multiples."""
MATCH_TOLERANCE = 5.0
"""Percentage by which numbers of parameters may differ and still count as matched."""
MAX_WIDTH = 2**17
"""Largest width that is tried when parameters are matched; far beyond what would fit anywhere."""


def match_parameters(part: Part, task: "Task", target: int, embedding_size: int | None = None) -> Part:
    """Returns the architecture at the width whose number of parameters, read-out included, is nearest to the target.

    Args:
        part: the architecture, at any width.
        task: what it is to be trained on.
        target: number of parameters.
        embedding_size: as in `Model`.

    Raises:
        UserError: if it has no width, or none with so few or so many parameters.
    """
    if "hidden_size" not in part.options:
        raise UserError(f"architecture {part.name} has no hidden_size, so its parameters cannot be matched")

    from workbench.model import count_parameters

    def with_width(width: int) -> Part:
        return Part(name=part.name, options={**part.options, "hidden_size": width}, source=part.source)

    def size(width: int) -> int:
        return count_parameters(task, with_width(width), embedding_size)

    def is_buildable(width: int) -> bool:
        try:
            size(width)
        except ValueError:
            return False
        return True

    with user_errors(f"architecture {part.name}"):
        # If heads have to divide the width, only multiples can be built.
        multiples = range(1, MAX_WIDTH_MULTIPLE + 1)
        grain = next((width for width in multiples if is_buildable(width) and is_buildable(2 * width)), None)
        if grain is None:
            raise ValueError(f"no width up to {MAX_WIDTH_MULTIPLE} can be built with these options")
        smallest = size(grain)
        if smallest > (1 + MATCH_TOLERANCE / 100) * target:
            raise UserError(
                f"architecture {part.name} has {smallest:,} parameters at its smallest width, {grain}, and cannot be "
                f"matched to {target:,}; match more of them, with --parameters or a larger --hidden-size"
            )
        # The number grows with the width: double the width until the target is passed, then halve the gap.
        low, high = 0, grain
        while size(high) < target:
            low, high = high, 2 * high
            if high > MAX_WIDTH:
                raise UserError(f"architecture {part.name} has fewer than {target:,} parameters at a width of {low:,}")
        while high - low > grain:
            middle = (low + high) // (2 * grain) * grain
            low, high = (middle, high) if size(middle) < target else (low, middle)
        nearest = min((width for width in (low, high) if width), key=lambda width: abs(size(width) - target))
        return with_width(nearest)

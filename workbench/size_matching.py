"""The width at which an architecture has a given size, in parameters or in state, for comparisons at equal size."""

import math
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from workbench.config import Part
from workbench.custom_parts import user_errors
from workbench.errors import UserError
from workbench.validation import check_size

if TYPE_CHECKING:
    from workbench.tasks import Task

SizeName = Literal["parameters", "state"]
"""What a size is counted in: trainable parameters, read-out included, or the numbers that are carried to the next
step at the end of a sequence of the task."""
SIZE_OPTIONS: dict[SizeName, str] = {"parameters": "parameters", "state": "state_size"}
"""The setting that gives the number to match."""
MAX_WIDTH_MULTIPLE = 128
"""Largest number of which the widths of an architecture may have to be multiples."""
MATCH_TOLERANCE = 5.0
"""Percentage by which sizes may differ and still count as matched."""
MAX_WIDTH = 2**17
"""Largest width that is tried when sizes are matched; far beyond what would fit anywhere."""
MAX_TARGET = 10**18
"""Largest size that widths are solved for."""


def count_size(name: SizeName, task: "Task", part: Part, embedding_size: int | None = None) -> int:
    """Returns a size of an architecture on a task, without allocating its parameters.

    Raises:
        ValueError, TypeError: if it cannot be built with these options, or carries no state.
    """
    from workbench.model import count_trainable_parameters, meta_model

    model = meta_model(task, part, embedding_size)
    if name == "parameters":
        return count_trainable_parameters(model)
    if not model.encoder.causal:
        raise ValueError("it reads whole sequences and carries no state, so its state cannot be matched; leave it out")
    return model.encoder.state_size(task.steps)


def match_size(part: Part, task: "Task", name: SizeName, target: int, embedding_size: int | None = None) -> Part:
    """Returns the architecture at the width whose size is nearest to the target.

    Args:
        part: the architecture, at any width.
        task: what it is to be trained on.
        name: what the size is counted in.
        target: the size.
        embedding_size: as in `Model`.

    Raises:
        UserError: if it has no width, or none of so small or so large a size.
    """
    if "hidden_size" not in part.options:
        raise UserError(f"architecture {part.name} has no hidden_size, so its {name} cannot be matched")

    def with_width(width: int) -> Part:
        return Part(name=part.name, options={**part.options, "hidden_size": width}, source=part.source)

    @cache
    def size_in(kind: SizeName, width: int) -> int:
        return count_size(kind, task, with_width(width), embedding_size)

    def size(width: int) -> int:
        return size_in(name, width)

    def is_buildable(width: int) -> bool:
        try:
            size_in("parameters", width)
        except ValueError:
            return False
        return True

    with user_errors(f"architecture {part.name}"):
        # If heads have to divide the width, only multiples can be built.
        multiples = range(1, MAX_WIDTH_MULTIPLE + 1)
        grain = next((width for width in multiples if is_buildable(width) and is_buildable(2 * width)), None)
        if grain is None:
            # An option that is wrong at every width says why itself.
            size(MAX_WIDTH_MULTIPLE)
            raise ValueError(f"no width up to {MAX_WIDTH_MULTIPLE} can be built with these options")
        smallest = size(grain)
        if smallest > (1 + MATCH_TOLERANCE / 100) * target:
            option = SIZE_OPTIONS[name].replace("_", "-")
            raise UserError(
                f"architecture {part.name} has {describe_size(name, smallest)} at its smallest width, {grain}, and "
                f"cannot be matched to {target:,}; match more of them, with --{option} or a larger --hidden-size"
            )
        # The size grows with the width: double the width until the target is passed, then halve the gap.
        low, high = 0, grain
        while size(high) < target:
            low, high = high, 2 * high
            if high > MAX_WIDTH:
                few = describe_size(name, target)
                raise UserError(f"architecture {part.name} has fewer than {few} at a width of {low:,}")
        while high - low > grain:
            middle = (low + high) // (2 * grain) * grain
            low, high = (middle, high) if size(middle) < target else (low, middle)

        def distance(width: int) -> int:
            return abs(size(width) - target)

        nearest = min((width for width in (low, high) if width), key=distance)
        # Where the number of heads follows from the width, sizes do not quite grow with it: on to a nearer neighbour.
        while step := min(
            (0, -grain, grain), key=lambda step: distance(nearest + step) if nearest + step else math.inf
        ):
            nearest += step
        return with_width(nearest)


def describe_size(name: SizeName, size: int) -> str:
    """Returns a size in words: `1,000 parameters`, `64 numbers of state`."""
    return f"{size:,} parameters" if name == "parameters" else f"{size:,} numbers of state"


def check_free_width(match: str, architecture: str, options: Mapping[str, Any]) -> None:
    """Raises a `UserError` if an architecture is given a width although it is solved for."""
    if match in SIZE_OPTIONS and "hidden_size" in options:
        raise UserError(f"{architecture} is given a hidden_size, but --match {match} solves for it; drop one")


def choose_target(match: str, parameters: int | None, state_size: int | None) -> int | None:
    """Returns the number to match, if one is given.

    Raises:
        UserError: if a number is out of range, or is not of what is matched.
    """
    given: dict[SizeName, int | None] = {"parameters": parameters, "state": state_size}
    for name, target in given.items():
        if target is not None:
            check_size(SIZE_OPTIONS[name], target, most=MAX_TARGET)
            if match != name:
                mended = "drop one" if match in SIZE_OPTIONS else f"add --match {name}"
                raise UserError(f"{SIZE_OPTIONS[name]} is given, but match is {match}; {mended}")
    return parameters if state_size is None else state_size

"""The outermost choices of a space, and whether they can be built."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from sweeps.space import Space
from workbench.errors import UserError


def corners(space: Space, values: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """What is fixed, together; then each choice and each end of a range. Each with the names of what it is about.

    Args:
        space: the space.
        values: of the other parameters, where the conditions let them; else such that the conditions hold.
    """
    if space.fixed:
        yield tuple(space.fixed), space.filled({})
    for parameter in space.parameters:
        way = space.way_to(parameter.name, values) or {}
        for end in parameter.domain.ends:
            wanted = {**values, **way, parameter.name: end}
            yield (parameter.name,), space.filled(space.inside(wanted))


def check(space: Space, values: Mapping[str, Any], build: Callable[[Mapping[str, Any]], object]) -> None:
    """Builds every corner.

    Raises:
        UserError: if one cannot be built.
    """
    for names, chosen in corners(space, values):
        try:
            build(chosen)
        except UserError as error:
            what = ", ".join(f"{name} = {chosen[name]!r}" for name in names)
            raise UserError(f"the space of {space.architecture}: {what} cannot be: {error}") from None

"""What the definitions share: how parameters are found."""

from collections.abc import Mapping

from torch import Tensor


def under(parameters: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The parameters whose names start with the prefix, by what follows it."""
    return {name[len(prefix) :]: value for name, value in parameters.items() if name.startswith(prefix)}


def layers(parameters: Mapping[str, Tensor], prefix: str) -> list[dict[str, Tensor]]:
    """The parameters of each of the numbered modules `<prefix>0.`, `<prefix>1.` and so on."""
    found: list[dict[str, Tensor]] = []
    while own := under(parameters, f"{prefix}{len(found)}."):
        found.append(own)
    return found


def initial(own: Mapping[str, Tensor], index: int, x: Tensor, size: int) -> Tensor:
    """(batch, size): the learned initial value of that index, or 0."""
    learned = own.get(f"initial.{index}")
    return x.new_zeros(x.shape[0], size) if learned is None else learned.repeat(x.shape[0], 1)

"""Access to an encoder's parameters by name, for the definitions."""

from collections.abc import Mapping

from torch import Tensor


def strip_prefix(parameters: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Returns the parameters whose names start with the prefix, by the rest of their names."""
    return {name[len(prefix) :]: value for name, value in parameters.items() if name.startswith(prefix)}


def split_layers(parameters: Mapping[str, Tensor], prefix: str) -> list[dict[str, Tensor]]:
    """Returns the parameters of each of the numbered modules `<prefix>0.`, `<prefix>1.` and so on."""
    layers: list[dict[str, Tensor]] = []
    while layer := strip_prefix(parameters, f"{prefix}{len(layers)}."):
        layers.append(layer)
    return layers


def initial_state(layer: Mapping[str, Tensor], index: int, x: Tensor, size: int) -> Tensor:
    """Returns the learned initial value of that index, or 0, as (batch, size)."""
    learned = layer.get(f"initial.{index}")
    return x.new_zeros(x.shape[0], size) if learned is None else learned.repeat(x.shape[0], 1)

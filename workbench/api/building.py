"""`workbench.build`: an architecture as a module of PyTorch."""

from typing import Any

import architectures
from architectures.base import Encoder
from workbench.api.calls import api
from workbench.api.parts import ArchitectureLike, name_part
from workbench.custom_parts import user_errors


@api
def build(architecture: ArchitectureLike, input_size: int, hidden_size: int | None = None, **options: Any) -> Encoder:
    """Returns an encoder, freshly initialised from torch's random generator.

    Args:
        architecture: a name, a class, or a module, as in `compare`.
        input_size: features a step.
        hidden_size: units, if the architecture has them.
        options: of the architecture, such as `num_layers`.

    Raises:
        UserError: if the name or an option is unknown, or a value is invalid.

    Example:
        >>> encoder = build("rda", input_size=2, hidden_size=250, attention="exp")
        >>> y, state = encoder(torch.zeros(4, 100, 2))
    """
    name, own = name_part("architecture", architecture)
    width = {} if hidden_size is None else {"hidden_size": hidden_size}
    with user_errors(f"architecture {name}"):
        return architectures.build(name, input_size, **{**own, **width, **options})

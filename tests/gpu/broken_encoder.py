"""An encoder that crashes, as a kernel may."""

import os

from torch import Tensor

from architectures.rwa import RWA
from architectures.state import State


class DyingEncoder(RWA):
    """Ends its process."""

    def encode(self, x: Tensor, state: State, lengths: Tensor | None) -> tuple[Tensor, State]:
        os._exit(7)

"""An encoder that fails as a kernel may."""

import os

from torch import Tensor

from architectures.rwa import RWA
from architectures.state import State


class Dies(RWA):
    """Takes its process along."""

    def encode(self, x: Tensor, state: State, lengths: Tensor | None) -> tuple[Tensor, State]:
        os._exit(7)

"""The task `parity`: have there been an odd number of ones?"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, get_args

import numpy as np

from architectures.limits import check_steps, quote
from workbench.tasks.automaton import Automaton, Machine
from workbench.tasks.base import Criterion

Readout = Literal["every", "last"]


def check_readout(value: object) -> None:
    """Raises a ValueError for anything but every or last."""
    if value not in get_args(Readout):
        raise ValueError(f"readout must be one of {', '.join(get_args(Readout))}, not {quote(value)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parity(Automaton):
    """Parity of bits.

        x_t      0 or 1, each with probability 1/2
        target_t = x_1 + ... + x_t mod 2
        trivial  = H_b(p), p = 1 / T + (1 - 1 / T) / 2; ln 2 if readout is last
        floors   : knows the time, (T - 1) / T ln 2
        solved   : accuracy > 0.99

    At the first step the bit is its own parity, and at every other one it says nothing. Whether the rule was learned
    shows on longer sequences than those of training: published are lengths of training up to 40, and of test up to
    500.

    Source: Deletang et al. (2023, arXiv 2207.02098), table 2, parity check; Grazzi et al. (2025, arXiv
    2411.12537).

    Args:
        length: T, the number of steps, at least 2.
        readout: every, the parity of the bits so far at every step, or last, that of all at the end.
    """

    length: int = 20
    readout: Readout = "every"  # type: ignore[misc]

    def __post_init__(self) -> None:
        check_steps(2, length=self.length)
        check_readout(self.readout)

    @property
    def machine(self) -> Machine:
        """The automaton of two states that a one exchanges."""
        return _machine()

    @property
    def solved(self) -> Criterion:
        """An accuracy above 0.99."""
        return Criterion(metric="accuracy", bound=0.99, above=True)


@lru_cache(maxsize=1)
def _machine() -> Machine:
    return Machine(transitions=np.array([[0, 1], [1, 0]]), prior=np.full(2, 1 / 2), outputs=np.arange(2))

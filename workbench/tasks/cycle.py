"""The task `cycle`: where on a ring of places does a walk end?"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from architectures.limits import check_steps, check_width
from workbench.tasks.automaton import Automaton, Machine
from workbench.tasks.base import Criterion
from workbench.tasks.parity import Readout, check_readout


@dataclass(frozen=True, slots=True, kw_only=True)
class Cycle(Automaton):
    """Navigation on a cycle: steps back, forth, or none, on n places in a ring; the answer is the place.

        x_t      0, 1 or 2 for staying, one place on, one place back, each with probability 1/3
        target_t = (number of ones - number of twos up to step t) mod n
        trivial  = H(place | x_T), which comes to ln n in long sequences
        solved   : accuracy >= 0.9

    Source: Deletang et al. (2023, arXiv 2207.02098), table 2, cycle navigation with n = 5; their score
    is the mean accuracy over lengths up to 500, after training on lengths up to 40, and 0.9 counts as solved.

    Args:
        length: T, the number of steps, at least 2.
        places: n, from 3 to 100.
        readout: last, the place at the end, or every, that after each step.
    """

    length: int = 40
    places: int = 5
    readout: Readout = "last"  # type: ignore[misc]

    def __post_init__(self) -> None:
        check_steps(2, length=self.length)
        check_width(3, places=self.places)
        if self.places > MAX_PLACES:
            raise ValueError(f"places must be at most {MAX_PLACES}, not {self.places:,}")
        check_readout(self.readout)

    @property
    def machine(self) -> Machine:
        """The automaton whose states are the places."""
        return _machine(self.places)

    @property
    def solved(self) -> Criterion:
        """An accuracy of at least 0.9."""
        return Criterion(metric="accuracy", bound=0.9, above=True, or_equal=True)


MAX_PLACES = 100


@lru_cache(maxsize=16)
def _machine(places: int) -> Machine:
    states = np.arange(places)
    return Machine(
        transitions=np.stack([states, (states + 1) % places, (states - 1) % places], axis=1),
        prior=np.full(3, 1 / 3),
        outputs=states,
    )

"""The task `even-pairs`: does the symbol change an even number of times?"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import xlogy

from architectures.limits import check_steps
from workbench.tasks.automaton import Automaton, Machine
from workbench.tasks.base import Criterion, Floor
from workbench.tasks.guessing import binomial_law


@dataclass(frozen=True, slots=True, kw_only=True)
class EvenPairs(Automaton):
    """Even pairs: is the number of pairs ab and ba in a sequence of a and b even?

        x_t     0 or 1, each with probability 1/2
        target  = 1 if the number of steps t > 1 with x_t != x_{t-1} is even, else 0; at the last step
        trivial = ln 2
        floors  : bag of values, who knows the last symbol and how many others are 1, k of them, but not their order:
                  E[H_b(k / (T - 1))], k ~ Binomial(T - 1, 1/2)
        solved  : accuracy >= 0.9

    The answer is the same as whether the first symbol equals the last, so to remember one bit is enough: a model that
    solves this has not shown that it can count.

    Source: Deletang et al. (2023, arXiv 2207.02098), table 2, even pairs.

    Args:
        length: T, the number of steps, at least 2.
    """

    readout = "last"
    length: int = 40

    def __post_init__(self) -> None:
        check_steps(2, length=self.length)

    @property
    def machine(self) -> Machine:
        """The automaton that knows the first symbol and the present one."""
        return _machine()

    @property
    def floors(self) -> Mapping[str, Floor]:
        """What one reaches who knows the last symbol and how often each of the others was there."""
        ones, weights = binomial_law(self.length - 1, 0.5)
        # The first symbol is any of the others.
        first = ones / (self.length - 1)
        shares = np.stack([first, 1 - first])
        loss, accuracy = (weights * -xlogy(shares, shares).sum(0)).sum(), (weights * shares.max(0)).sum()
        return {"bag of values": Floor(loss=float(loss), accuracy=float(accuracy))}

    @property
    def solved(self) -> Criterion:
        """An accuracy of at least 0.9."""
        return Criterion(metric="accuracy", bound=0.9, above=True, or_equal=True)


@lru_cache(maxsize=1)
def _machine() -> Machine:
    # State 0 is the start; 1 + 2 * first + present the others.
    transitions = np.array([[1, 4], [1, 2], [1, 2], [3, 4], [3, 4]])
    return Machine(transitions=transitions, prior=np.full(2, 1 / 2), outputs=np.array([1, 1, 0, 0, 1]))

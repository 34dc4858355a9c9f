"""The task `word-problem`: the product of the elements of a finite group."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, get_args

import numpy as np

from architectures.limits import check_steps, quote
from workbench.tasks.automaton import Automaton, Machine
from workbench.tasks.base import Criterion
from workbench.tasks.groups import GroupName, generators, multiplication_table
from workbench.tasks.parity import Readout, check_readout

Letters = Literal["elements", "generators"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WordProblem(Automaton):
    """Word problem of a finite group of n elements: the product of the elements so far.

        x_t      an element, each as likely as any other, or one of two generators
        target_t = x_1 x_2 ... x_t
        trivial  = -p ln p - (n - 1) q ln q, p = 1 / T + (1 - 1 / T) / n, q = (1 - 1 / T) / n, for all elements;
                   ln n if readout is last; for generators from the exact law of the product at every step
        floors   : knows the time, (T - 1) / T ln n for all elements
        solved   : accuracy > 0.99

    Of the groups of 60 elements, Z60 is abelian, A4xZ5 solvable and A5 not: a transformer or a diagonal recurrence of
    a given depth computes products of no more than bounded length in A5 (Barrington 1989), while two recurrent matrices
    suffice for any. S3 and S5 are the symmetric groups of 6 and 120 elements.

    Source: Merrill, Petty and Sabharwal (2024, arXiv 2404.08819), who ask how deep a model has to be for an
    accuracy above 0.9 at each length; Liu et al. (2023, arXiv 2210.10749).

    Args:
        length: T, the number of steps, at least 2.
        group: Z60, A4xZ5, A5, S3 or S5.
        letters: elements, all n of the group, or generators, two that generate it (a transposition and a cycle of all
            in S3 and S5).
        readout: every, the product so far at every step, or last, that of all at the end.
    """

    length: int = 16
    group: GroupName = "A5"
    letters: Letters = "elements"
    readout: Readout = "every"  # type: ignore[misc]

    def __post_init__(self) -> None:
        check_steps(2, length=self.length)
        if self.group not in get_args(GroupName):
            raise ValueError(f"group must be one of {', '.join(get_args(GroupName))}, not {quote(self.group)}")
        if self.letters not in get_args(Letters):
            raise ValueError(f"letters must be one of {', '.join(get_args(Letters))}, not {quote(self.letters)}")
        check_readout(self.readout)

    @property
    def machine(self) -> Machine:
        """The automaton whose states are the elements, and whose letters multiply from the right."""
        return _machine(self.group, self.letters)

    @property
    def solved(self) -> Criterion:
        """An accuracy above 0.99."""
        return Criterion(metric="accuracy", bound=0.99, above=True)


@lru_cache(maxsize=10)
def _machine(group: GroupName, letters: Letters) -> Machine:
    table = multiplication_table(group)
    transitions = table if letters == "elements" else table[:, list(generators(group))]
    count = transitions.shape[1]
    return Machine(transitions=transitions, prior=np.full(count, 1 / count), outputs=np.arange(len(table)))

"""Base class of tasks whose answers are the states of a finite automaton."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor
from torch.nn import functional

from workbench.tasks.base import Batch, Floor, Task
from workbench.tasks.classification import accuracy, cross_entropy
from workbench.tasks.guessing import best_accuracy, conditional_entropy

STATIONARY = 1e-14
"""Change of the law of the state in a step, below which it counts as stationary."""


@dataclass(frozen=True, eq=False)
class Machine:
    """A finite automaton that reads random letters, from state 0 on."""

    transitions: np.ndarray
    """(states, letters) the state after each letter in each state."""
    prior: np.ndarray
    """(letters,) probabilities of the letters, which are drawn independently."""
    outputs: np.ndarray
    """(states,) the answer in each state, 0 .. answers - 1."""

    @cached_property
    def answers(self) -> int:
        """The number of different answers."""
        return int(self.outputs.max()) + 1

    @cached_property
    def monoid(self) -> "Monoid":
        """The transition monoid: what sequences of letters do to the states."""
        return Monoid.generate(self.transitions)

    def joint_laws(self, steps: int) -> tuple[np.ndarray, np.ndarray, float, float]:
        """Returns the laws of the present letter and the answer, from the law of the state at every step.

        The law of the state follows from the transition probabilities step by step; once it is stationary, all later
        steps are alike.

        Args:
            steps: T.

        Returns:
            (letters, answers) the joint law at a step that is uniform in 1..T; (letters, answers) that at step T; the
            mean over the steps of H(answer | letter); and that of the accuracy of the likeliest answer.
        """
        states = len(self.transitions)
        flow = np.zeros((states, states))
        for letter, share in enumerate(self.prior):
            np.add.at(flow, (np.arange(states), self.transitions[:, letter]), share)
        law = np.zeros(states)
        law[0] = 1
        total = np.zeros((len(self.prior), self.answers))
        entropy = right = 0.0
        for step in range(steps):
            joint = self._joint(law)
            following = law @ flow
            # From a stationary law on, this step stands for all that are left.
            weight = steps - step if np.abs(following - law).max() < STATIONARY else 1
            total += weight * joint
            entropy += weight * conditional_entropy(joint)
            right += weight * best_accuracy(joint)
            law = following
            if weight > 1:
                break
        return total / steps, joint, entropy / steps, right / steps

    def _joint(self, law: np.ndarray) -> np.ndarray:
        """Returns the joint law of a letter and the answer after it, given the law of the state before it."""
        joint = np.zeros((len(self.prior), self.answers))
        answers = self.outputs[self.transitions.T]
        weights = self.prior[:, None] * law
        np.add.at(joint, (np.arange(len(self.prior))[:, None], answers), weights)
        return joint


@dataclass(frozen=True, eq=False)
class Monoid:
    """The functions on states that sequences of letters are, with a table of their products."""

    table: np.ndarray
    """(elements, elements) the number of the function that is the first one, then the second; element 0 is none."""
    letters: np.ndarray
    """(letters,) the element that each letter is."""
    states: np.ndarray
    """(elements,) the state that each element leads to from state 0."""

    @classmethod
    def generate(cls, transitions: np.ndarray) -> "Monoid":
        """Returns the monoid that the columns of a transition table generate."""
        columns = [tuple(column) for column in transitions.T.tolist()]
        numbers = {tuple(range(len(transitions))): 0}
        found = list(numbers)
        for element in found:
            for column in columns:
                product = tuple(column[state] for state in element)
                if product not in numbers:
                    numbers[product] = len(found)
                    found.append(product)
        elements = np.array(found)
        table = np.empty((len(found), len(found)), dtype=np.int64)
        for index, element in enumerate(found):
            table[index] = [numbers[tuple(row)] for row in elements[:, element].tolist()]
        letters = np.array([numbers[column] for column in columns])
        return cls(table=table, letters=letters, states=elements[:, 0].copy())


@lru_cache(maxsize=64)
def _tables(machine: Machine, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Returns the products, the letters and the states of a machine's monoid on a device; not to be written to.

    A product is given by the beginning of its row in the table.
    """
    monoid = machine.monoid
    parts = (monoid.table.ravel() * len(monoid.states), monoid.letters, monoid.states)
    table, letters, states = (torch.from_numpy(part).to(device) for part in parts)
    return table, letters, states


def run_machine(machine: Machine, letters: Tensor) -> Tensor:
    """Returns the state after every letter.

    Function composition is associative, so the sequences are cut into about sqrt(T) blocks of sqrt(T) steps, whose
    products are found side by side: 2 sqrt(T) vectorised steps instead of T.

    Args:
        machine: the automaton.
        letters: (batch, time) letters.
    """
    table, of_letter, state_of = _tables(machine, letters.device)
    batch, steps = letters.shape
    width = max(1, int(steps**0.5))
    blocks = -(-steps // width)
    elements = functional.pad(of_letter.take(letters), (0, blocks * width - steps))
    # (width, blocks, batch): the steps of the loops are contiguous in memory.
    factors = elements.view(batch, blocks, width).permute(2, 1, 0).contiguous()
    # Products are kept as the beginning of their row in the table.
    rows, products = len(machine.monoid.states), [factors[0] * len(machine.monoid.states)]
    for factor in factors[1:]:
        products.append(table.take(products[-1] + factor))
    before = [torch.zeros_like(factors[0, 0])]
    for whole in (products[-1][:-1] // rows).unbind(0):
        before.append(table.take(before[-1] + whole))
    last = table.take(torch.stack(before) + torch.stack(products) // rows)
    return state_of.take(last // rows).permute(2, 1, 0).reshape(batch, -1)[:, :steps]


def draw_letters(machine: Machine, shape: tuple[int, int], generator: Generator) -> Tensor:
    """Draws letters by their probabilities, on the generator's device."""
    prior, device = machine.prior, generator.device
    if (prior == prior[0]).all():
        return torch.randint(len(prior), shape, generator=generator, device=device)
    draws = torch.rand(shape, generator=generator, device=device)
    letters = torch.zeros(shape, dtype=torch.int64, device=device)
    for bound in prior.cumsum()[:-1].tolist():
        letters += draws >= bound
    return letters


@lru_cache(maxsize=256)
def _joint_laws(machine: Machine, steps: int) -> tuple[np.ndarray, np.ndarray, float, float]:
    """Returns `machine.joint_laws(steps)`, which tables and figures ask for again and again; not to be written to."""
    return machine.joint_laws(steps)


class Automaton(Task):
    """Task whose inputs are random letters, and whose answer is a function of an automaton's state.

    Letters x_1..x_T are drawn independently; the automaton starts in state 0; the answer at step t, or at step T
    alone if `readout` is last, is that of its state after x_t.

        loss     = mean of -ln p(target) over the answers
        accuracy = share of right answers
        trivial  = H(answer | x_t), from the joint law of both at a random step, or at step T

    The law of the state follows exactly from the transition table, so the trivial loss is exact, start included: its
    answer knows the present letter alone, not even the time. One who knows the time too, which is what the floor
    `knows the time` says, is right at the first steps, where few states are possible. No part of the past but the
    state helps, and no step of the input is asked for.
    """

    length: int

    @property
    @abstractmethod
    def machine(self) -> Machine:
        """The automaton; the same object each time."""

    @property
    def steps(self) -> int:
        """The number of steps, T."""
        return self.length

    @property
    def symbols(self) -> int:  # type: ignore[override]
        """The number of letters."""
        return len(self.machine.prior)

    @property
    def input_size(self) -> int:  # type: ignore[override]
        """The number of letters."""
        return self.symbols

    @property
    def output_size(self) -> int:  # type: ignore[override]
        """The number of answers."""
        return self.machine.answers

    @property
    def trivial_loss(self) -> float:
        """H(answer | present letter)."""
        anywhere, at_end, _, _ = _joint_laws(self.machine, self.length)
        return conditional_entropy(anywhere if self.readout == "every" else at_end)

    @property
    def floors(self) -> Mapping[str, Floor]:
        """What one reaches who knows the present letter and the time."""
        if self.readout == "last":
            return {}
        _, _, entropy, right = _joint_laws(self.machine, self.length)
        return {"knows the time": Floor(loss=entropy, accuracy=right)}

    def sample(self, size: int, generator: Generator) -> Batch:
        """Draws letters."""
        x = draw_letters(self.machine, (size, self.length), generator)
        answers = self.answers_of(run_machine(self.machine, x))
        return Batch(x=x, target=answers if self.readout == "every" else answers[:, -1].clone())

    def answers_of(self, states: Tensor) -> Tensor:
        """Returns the answers in some states."""
        return _answers(self.machine, states.device)[states]

    def loss(self, prediction: Tensor, batch: Batch) -> Tensor:
        """Returns the mean cross-entropy over the answers."""
        return cross_entropy(prediction, batch)

    def metrics(self, prediction: Tensor, batch: Batch) -> Mapping[str, Any]:
        """Returns the accuracy."""
        return accuracy(prediction, batch)


@lru_cache(maxsize=64)
def _answers(machine: Machine, device: torch.device) -> Tensor:
    """Returns the answer in each state on a device; not to be written to."""
    return torch.from_numpy(machine.outputs).to(device)

"""The task `modular`: the value of a sum of products, modulo a number."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Generator

from architectures.limits import check_steps, check_width
from workbench.tasks.automaton import Automaton, Machine, run_machine
from workbench.tasks.base import Batch, Criterion

MAX_MODULUS = 7
OPERATORS = 3
"""Plus, minus and times, in this order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Modular(Automaton):
    """Modular arithmetic without brackets: the value of an expression such as 1 + 2 * 4 - 3 = modulo m.

        x       digits below m and, between them, +, - or *, all as likely as others of their kind; then = in the one or
                two steps that are left, as an expression has an odd number of symbols
        target  = value of the expression mod m, products before sums; at the last step
        trivial = H(value), which comes to ln m in long sequences
        solved  : accuracy >= 0.9

    Symbols 0 .. m - 1 are the digits, then +, -, * and =.

    Source: Deletang et al. (2023, arXiv 2207.02098), table 2, modular arithmetic (simple), with m = 5.

    Args:
        length: T, the number of steps, at least 4.
        modulus: m, from 2 to 7.
    """

    readout = "last"
    length: int = 40
    modulus: int = 5

    def __post_init__(self) -> None:
        check_steps(4, length=self.length)
        check_width(2, modulus=self.modulus)
        if self.modulus > MAX_MODULUS:
            raise ValueError(f"modulus must be at most {MAX_MODULUS}, not {self.modulus:,}")

    @property
    def digits(self) -> int:
        """The number of digits in an expression."""
        return self.length // 2

    @property
    def machine(self) -> Machine:
        """The automaton whose letters are an operator with the digit after it."""
        return _machine(self.modulus)

    @property
    def symbols(self) -> int:  # type: ignore[override]
        """The digits, three operators and =."""
        return self.modulus + OPERATORS + 1

    @property
    def trivial_loss(self) -> float:
        """The entropy of the value: the present symbol is always the same."""
        shares = _value_shares(self.modulus, self.digits)
        return float(-(shares[shares > 0] * np.log(shares[shares > 0])).sum())

    @property
    def solved(self) -> Criterion:
        """An accuracy of at least 0.9."""
        return Criterion(metric="accuracy", bound=0.9, above=True, or_equal=True)

    def sample(self, size: int, generator: Generator) -> Batch:
        """Draws digits and operators."""
        device, modulus = generator.device, self.modulus
        digits = torch.randint(modulus, (size, self.digits), generator=generator, device=device)
        operators = torch.randint(OPERATORS, (size, self.digits), generator=generator, device=device)
        # An expression begins with its first digit, as if + were before it.
        operators[:, 0] = 0
        states = run_machine(self.machine, operators * modulus + digits)
        x = torch.full((size, self.length), modulus + OPERATORS, device=device)
        x[:, : 2 * self.digits - 1 : 2] = digits
        x[:, 1 : 2 * self.digits - 2 : 2] = modulus + operators[:, 1:]
        return Batch(x=x, target=self.answers_of(states[:, -1]))


@lru_cache(maxsize=8)
def _machine(modulus: int) -> Machine:
    # A state is (sum so far, product that is being multiplied), the number of which is sum * m + product.
    total, product = np.divmod(np.arange(modulus**2), modulus)
    columns = []
    for operator in range(OPERATORS):
        for digit in range(modulus):
            if operator == 2:
                columns.append(total * modulus + product * digit % modulus)
            else:
                signed = digit if operator == 0 else -digit % modulus
                columns.append((total + product) % modulus * modulus + np.full_like(total, signed))
    letters = len(columns)
    return Machine(
        transitions=np.stack(columns, axis=1),
        prior=np.full(letters, 1 / letters),
        outputs=(total + product) % modulus,
    )


@lru_cache(maxsize=64)
def _value_shares(modulus: int, digits: int) -> np.ndarray:
    """Returns the law of the value of an expression of so many digits."""
    machine = _machine(modulus)
    flow = np.zeros((modulus**2, modulus**2))
    for letter, share in enumerate(machine.prior):
        np.add.at(flow, (np.arange(modulus**2), machine.transitions[:, letter]), share)
    law = np.zeros(modulus**2)
    # The first digit, after a sum of nothing.
    law[:modulus] = 1 / modulus
    law = law @ np.linalg.matrix_power(flow, digits - 1)
    return np.bincount(machine.outputs, law, minlength=modulus)

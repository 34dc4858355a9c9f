"""The task `listops`: the value of nested operations on lists of digits."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Generator, Tensor

from architectures.limits import check_steps, check_whole
from workbench.seeds import derive_seed
from workbench.tasks.base import Batch, Floor, Task, to_device
from workbench.tasks.classification import accuracy, cross_entropy
from workbench.tasks.guessing import best_accuracy, conditional_entropy
from workbench.tasks.listops_law import DIGITS, value_shares

OPERATORS = ("[MIN", "[MAX", "[MED", "[SM")
"""Symbols after the digits; then the closing bracket."""
CLOSE = DIGITS + len(OPERATORS)
OPERATOR_SHARE = 0.25
"""Probability of an operator in place of a digit."""
MAX_DEPTH, MAX_ARGUMENTS, MAX_LENGTH = 20, 10, 4000
CANDIDATES = 8
"""Trees that are drawn at once for each one that is wanted; many are too short, some too long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListOps(Task):
    """Nested list operations, as in [MAX 4 [MIN 2 8 ] 0 [SM 3 9 ] ] = 4.

        x       a random tree of T / 4 to T symbols, rounded up: an operator of 2 to A arguments, each of which is an
                operator with probability 1/4, down to depth D, or else a digit, and a closing bracket
        target  its value, 0 .. 9, at the last symbol; SM is the sum modulo 10, MED the median, rounded down
        trivial = entropy of the value, from its exact law for trees of such lengths
        floors  : first operator, who remembers that alone: a minimum is small, a maximum large
        solved  : the field has no bound

    Source: Nangia and Bowman (2018, arXiv 1804.06028); Tay et al. (2021, arXiv 2011.04006), whose grammar this is, with
    T = 2,000, A = 10 and D = 9 as counted here. Their code (google-research/long-range-arena) has 10: it counts the
    root as depth 1 and has only digits at depth 10, so that operators stand at nine levels.

    Args:
        length: T, the most symbols, from 8 to 4,000.
        depth: D, the depth of the deepest operators' arguments, from 1 to 20.
        arguments: A, the most arguments of an operator, from 2 to 10.
    """

    readout = "last"
    symbols = input_size = CLOSE + 1
    output_size = DIGITS

    length: int = 100
    depth: int = 10
    arguments: int = 5

    def __post_init__(self) -> None:
        check_steps(8, length=self.length)
        why = "larger trees have a law that takes too long to compute"
        check_whole("length", self.length, most=MAX_LENGTH, why=why)
        check_whole("depth", self.depth, most=MAX_DEPTH, why=why)
        check_whole("arguments", self.arguments, least=2, most=MAX_ARGUMENTS, why=why)
        largest = self.arguments + 2
        for _ in range(self.depth - 1):
            largest = min(2 + self.arguments * largest, MAX_LENGTH)
        if largest < self.shortest:
            raise ValueError(
                f"no tree of depth {self.depth} with up to {self.arguments} arguments has {self.shortest} symbols, a "
                f"quarter of length; depth or arguments must be larger, or length smaller"
            )

    @property
    def steps(self) -> int:
        """The number of steps of the longest sequence, T."""
        return self.length

    @property
    def shortest(self) -> int:
        """The fewest symbols of a tree."""
        return -(-self.length // 4)

    @property
    def joint_law(self) -> np.ndarray:
        """The joint law of the operator at the root and the value, (operators, values)."""
        return value_shares(self.depth, self.arguments, OPERATOR_SHARE, self.shortest, self.length)

    @property
    def trivial_loss(self) -> float:
        """The entropy of the value."""
        return conditional_entropy(self.joint_law.sum(0, keepdims=True))

    @property
    def floors(self) -> Mapping[str, Floor]:
        """What one reaches who remembers the first symbol alone."""
        joint = self.joint_law
        return {"first operator": Floor(loss=conditional_entropy(joint), accuracy=best_accuracy(joint))}

    def train(self, step: int, size: int, seed: int, device: torch.device) -> Batch:
        """Returns the training batch of a step, which depends on (seed, step) alone."""
        return self._draw(size, np.random.default_rng(derive_seed("train", seed, step)), device)

    def fixed(self, split: Literal["validation", "test"], size: int, device: torch.device) -> Batch:
        """Returns examples that are the same for every run."""
        return self._draw(size, np.random.default_rng(derive_seed(split)), device)

    def sample(self, size: int, generator: Generator) -> Batch:
        """Draws trees, with NumPy's generator, seeded by this one."""
        device = generator.device
        seed = int(torch.randint(2**62, (), generator=generator, device=device))
        return self._draw(size, np.random.default_rng(seed), device)

    def _draw(self, size: int, random: np.random.Generator, device: torch.device) -> Batch:
        x = np.zeros((size, self.length), dtype=np.int64)
        target, lengths = np.zeros(size, dtype=np.int64), np.zeros(size, dtype=np.int64)
        done = 0
        while done < size:
            forest = Forest.draw(CANDIDATES * (size - done), self, random)
            fitting = np.flatnonzero((forest.sizes[0] >= self.shortest) & (forest.sizes[0] <= self.length))
            fitting = fitting[: size - done]
            rows = slice(done, done + len(fitting))
            forest.write(x[rows], fitting)
            target[rows], lengths[rows] = forest.values[0][fitting], forest.sizes[0][fitting]
            done += len(fitting)
        parts = (to_device(torch.from_numpy(part), device) for part in (x, target, lengths))
        x_tensor, target_tensor, length_tensor = parts
        return Batch(x=x_tensor, target=target_tensor, lengths=length_tensor)

    def loss(self, prediction: Tensor, batch: Batch) -> Tensor:
        """Returns the mean cross-entropy."""
        return cross_entropy(prediction, batch)

    def metrics(self, prediction: Tensor, batch: Batch) -> Mapping[str, Tensor]:
        """Returns the accuracy."""
        return accuracy(prediction, batch)


@dataclass(frozen=True)
class Forest:
    """Random trees, level by level; of each level, arrays over its nodes, those of one parent side by side."""

    trees: list[np.ndarray]
    """The number of each node's tree."""
    counts: list[np.ndarray]
    """The number of arguments of each node; 0 for a digit."""
    symbols: list[np.ndarray]
    """The digit, or the operator's symbol."""
    sizes: list[np.ndarray]
    """The number of symbols of each node's subtree."""
    values: list[np.ndarray]
    """The value of each node's subtree."""

    @classmethod
    def draw(cls, count: int, task: ListOps, random: np.random.Generator) -> "Forest":
        """Draws trees, with an operator at the root."""
        tree = np.arange(count)
        used = np.zeros(count, dtype=np.int64)
        trees, counts, symbols = [], [], []
        for level in range(task.depth + 1):
            share = 1.0 if level == 0 else OPERATOR_SHARE if level < task.depth else 0.0
            operator = random.random(len(tree)) < share
            arguments = np.where(operator, random.integers(2, task.arguments + 1, len(tree)), 0)
            digits, operators = random.integers(DIGITS, size=len(tree)), random.integers(len(OPERATORS), size=len(tree))
            # A tree that is too long already grows no further: it is not taken, whatever it would have been.
            used += np.bincount(tree, 1 + operator, minlength=count).astype(np.int64)
            arguments[used[tree] > task.length] = 0
            operator = arguments > 0
            trees.append(tree)
            counts.append(arguments)
            symbols.append(np.where(operator, DIGITS + operators, digits))
            tree = np.repeat(tree, arguments)
            if not len(tree):
                break
        sizes, values = [np.ones_like(symbols[-1])], [symbols[-1] % DIGITS]
        for arguments, symbol in zip(counts[-2::-1], symbols[-2::-1], strict=True):
            size, value = np.ones_like(symbol), symbol % DIGITS
            operator = arguments > 0
            if operator.any():
                starts = np.concatenate([[0], arguments[operator].cumsum()[:-1]])
                size[operator] = 2 + np.add.reduceat(sizes[-1], starts)
                value[operator] = evaluate(values[-1], starts, arguments[operator], symbol[operator] - DIGITS)
            sizes.append(size)
            values.append(value)
        # What was cut short must not be taken for a tree that fits.
        sizes[-1][used > task.length] = task.length + 1
        return cls(trees=trees, counts=counts, symbols=symbols, sizes=sizes[::-1], values=values[::-1])

    def write(self, x: np.ndarray, chosen: np.ndarray) -> None:
        """Writes the symbols of some trees, one in each row."""
        row_of = np.full(len(self.trees[0]), -1)
        row_of[chosen] = np.arange(len(chosen))
        place = np.zeros(len(self.trees[0]), dtype=np.int64)
        for level, (tree, arguments, symbol, size) in enumerate(
            zip(self.trees, self.counts, self.symbols, self.sizes, strict=True)
        ):
            row, operator = row_of[tree], arguments > 0
            taken = row >= 0
            x[row[taken], place[taken]] = symbol[taken]
            closed = taken & operator
            x[row[closed], (place + size - 1)[closed]] = CLOSE
            if level + 1 < len(self.trees):
                below = self.sizes[level + 1]
                before = below.cumsum() - below
                starts = np.concatenate([[0], arguments[operator].cumsum()[:-1]])
                first = np.repeat(before[starts], arguments[operator])
                place = np.repeat(place[operator], arguments[operator]) + 1 + before - first


def evaluate(values: np.ndarray, starts: np.ndarray, counts: np.ndarray, operators: np.ndarray) -> np.ndarray:
    """Returns the value of each operator.

    Args:
        values: those of all arguments, those of one operator side by side.
        starts: (operators,) where those of each begin.
        counts: (operators,) how many each has.
        operators: (operators,) places in `OPERATORS`.
    """
    owner = np.repeat(np.arange(len(starts)), counts)
    ordered = np.sort(owner * DIGITS + values) % DIGITS
    smallest, largest = ordered[starts], ordered[starts + counts - 1]
    median = (ordered[starts + (counts - 1) // 2] + ordered[starts + counts // 2]) // 2
    total = np.add.reduceat(values, starts) % DIGITS
    result: np.ndarray = np.choose(operators, [smallest, largest, median, total])
    return result

"""The task `flip-flop`: a bit of memory that is written, read, and not to be disturbed."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Generator, Tensor

from architectures.limits import check_steps, quote
from workbench.tasks.automaton import Automaton, Machine, draw_letters, run_machine
from workbench.tasks.base import Batch, Criterion, Floor
from workbench.tasks.query_task import QueryTask

WRITE, READ, IGNORE = 2, 3, 4
"""The symbols of the instructions; 0 and 1 are the bits."""
WRITES, READS = 2, 4
"""Letters of the automaton: from 0 on, write 0, write 1, ignore 0, ignore 1, read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlipFlop(QueryTask, Automaton):
    """Flip-flop language: instructions, each with a bit after it; at a read, the bit that was written last is asked.

        x       instruction, bit, instruction, bit, ...; the first instruction is write, the last one read, and the
                others are ignore with probability p, write and read with (1 - p) / 2 each. Bits after write and ignore
                are 0 or 1 with probability 1/2; that after a read is the answer
        target  at a read: the bit after the last write
        loss    = mean of -ln p(target) over the reads
        trivial = ln 2
        floors  : last seen, who knows the instruction before and its bit: right with certainty after a write or a read,
                  with probability 1/2 after an ignore
        solved  : accuracy = 1

    The floor's accuracy comes to 1 - p / 2 in long sequences; the forced write and read at the ends make it a little
    larger. Of N instructions, N - 2 may be reads, and the one after the first write is right for certain, so with
    q = (1 - p) / 2 and a = q (N - 2) + 1 reads on average it is

        accuracy = (q + (q (N - 3) + 1) (1 - p / 2)) / a, for N > 2

    Published tests have dense (p = 0.1) and sparse (p = 0.98) sequences beside those of training, p = 0.8, and ask for
    no error in any: recurrent networks make none, transformers do.

    Source: Liu et al. (2023, arXiv 2306.00946), definition 1, with 512 steps.

    Args:
        length: T, the number of steps, at least 3; an instruction at every second one, from the first on.
        ignore: p, the probability of an instruction to be ignored, at least 0 and below 1.
    """

    length: int = 64
    ignore: float = 0.8

    def __post_init__(self) -> None:
        check_steps(3, length=self.length)
        if isinstance(self.ignore, bool) or not isinstance(self.ignore, int | float):
            raise TypeError(f"ignore must be a number, not {quote(self.ignore)}")
        if not 0 <= self.ignore < 1:
            raise ValueError(f"ignore must be at least 0 and below 1, not {quote(self.ignore)}")

    @property
    def instructions(self) -> int:
        """The number of instructions, N."""
        return (self.length + 1) // 2

    @property
    def machine(self) -> Machine:
        """The automaton of one bit, whose letters are an instruction with its bit."""
        return _machine(float(self.ignore))

    @property
    def symbols(self) -> int:  # type: ignore[override]
        """Two bits and three instructions."""
        return 5

    @property
    def trivial_loss(self) -> float:
        """The entropy of a bit, ln 2: after the first write, both bits are as likely."""
        return math.log(2)

    @property
    def floors(self) -> Mapping[str, Floor]:
        """What one reaches who knows the last instruction and its bit."""
        if self.instructions == 2:
            return {}
        read = (1 - self.ignore) / 2
        reads = read * (self.instructions - 2) + 1
        # Reads after the first write, the second instruction that is a read, are certain; of the others a share p of
        # those that follow an ignore is open.
        guessed = self.ignore * (read * (self.instructions - 3) + 1) / reads
        return {"last seen": Floor(loss=guessed * math.log(2), accuracy=1 - guessed / 2)}

    @property
    def solved(self) -> Criterion:
        """No error."""
        return Criterion(metric="accuracy", bound=1.0, above=True, or_equal=True)

    def sample(self, size: int, generator: Generator) -> Batch:
        """Draws instructions and bits."""
        device = generator.device
        letters = draw_letters(self.machine, (size, self.instructions), generator)
        letters[:, 0] = torch.randint(WRITES, (size,), generator=generator, device=device)
        letters[:, -1] = READS
        bits = run_machine(self.machine, letters)
        read, write = letters == READS, letters < WRITES
        instruction = torch.where(write, WRITE, torch.where(read, READ, IGNORE))
        # The bit of a write or an ignore is in its letter; that of a read is the state.
        shown = torch.where(read, bits, letters % 2)
        x = interleave(instruction, shown, self.length)
        place = torch.arange(self.instructions, device=device)
        written = torch.where(write, place, 0).cummax(1).values
        blank = torch.zeros_like(bits)
        return Batch(
            x=x,
            target=interleave(torch.where(read, bits, 0), blank, self.length),
            recall=interleave(read, blank.bool(), self.length),
            source=interleave(torch.where(read, 2 * written + 1, -1), blank - 1, self.length),
        )


def interleave(first: Tensor, second: Tensor, length: int) -> Tensor:
    """Returns two tensors (batch, N) in turns, (batch, length)."""
    return torch.stack([first, second], dim=2).flatten(1)[:, :length].contiguous()


@lru_cache(maxsize=64)
def _machine(ignore: float) -> Machine:
    write = (1 - ignore) / 4
    return Machine(
        transitions=np.array([[0, 1, 0, 0, 0], [0, 1, 1, 1, 1]]),
        prior=np.array([write, write, ignore / 2, ignore / 2, 2 * write]),
        outputs=np.arange(2),
    )

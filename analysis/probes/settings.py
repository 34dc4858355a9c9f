"""Settings of the probes."""

from dataclasses import dataclass

from workbench.config import MAX_SEQUENCES
from workbench.seeds import MAX_SEED
from workbench.validation import check_int

MAX_EXTRAPOLATION_STEPS = 20_000
"""Steps of the longest sequences that extrapolation is measured on."""
MAX_LENGTH = 10**7
"""Most steps that a probe may be asked for."""
MAX_DIRECTIONS = 2**16
"""Most probe vectors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeSettings:
    """Settings of the probes. Each of them can change a number, and is kept with the results.

    Args:
        length: steps of the sequences that are probed; by default the length of the run's task.
        sequences: test sequences that statistics over data are taken from.
        directions: random probe vectors for gradients.
        longest: steps of the one sequence that the survival of a signal is measured on.
        seed: of the probes' own random numbers.
    """

    length: int | None = None
    sequences: int = 32
    directions: int = 16
    longest: int = 100_000
    seed: int = 0

    def __post_init__(self) -> None:
        if self.length is not None:
            check_int("length", self.length, least=2, most=MAX_LENGTH, why="no machine has the memory for more")
        check_int("sequences", self.sequences, least=1, most=MAX_SEQUENCES, why="intervals need no more")
        check_int("directions", self.directions, least=2, most=MAX_DIRECTIONS, why="intervals need no more")
        check_int("longest", self.longest, least=2, most=MAX_LENGTH, why="no machine has the memory for more")
        check_int("seed", self.seed, least=0, most=MAX_SEED, why="a seed has 63 bits")

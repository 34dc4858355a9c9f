"""Settings of the probes."""

from dataclasses import dataclass

from workbench.validation import check_int

MAX_EXTRAPOLATION_STEPS = 20_000
"""Steps of the longest sequences that extrapolation is measured on."""


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
            check_int("length", self.length, least=2)
        check_int("sequences", self.sequences, least=1)
        check_int("directions", self.directions, least=2)
        check_int("longest", self.longest, least=2)
        check_int("seed", self.seed, least=0)

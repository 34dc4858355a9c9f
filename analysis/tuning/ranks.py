"""Whether tuning changes the order of the architectures, by mean test loss on fresh seeds."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from analysis.statistics import Mean
from analysis.tuning.subject import Tuned


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where an architecture stands before and after it was tuned."""

    of: Tuned
    default: Mean
    """Test loss of the default configuration."""
    tuned: Mean
    """Test loss of the winner."""
    before: int
    """1 for the lowest mean; two that are equal share a place."""
    after: int

    @property
    def moved(self) -> int:
        """Places won; negative, places lost."""
        return self.before - self.after

    @property
    def factor(self) -> float | None:
        """By what the loss became smaller, as default / tuned; `None` where that means nothing."""
        return self.default.mean / self.tuned.mean if self.default.mean > 0 and self.tuned.mean > 0 else None

    @property
    def told(self) -> bool:
        """Whether the intervals tell the two losses apart."""
        return apart(self.default, self.tuned)


def places(of: Sequence[Tuned]) -> tuple[Place, ...]:
    """The places of those that have both losses, in the order given. Others are in neither ranking: an order that one
    has joined is another order."""
    both = [(each, losses) for each in of if (losses := each.losses) is not None]

    def rank(index: int, mean: float) -> int:
        return 1 + sum(losses[index].mean < mean for _, losses in both)

    return tuple(
        Place(
            of=each,
            default=default,
            tuned=tuned,
            before=rank(0, default.mean),
            after=rank(1, tuned.mean),
        )
        for each, (default, tuned) in both
    )


def swapped(found: Sequence[Place]) -> list[tuple[Place, Place]]:
    """The pairs whose order tuning reverses: the first was ahead, the second is now."""
    pairs = []
    for one, other in combinations(found, 2):
        ahead = one.before - other.before
        if ahead * (one.after - other.after) < 0:
            pairs.append((one, other) if ahead < 0 else (other, one))
    return pairs


def certain(pair: tuple[Place, Place]) -> bool:
    """Whether the intervals tell the two apart, before and after."""
    one, other = pair
    return apart(one.default, other.default) and apart(one.tuned, other.tuned)


def apart(one: Mean, other: Mean) -> bool:
    """Whether both have an interval, and these have no point in common."""
    return one.half is not None and other.half is not None and not one.overlaps(other)


def mark(rank: int, mean: Mean, among: Sequence[Mean]) -> str:
    """A rank as the report prints it: `1=` where the interval overlaps that of the first, `(2)` where there is none to
    tell it from the first."""
    first = min(among, key=lambda each: each.mean)
    if first.half is None or mean.half is None:
        return f"({rank})"
    near = [each for each in among if not apart(first, each) and each.half is not None]
    return "1=" if len(near) > 1 and mean in near else str(rank)

"""Test scores before and after tuning: the two rankings, who moves, and what each architecture gains.

Scores are compared as costs, of which less is better: losses as they are, and an accuracy times -1, for example. What
is shown are the values themselves (`Measure.restore`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from analysis.comparison.losses import MIN_SEEDS, Effect, LossComparison, Standing, compare_losses
from analysis.comparison.pairs import SIGNIFICANCE
from analysis.formatting import ABSENT, format_number
from analysis.grouping import Row
from analysis.report.tuning.tuned_tasks import TunedArchitecture, TunedTask


@dataclass(frozen=True, slots=True, kw_only=True)
class RankChange:
    """An architecture before and after tuning."""

    architecture: TunedArchitecture
    default: Standing
    """The default configuration among the defaults."""
    tuned: Standing
    """The winner among the winners."""
    before: int
    """Rank by the mean loss of the default, 1 for the lowest; equal means share a rank."""
    after: int
    """Rank by the mean loss of the winner."""
    gain: Effect
    """The mean loss of the default divided by the winner's, or less the winner's; below 1, or 0, tuning does harm."""
    is_certain: bool
    """True if default and winner are told apart."""

    @property
    def places_gained(self) -> int:
        """Number of places gained by tuning; negative if places were lost."""
        return self.before - self.after

    @property
    def is_gain(self) -> bool:
        """True if the winner has the lower mean loss."""
        return self.gain.size > (1 if self.gain.scale == "log" else 0)

    @property
    def num_seeds(self) -> int:
        """The number of seeds of the default or the winner, whichever has fewer."""
        return min(self.default.n, self.tuned.n)

    @property
    def is_indicative(self) -> bool:
        """True if seeds are too few for more than an indication."""
        return self.num_seeds < MIN_SEEDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Rankings:
    """The architectures that have runs of both configurations, before and after tuning."""

    before: LossComparison
    """The defaults."""
    after: LossComparison
    """The winners."""
    changes: tuple[RankChange, ...]
    """In the order of the task's architectures."""

    @property
    def are_learned(self) -> bool:
        """True if some default and some winner have learned the task; what none has learned has no order."""
        return self.before.learned and self.after.learned

    @property
    def is_indicative(self) -> bool:
        """True if some row has too few seeds for more than an indication."""
        return self.before.indicative or self.after.indicative


def rank_changes(task: TunedTask) -> Rankings | None:
    """Ranks the architectures before and after tuning.

    Those without runs of the default or of the winner are in neither ranking, since the two have to be over the same
    architectures. Gains are read from a comparison of all ranked rows together, which knows their spread best.

    Returns:
        `None` if no architecture has runs of both, or if all runs of the defaults or of the winners diverged.
    """
    with_runs = [
        (architecture, architecture.default, architecture.tuned)
        for architecture in task.architectures
        if architecture.default is not None and architecture.tuned is not None
    ]
    before = compare_rows(task, [default for _, default, _ in with_runs])
    after = compare_rows(task, [tuned for _, _, tuned in with_runs])
    both = compare_rows(task, [row for _, *rows in with_runs for row in rows])
    if before is None or after is None or both is None:
        return None
    standings = [
        (before.standings[place_of(before, default)], after.standings[place_of(after, tuned)])
        for _, default, tuned in with_runs
    ]
    gains = [gain_of(both, default, tuned) for _, default, tuned in with_runs]
    certain = certain_gains(
        {
            index: gain.p
            for index, (gain, pair) in enumerate(zip(gains, standings, strict=True))
            if gain.p is not None and all(standing.n >= MIN_SEEDS for standing in pair)
        }
    )
    # Counted over architectures, not rows: two studies of one architecture may have the same default.
    defaults, winners = [default.center for default, _ in standings], [tuned.center for _, tuned in standings]
    changes = tuple(
        RankChange(
            architecture=architecture,
            default=default,
            tuned=tuned,
            before=1 + sum(center < default.center for center in defaults),
            after=1 + sum(center < tuned.center for center in winners),
            gain=gains[index],
            is_certain=index in certain,
        )
        for index, ((architecture, _, _), (default, tuned)) in enumerate(zip(with_runs, standings, strict=True))
    )
    return Rankings(before=before, after=after, changes=changes)


def compare_rows(task: TunedTask, rows: Sequence[Row]) -> LossComparison | None:
    """Compares some rows of a task, each once; `None` without rows, or if all of their runs diverged."""
    distinct = tuple({row.label: row for row in rows}.values())
    if task.section is None or not distinct:
        return None
    return compare_losses(replace(task.section, rows=distinct), task.measure.costs)


def place_of(comparison: LossComparison, row: Row) -> int:
    """Returns the place of a row in a comparison, counted from 0."""
    return [standing.row.label for standing in comparison.standings].index(row.label)


def gain_of(comparison: LossComparison, default: Row, tuned: Row) -> Effect:
    """Returns how far the loss of a default is above that of the winner; without a test if they are the same runs."""
    if default is tuned:
        return Effect(scale=comparison.scale, size=float(comparison.scale == "log"), low=None, high=None, p=None)
    return comparison.effect(place_of(comparison, tuned), place_of(comparison, default))


def certain_gains(p_values: Mapping[int, float]) -> set[int]:
    """Returns the keys of the tests that are significant by Holm's method (Holm 1979), over these tests alone."""
    certain = set()
    for place, (key, p) in enumerate(sorted(p_values.items(), key=lambda item: item[1])):
        if p * (len(p_values) - place) > SIGNIFICANCE:
            break
        certain.add(key)
    return certain


def swapped_ranks(changes: Sequence[RankChange]) -> list[tuple[RankChange, RankChange]]:
    """Returns the pairs whose order tuning reverses: the first was ahead before, the second is ahead after."""
    pairs = []
    for one, other in combinations(changes, 2):
        lead = one.before - other.before
        if lead * (one.after - other.after) < 0:
            pairs.append((one, other) if lead < 0 else (other, one))
    return pairs


def is_certain_swap(rankings: Rankings, pair: tuple[RankChange, RankChange]) -> bool:
    """Returns whether a pair is told apart both before and after tuning."""
    if rankings.is_indicative:
        return False
    before = [place_of(rankings.before, change.default.row) for change in pair]
    after = [place_of(rankings.after, change.tuned.row) for change in pair]
    return bool(rankings.before.apart[before[0], before[1]] and rankings.after.apart[after[0], after[1]])


def format_rank(rank: int, standing: Standing, comparison: LossComparison) -> str:
    """Formats a rank with its letters, such as `2 ab`; below four seeds without, and none where nothing is learned."""
    return f"{rank} {standing.letters}".strip() if comparison.learned else ABSENT


def format_gain(change: RankChange) -> str:
    """Formats a gain, a ratio or a difference, with its interval from four seeds on: `14.8 [12.6, 17.4]`."""
    gain = change.gain
    text = format_number(gain.size)
    if change.is_indicative or gain.low is None or gain.high is None or gain.low == gain.high:
        return text
    return f"{text} [{format_number(gain.low)}, {format_number(gain.high)}]"

"""Numbers of seeds, against the tables of Cohen 1988 (table 2.4.1, two-sided, 5 %, power 0.80)."""

import numpy as np
import pytest
from scipy import stats

from analysis.comparison.pairs import Groups
from analysis.comparison.power import seeds_to_settle


@pytest.mark.parametrize(("effect", "seeds"), [(0.2, 394), (0.5, 64), (0.8, 26), (1.0, 17), (1.4, 10)])
def test_seeds_are_those_of_the_tables(effect: float, seeds: int) -> None:
    groups = Groups(
        means=np.array([0.0, effect]), counts=np.array([3, 3]), variances=np.ones(2), freedom=np.array([2.0, 2.0])
    )
    # The table rounds to the nearest; these are whole seeds that reach the power.
    assert seeds_to_settle(groups, 0, 1) == pytest.approx(seeds, abs=1)


def test_where_no_number_of_seeds_is_sensible() -> None:
    equal = Groups.of([np.array([1.0, 2.0]), np.array([1.0, 2.0])])
    assert seeds_to_settle(equal, 0, 1) is None
    assert seeds_to_settle(Groups.of([np.array([1.0, 2.0]), np.array([1.001, 2.001])]), 0, 1) is None
    assert seeds_to_settle(Groups.of([np.array([1.0]), np.array([1.0, 2.0])]), 0, 1) is None


def test_rows_far_apart_take_two_seeds() -> None:
    assert seeds_to_settle(Groups.of([np.array([1.0, 1.1]), np.array([9.0, 9.1])]), 0, 1) == 2
    assert seeds_to_settle(Groups.of([np.array([1.0, 1.0]), np.array([9.0, 9.0])]), 0, 1) == 2


@pytest.mark.parametrize("effect", [5.6, 5.7, 5.9, 6.0, 6.1, 6.3])
def test_large_effects_take_the_fewest_seeds_that_reach_the_power(effect: float) -> None:
    """Against the noncentral t distribution, where solving for a number of seeds that is no whole one fails."""

    def power(n: int) -> float:
        bound = float(stats.t.ppf(0.975, 2 * n - 2))
        return float(stats.nct.sf(bound, 2 * n - 2, effect * (n / 2) ** 0.5))

    groups = Groups(
        means=np.array([0.0, effect]), counts=np.array([3, 3]), variances=np.ones(2), freedom=np.array([2.0, 2.0])
    )
    assert seeds_to_settle(groups, 0, 1) == next(n for n in range(2, 10) if power(n) >= 0.8)

"""How many seeds it takes to tell two rows apart."""

import math
from bisect import bisect_left

from analysis.comparison.pairs import SIGNIFICANCE, Groups

POWER = 0.8
"""Chance of telling the rows apart that the number of seeds is for."""
MAX_SEEDS = 1000
"""Numbers of seeds beyond this are not given: the rows are as good as equal."""


def seeds_to_settle(groups: Groups, first: int, second: int) -> int | None:
    """Returns the number of seeds of each row that tells two rows apart with 80 % power.

    For Student's two-sided test at 5 %, if the rows differ by what is measured now, and seeds spread as they do now
    (Cohen 1988, chapter 2). The difference itself is uncertain, and so is this number.

    Returns:
        `None` if there are too few seeds to say, the rows do not differ, or it would take more than 1,000.
    """
    from statsmodels.stats.power import tt_ind_solve_power

    pair = [first, second]
    if not (groups.freedom[pair] > 0).all():
        return None
    spread = math.sqrt(groups.variances[pair].mean())
    difference = abs(float(groups.means[second] - groups.means[first]))
    if difference == 0:
        return None
    if spread == 0 or difference / spread > 10:
        return 2

    def is_enough(seeds: int) -> bool:
        # NaN, where the distribution can no longer be computed, is far beyond: the power is 1.
        return not tt_ind_solve_power(difference / spread, nobs1=seeds, alpha=SIGNIFICANCE) < POWER

    # Power grows with the seeds. Halving an interval cannot fail, as solving the equation does for some large effects.
    seeds = bisect_left(range(2, MAX_SEEDS + 1), True, key=is_enough) + 2
    return seeds if seeds <= MAX_SEEDS else None

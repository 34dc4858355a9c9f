"""What is about to be trained, in words."""

from math import prod

from analysis.formatting import pluralize
from workbench.comparison import Comparison


def describe_plan(comparison: Comparison) -> str:
    """Returns how many runs a comparison has, and why.

    Example:
        >>> describe_plan(Comparison(tasks=("copy",), architectures=("lstm", "gru"), seeds=3))
        '6 runs: 2 architectures x 1 task x 3 seeds'
    """
    factors = [
        (len(comparison.architectures), "architecture"),
        (len(comparison.tasks), "task"),
        (comparison.seeds, "seed"),
    ]
    runs = prod(amount for amount, _ in factors)
    return f"{pluralize(runs, 'run')}: {' x '.join(pluralize(amount, noun) for amount, noun in factors)}"

"""The choice of the configurations whose seeds are trained together, as one stacked model."""

from collections import Counter
from collections.abc import Callable, Sequence

from workbench.config import Experiment


def choose_seeds_at_once(experiments: Sequence[Experiment], most: int, warn: Callable[[str], None]) -> dict[str, int]:
    """Returns how many seeds of each configuration are to be trained at a time, by its identity, if more than one.

    Args:
        experiments: what is to be trained.
        most: how many seeds the user wants at a time.
        warn: receives a line about each configuration that cannot be trained so.
    """
    if most < 2:
        return {}
    # It imports Lightning, which takes a second.
    from workbench.training.stackability import find_obstacle

    at_once = {}
    counts = Counter(experiment.identity for experiment in experiments)
    for identity, experiment in {experiment.identity: experiment for experiment in experiments}.items():
        if counts[identity] < 2:
            continue
        if (obstacle := find_obstacle(experiment)) is None:
            at_once[identity] = min(most, counts[identity])
        else:
            name = f"{experiment.architecture.name} on {experiment.task.name}"
            warn(f"{name} is trained one seed at a time: {obstacle}")
    return at_once

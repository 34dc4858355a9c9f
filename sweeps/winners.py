"""What is trained once a study is finished: its winner and the default configuration, on seeds that had no say."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sweeps.opening import Opened
from sweeps.snapshot import winner
from workbench.config import Experiment


def fresh(studies: Sequence[Opened], seeds: int) -> list[Experiment]:
    """The fresh runs of each study's winner and of the configuration that an untuned comparison would have.

    The latter's alone where no trial is complete. The seeds are in the outer loop, so that early results already
    compare everything.
    """
    made: dict[tuple[str, int], Experiment] = {}
    for seed in range(seeds):
        for opened in studies:
            for choice in both(opened):
                experiment = opened.spec.experiment(choice, seed)
                made[experiment.identity, seed] = experiment
    return list(made.values())


def both(opened: Opened) -> list[Mapping[str, Any]]:
    """What was chosen by the winner, and nothing, which leaves the defaults."""
    best = chosen(opened)
    return [{}] if best is None else [best, {}]


def chosen(opened: Opened) -> dict[str, Any] | None:
    """The winner's choice, fixed values included; `None` where no trial is complete."""
    best = winner(opened.trials)
    return None if best is None else opened.spec.searched().filled(best.params)


def namer(studies: Sequence[Opened]) -> Callable[[Experiment], str]:
    """What to call a fresh run: whose it is, and whether it is tuned."""
    kinds: dict[str, list[str]] = {}
    for opened in studies:
        for kind, choice in zip(("default", "tuned"), reversed(both(opened)), strict=False):
            kinds.setdefault(opened.spec.experiment(choice, 0).identity, []).append(f"{opened.spec.name} {kind}")

    def name(experiment: Experiment) -> str:
        # One configuration can be both.
        return f"{' = '.join(kinds[experiment.identity])} seed {experiment.seed}"

    return name

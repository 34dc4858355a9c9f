"""What is trained once a study is finished: its winner and the default configuration, on seeds that had no say."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sweeps.export import best_trial
from sweeps.studies import LoadedStudy
from workbench.config import Experiment


def final_experiments(studies: Sequence[LoadedStudy], seeds: int) -> list[Experiment]:
    """The fresh runs of each study's winner and of the configuration that an untuned comparison would have.

    The latter's alone where no trial is complete. The seeds are in the outer loop, so that early results already
    compare everything.
    """
    made: dict[tuple[str, int], Experiment] = {}
    for seed in range(seeds):
        for opened in studies:
            for choice in winner_and_default(opened):
                experiment = opened.spec.experiment(choice, seed)
                made[experiment.identity, seed] = experiment
    return list(made.values())


def winner_and_default(opened: LoadedStudy) -> list[Mapping[str, Any]]:
    """What was chosen by the winner, and nothing, which leaves the defaults."""
    best = winning_trial(opened)
    return [{}] if best is None else [best, {}]


def winning_trial(opened: LoadedStudy) -> dict[str, Any] | None:
    """The winner's choice, fixed values included; `None` where no trial is complete."""
    best = best_trial(opened.trials)
    return None if best is None else opened.spec.searched().filled(best.params)


def study_names(studies: Sequence[LoadedStudy]) -> Callable[[Experiment], str]:
    """What to call a fresh run: whose it is, and whether it is tuned."""
    kinds: dict[str, list[str]] = {}
    for opened in studies:
        for kind, choice in zip(("default", "tuned"), reversed(winner_and_default(opened)), strict=False):
            kinds.setdefault(opened.spec.experiment(choice, 0).identity, []).append(f"{opened.spec.name} {kind}")

    def name(experiment: Experiment) -> str:
        # One configuration can be both.
        return f"{' = '.join(kinds[experiment.identity])} seed {experiment.seed}"

    return name

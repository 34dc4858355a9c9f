"""Final runs of finished studies: winners and default configurations, on seeds that no trial has used."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sweeps.export import best_trial
from sweeps.studies import LoadedStudy
from workbench.config import Experiment


def final_experiments(studies: Sequence[LoadedStudy], seeds: int) -> list[Experiment]:
    """Returns the fresh runs of each study's winner and of its default configuration.

    If no trial of a study is complete, only its default configuration is run. The seeds are in the outer loop, so that
    early results already compare everything.
    """
    experiments: dict[tuple[str, int], Experiment] = {}
    for seed in range(seeds):
        for study in studies:
            for params in winner_and_default(study):
                experiment = study.spec.experiment(params, seed)
                experiments[experiment.identity, seed] = experiment
    return list(experiments.values())


def winner_and_default(study: LoadedStudy) -> list[Mapping[str, Any]]:
    """Returns the winner's parameters, if there is a winner, and an empty mapping, which stands for the defaults."""
    winner = winning_params(study)
    return [{}] if winner is None else [winner, {}]


def winning_params(study: LoadedStudy) -> dict[str, Any] | None:
    """Returns the winner's parameters, including fixed values; `None` if no trial is complete."""
    best = best_trial(study.trials, study.spec.direction)
    return None if best is None else study.spec.search_space().with_fixed(best.params)


def final_run_names(studies: Sequence[LoadedStudy]) -> Callable[[Experiment], str]:
    """Returns a function that names a fresh run by its study, whether it is tuned, and its seed."""
    names: dict[str, list[str]] = {}
    for study in studies:
        for role, params in zip(("default", "tuned"), reversed(winner_and_default(study)), strict=False):
            names.setdefault(study.spec.experiment(params, 0).identity, []).append(f"{study.spec.name} {role}")

    def run_name(experiment: Experiment) -> str:
        # A configuration can be both.
        return f"{' = '.join(names[experiment.identity])} seed {experiment.seed}"

    return run_name

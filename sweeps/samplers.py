"""What proposes the parameters of a trial, and what gives a trial up."""

import warnings
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from sweeps.study_spec import StudySpec
from sweeps.trial_budget import SlotNumberedStudy, SlotOrderedStudy, attempt_of, slot_of, with_slot_number
from workbench.seeding import seed_of

PRUNER_STARTUP = 5
"""Trials that are seen through to their end before the median of their losses gives one up."""
WARMUP_SHARE = 5
"""A fifth of the steps: nothing is given up before, when what will come of it can hardly be told."""
HALVINGS = 3
"""Of Hyperband: the shortest trial has 1 / 3^3 of the steps."""


class PerTrial(BaseSampler):
    """A sampler whose random numbers are a function of the seed and the trial's place in the budget.

    Many workers then draw from unrelated streams, and one worker that was interrupted goes on with the numbers that it
    would have had. It sees the trials by place too, as an estimator's proposals depend on their order; with Hyperband,
    which shows it brackets, by number.
    """

    def __init__(self, spec: StudySpec) -> None:
        self.spec = spec
        self._of_trial: BaseSampler = make_sampler(spec, 0)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        # Always called first; what it finds stays in the sampler.
        self._of_trial = self._sampler(trial)
        return self._of_trial.infer_relative_search_space(finished_by(study), with_slot_number(trial))

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return self._of_trial.sample_relative(finished_by(study), with_slot_number(trial), search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        # From a stream of its own: a trial whose process died before the last was chosen goes on with the rest.
        sampler = self._sampler(trial, param_name)
        return sampler.sample_independent(finished_by(study), with_slot_number(trial), param_name, param_distribution)

    def _sampler(self, trial: FrozenTrial, *of: str) -> BaseSampler:
        draw = slot_of(trial), attempt_of(trial)
        return make_sampler(self.spec, seed_of("sampler", self.spec.sampler_seed, self.spec.name, *draw, *of) % 2**32)


def finished_by(study: Study) -> Study:
    """The study as its sampler sees it."""
    return SlotNumberedStudy(study) if type(study) is SlotOrderedStudy else study


def make_sampler(spec: StudySpec, seed: int) -> BaseSampler:
    """The sampler that a study names."""
    if spec.sampler == "random":
        return RandomSampler(seed=seed)
    with warnings.catch_warnings():
        # Groups, without which conditional parameters are drawn one by one, are still called experimental.
        warnings.simplefilter("ignore", ExperimentalWarning)
        return TPESampler(n_startup_trials=spec.startup_trials, multivariate=True, group=True, seed=seed)


def make_pruner(spec: StudySpec) -> BasePruner:
    """The pruner that a study names."""
    steps = spec.budget.steps
    if spec.pruner == "median":
        return MedianPruner(n_startup_trials=PRUNER_STARTUP, n_warmup_steps=steps // WARMUP_SHARE)
    if spec.pruner == "hyperband":
        return HyperbandPruner(min_resource=max(1, steps // 3**HALVINGS), max_resource=steps, reduction_factor=3)
    return NopPruner()

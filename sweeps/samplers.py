"""Samplers, which propose the parameters of trials, and pruners, which give trials up early."""

from typing import Any

from optuna.distributions import BaseDistribution
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from sweeps.search_methods import build_method
from sweeps.study_spec import StudySpec
from sweeps.trial_budget import SlotNumberedStudy, SlotOrderedStudy, attempt_of, slot_of, with_slot_number
from workbench.seeds import derive_seed

PRUNER_STARTUP_TRIALS = 5
"""Trials that run to their end before the median of their losses is used to give others up."""
WARMUP_DIVISOR = 5
"""No trial is given up in the first fifth of its steps, as its early losses say little about its final one."""
HYPERBAND_HALVINGS = 3
"""Hyperband's shortest trial has 1 / 3^3 of the steps."""


class SlotSampler(BaseSampler):
    """A sampler whose random numbers are a function of the seed and the trial's slot and attempt.

    The workers thus draw from independent streams, and a worker that was interrupted continues with the numbers that it
    would have had. The sampler also sees the trials in the order of their slots, as an estimator's proposals depend on
    the order; with Hyperband, which shows it brackets of the study, in the order of their numbers.
    """

    def __init__(self, spec: StudySpec) -> None:
        self.spec = spec
        self._trial_sampler: BaseSampler = make_sampler(spec, 0)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Returns the parameters that are sampled together. Optuna calls this first for each trial."""
        # The sampler is kept, as it remembers the groups that it infers here.
        self._trial_sampler = self._seeded_sampler(trial)
        return self._trial_sampler.infer_relative_search_space(sampler_view(study), with_slot_number(trial))

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Returns values of the parameters that are sampled together."""
        return self._trial_sampler.sample_relative(sampler_view(study), with_slot_number(trial), search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Returns a value of a parameter that is sampled separately."""
        # Each parameter has its own stream: a retry of a trial that died halfway chooses the rest as it would have.
        sampler = self._seeded_sampler(trial, param_name)
        return sampler.sample_independent(sampler_view(study), with_slot_number(trial), param_name, param_distribution)

    def _seeded_sampler(self, trial: FrozenTrial, *param_name: str) -> BaseSampler:
        return make_sampler(self.spec, trial_seed(self.spec, trial, *param_name))


def trial_seed(spec: StudySpec, trial: FrozenTrial, *param_name: str) -> int:
    """Returns the seed of a trial's proposals, a function of the study's seed, the slot and the attempt.

    Args:
        spec: the study; its seed is the option `seed` of its sampler, or else `sampler_seed`.
        trial: the trial.
        param_name: the parameter that is sampled separately, if one is.
    """
    slot, attempt = slot_of(trial), attempt_of(trial)
    return derive_seed("sampler", study_seed(spec), spec.name, slot, attempt, *param_name) % 2**32


def study_seed(spec: StudySpec) -> int | str:
    """Returns the seed from which those of all of a study's trials are derived, whatever the sampler's class takes."""
    seed = spec.sampler_options.get("seed")
    if seed is None:
        return spec.sampler_seed
    return seed if isinstance(seed, int) else repr(seed)


def sampler_view(study: Study) -> Study:
    """Returns the study as its sampler sees it."""
    return SlotNumberedStudy(study) if type(study) is SlotOrderedStudy else study


def make_sampler(spec: StudySpec, seed: int) -> BaseSampler:
    """Returns the sampler that a study names by a short name, with its options and this seed."""
    defaults: dict[str, Any] = {}
    if spec.sampler == "tpe":
        defaults = {"n_startup_trials": spec.startup_trials, "multivariate": True, "group": True}
    # Without groups, conditional parameters are drawn one by one.
    options = {**defaults, **spec.sampler_options, "seed": seed}
    sampler: BaseSampler = build_method("sampler", spec.sampler, options, seed)
    return sampler


def make_pruner(spec: StudySpec) -> BasePruner:
    """Returns the pruner that a study names, by a short name with defaults for its steps, or by a dotted path."""
    steps = spec.budget.steps
    defaults: dict[str, Any] = {}
    if spec.pruner == "median":
        defaults = {"n_startup_trials": PRUNER_STARTUP_TRIALS, "n_warmup_steps": steps // WARMUP_DIVISOR}
    elif spec.pruner == "hyperband":
        shortest = max(1, steps // 3**HYPERBAND_HALVINGS)
        defaults = {"min_resource": shortest, "max_resource": steps, "reduction_factor": 3}
    pruner: BasePruner = build_method("pruner", spec.pruner, {**defaults, **spec.pruner_options}, spec.sampler_seed)
    return pruner

"""A user's sampler in a study: one that is named by a dotted path, or an object.

Unlike those with short names it may remember something from trial to trial, so it is built once for a study in each
process. Its random numbers are nevertheless a function of the seed and the trial's slot, as far as it draws them from
generators that it holds.
"""

import copy
import random
import warnings
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning, OptunaError
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler
from optuna.samplers._lazy_random_state import LazyRandomState
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from sweeps.method_names import SearchObjects, is_object, is_short
from sweeps.samplers import make_pruner, sampler_view, study_seed, trial_seed
from sweeps.search_methods import build_method
from sweeps.storage_retry import STORAGE_ERRORS
from sweeps.studies import LoadedStudy
from sweeps.study_spec import StudySpec
from sweeps.trial_budget import with_slot_number
from workbench.custom_parts import user_errors
from workbench.errors import UserError
from workbench.seeds import derive_seed

T = TypeVar("T")


def equip(study: LoadedStudy, objects: SearchObjects) -> None:
    """Gives a study the sampler and the pruner that it names, where they are not set up already; imports their code.

    Only who runs trials needs it.

    Args:
        study: the study.
        objects: the objects of this process.

    Raises:
        UserError: if there is no such class, or the study wants an object that this process does not have.
    """
    spec, optuna_study = study.spec, study.optuna_study
    if not is_short("sampler", spec.sampler):
        sampler = own_object(spec, "sampler", objects.sampler)
        if sampler is None:
            seed = derive_seed("sampler", study_seed(spec), spec.name) % 2**32
            sampler = build_method("sampler", spec.sampler, spec.sampler_options, seed)
        optuna_study.sampler = OwnSampler(spec, sampler)
    if not is_short("pruner", spec.pruner):
        pruner: BasePruner | None = own_object(spec, "pruner", objects.pruner)
        optuna_study.pruner = make_pruner(spec) if pruner is None else pruner


def own_object(spec: StudySpec, kind: str, given: Any) -> Any:
    """Returns a study's copy of an object; `None` if the study names a class.

    Raises:
        UserError: if the study wants an object, and none is given.
    """
    name = getattr(spec, kind)
    if not is_object(name):
        return None
    if given is None:
        raise UserError(
            f"study {spec.name} was made with a {kind} that was an {name}, which only a call from Python can give; "
            f"give it again there, or begin another sweep (--name) whose {kind} is named by a dotted path"
        )
    try:
        return copy.deepcopy(given)
    except Exception:
        # It cannot be copied: the studies share it.
        return given


class OwnSampler(BaseSampler):
    """A user's sampler, seeded anew for each trial, that sees the trials in the order of their slots.

    Args:
        spec: the study's.
        sampler: the user's.
    """

    def __init__(self, spec: StudySpec, sampler: BaseSampler) -> None:
        self.spec, self.sampler = spec, sampler

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Lets the sampler prepare itself. Optuna calls this first for each trial."""
        self._seed(trial)
        self._call(lambda: self.sampler.before_trial(sampler_view(study), with_slot_number(trial)))

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Returns the parameters that are sampled together."""
        return self._call(
            lambda: self.sampler.infer_relative_search_space(sampler_view(study), with_slot_number(trial))
        )

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Returns values of the parameters that are sampled together."""
        return self._call(
            lambda: self.sampler.sample_relative(sampler_view(study), with_slot_number(trial), search_space)
        )

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Returns a value of a parameter that is sampled separately."""
        self._seed(trial, param_name)
        return self._call(
            lambda: self.sampler.sample_independent(
                sampler_view(study), with_slot_number(trial), param_name, param_distribution
            )
        )

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        """Tells the sampler how a trial ended."""
        self._call(lambda: self.sampler.after_trial(sampler_view(study), with_slot_number(trial), state, values))

    def _seed(self, trial: FrozenTrial, *param_name: str) -> None:
        seed_generators(self.sampler, trial_seed(self.spec, trial, *param_name))

    def _call(self, call: Callable[[], T]) -> T:
        """Calls the sampler; its own errors become one line, those of the store stay what they are."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ExperimentalWarning)
                return call()
        except (UserError, OptunaError, *STORAGE_ERRORS):
            raise
        except Exception as error:
            with user_errors(f"sampler {self.spec.sampler}"):
                raise error


def seed_generators(sampler: Any, seed: int) -> None:
    """Seeds every random generator that a sampler holds, those of its inner samplers included.

    Args:
        sampler: the sampler.
        seed: of 32 bits.
    """
    for name, value in list(getattr(sampler, "__dict__", {}).items()):
        if isinstance(value, LazyRandomState):
            value.rng.seed(seed)
        elif isinstance(value, np.random.RandomState | random.Random):
            value.seed(seed)
        elif isinstance(value, np.random.Generator):
            setattr(sampler, name, np.random.Generator(type(value.bit_generator)(seed)))
        elif isinstance(value, BaseSampler):
            seed_generators(value, seed)

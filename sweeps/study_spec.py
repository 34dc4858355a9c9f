"""Specification of a study: an architecture, a task, the search space, and how it is searched."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

from architectures.registry import ARCHITECTURES
from sweeps.method_names import check_method_name, is_object
from sweeps.metrics import OBJECTIVES
from sweeps.search_methods import SearchMethod, build_method, method_source
from sweeps.search_space import SearchSpace, check_corners
from sweeps.setting_names import Match, normalize_options, settings_by_name
from workbench.config import Budget, Experiment, Numerics, Optimization, Part
from workbench.custom_parts import REVISION, architecture_source, check_unchanged, is_custom
from workbench.errors import UserError
from workbench.resolve import resolve_again, resolve_architecture
from workbench.size_matching import SIZE_OPTIONS, check_free_width, choose_target, match_size
from workbench.study_files import Direction
from workbench.validation import check_choice, check_int, from_mapping

if TYPE_CHECKING:
    from workbench.tasks import Task

CHANGE_REMEDY = "put it back, or begin another study (--name)"


@dataclass(frozen=True, slots=True, kw_only=True)
class StudySpec:
    """Complete specification of a study. Specifications of the same settings are equal, however they were written.

    Args:
        name: name of the study in its store.
        task: the task with all of its options, as `resolve_task` returns it.
        architecture: a name, or a dotted path.
        options: options of the architecture that the user gave; they are not searched.
        hidden_size: units of the default configuration, and of every trial if they are not searched.
        match: none: widths are free; width: they are `hidden_size`; parameters, state: they are solved for.
        parameters: the number of parameters to match, if that is matched.
        state_size: the size of the state to match, if that is matched.
        embedding_size: as in `Experiment`.
        optimization: settings of the default configuration, and of every trial if they are not searched.
        budget, numerics: those of every trial.
        space: the complete search space, as plain data.
        objectives: what trials are judged by on the validation set: the loss or another metric, by its plain name, or
            the loss with a second objective.
        direction: whether less or more of the first objective is better; of a second one less is.
        sampler, startup_trials, sampler_seed: what proposes parameters, how many trials are proposed at random before
            that, and the seed of the proposals. A sampler is a short name, the dotted path of a class, or says that it
            was an object.
        sampler_options: keyword arguments of the sampler's class.
        pruner, pruner_options: what gives trials up early, likewise.
        sampler_source, pruner_source: hash of the code of the user's own class, if it is one.
        source: hash of the code of a custom architecture; by default that of the code as it is now.
    """

    name: str
    task: Part
    architecture: str
    options: Mapping[str, Any] = field(default_factory=dict)
    hidden_size: int = 64
    match: Match = "none"
    parameters: int | None = None
    state_size: int | None = None
    embedding_size: int | None = None
    optimization: Optimization = field(default_factory=Optimization)
    budget: Budget = field(default_factory=Budget)
    numerics: Numerics = field(default_factory=Numerics)
    space: Mapping[str, Any]
    objectives: tuple[str, ...] = ("loss",)
    direction: Direction = "minimize"
    sampler: str = "tpe"
    sampler_options: Mapping[str, Any] = field(default_factory=dict)
    startup_trials: int = 10
    sampler_seed: int = 0
    pruner: str = "median"
    pruner_options: Mapping[str, Any] = field(default_factory=dict)
    sampler_source: str | None = None
    pruner_source: str | None = None
    source: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.strip():
            raise UserError(f"a study needs a name, not {self.name!r}")
        if not all(part.strip(". ") for part in self.name.split("/")):
            # The name is that of a file too.
            raise UserError(f"a study cannot be called {self.name!r}")
        for key, least in (("hidden_size", 1), ("startup_trials", 0), ("sampler_seed", 0)):
            check_int(key, getattr(self, key), least=least)
        check_choice("match", self.match, Match)
        check_choice("direction", self.direction, Direction)
        check_method_name("sampler", self.sampler, self.sampler_options)
        check_method_name("pruner", self.pruner, self.pruner_options)
        if self.embedding_size is not None:
            check_int("embedding_size", self.embedding_size, least=1)
        for name, key in SIZE_OPTIONS.items():
            if (getattr(self, key) is None) == (self.match == name):
                raise UserError(f"study {self.name}: {key} is {getattr(self, key)}, but match is {self.match}")
        choose_target(self.match, self.parameters, self.state_size)
        object.__setattr__(self, "objectives", tuple(self.objectives))
        is_metric = len(self.objectives) == 1 and self.objectives[0] not in ("seconds", "parameters")
        if self.objectives not in OBJECTIVES and not is_metric:
            given = ",".join(map(str, self.objectives))
            raise UserError(
                f"objectives must be loss or another metric, or loss with seconds or parameters, not {given}"
            )
        if self.objectives[0] == "loss" and self.direction != "minimize":
            raise UserError("the loss is minimized; its direction cannot be maximize")
        if len(self.objectives) > 1 and self.pruner != "none":
            raise UserError("trials with two objectives cannot be pruned; drop one, or the pruner (--pruner none)")
        check_free_width(self.match, self.architecture, self.options)
        if not isinstance(self.space, Mapping):
            raise UserError(f"the space of {self.architecture} must be a mapping, not {self.space!r}")
        if self.source is None or not is_custom(self.architecture):
            self._read_options_and_space()

    @property
    def names_custom_code(self) -> bool:
        """True if the task or the architecture is custom, so that its code is imported to build a run."""
        return is_custom(self.task.name) or is_custom(self.architecture)

    @property
    def metric(self) -> str:
        """The metric of the validation set by which trials are judged and given up, such as val/loss."""
        return f"val/{self.objectives[0]}"

    @property
    def directions(self) -> tuple[Direction, ...]:
        """Direction of each objective."""
        costs: list[Direction] = ["minimize" for _ in self.objectives[1:]]
        return (self.direction, *costs)

    @property
    def methods(self) -> tuple[SearchMethod, SearchMethod]:
        """The sampler and the pruner."""
        return (
            SearchMethod("sampler", self.sampler, self.sampler_options, self.sampler_source),
            SearchMethod("pruner", self.pruner, self.pruner_options, self.pruner_source),
        )

    def _read_options_and_space(self) -> None:
        """Checks the options and the space, and writes them in one way; custom code is imported for it.

        A specification with the hash of custom code was written by `to_dict` after this, and may only be looked at.
        """
        object.__setattr__(self, "options", normalize_options(self.architecture, self.options))
        if self.source is None:
            object.__setattr__(self, "source", architecture_source(self.architecture, self.options))
        try:
            space = self.search_space()
        except UserError:
            # If the code has changed, that is the cause, and the better message.
            self._check_architecture()
            raise
        searched = space.split_by_owner(dict.fromkeys(space.to_dict()))["architecture"]
        for key, value in self.options.items():
            if key in searched:
                raise UserError(f"{key} of {self.architecture} is given as {value!r}, and searched too; drop one")
        object.__setattr__(self, "space", space.to_dict())

    def search_space(self) -> SearchSpace:
        """Returns the search space."""
        return SearchSpace.from_dict(self.space, self.architecture, match=self.match)

    def experiment(self, params: Mapping[str, Any], seed: int) -> Experiment:
        """Returns the run of a trial's parameters.

        Args:
            params: by the space's names, as `SearchSpace.suggest` returns them; all others are at their defaults. An
                empty mapping is the default configuration: the one that a comparison of the same settings trains.
            seed: seed of the weights and the training data.

        Raises:
            UserError: if a name is not in the space, or the run cannot be built.
        """
        return self._build_experiment(*resolve_again(self.task), params, seed)

    def _build_experiment(self, part: Part, task: "Task", params: Mapping[str, Any], seed: int) -> Experiment:
        values = self.search_space().split_by_owner(params)
        embedding_size = values["model"].get("embedding_size", self.embedding_size)
        if embedding_size is not None and task.symbols is None:
            raise UserError(f"embedding_size is given, but {self.task.name} has no symbols to embed")
        target = choose_target(self.match, self.parameters, self.state_size)
        architecture = resolve_architecture(
            self.architecture,
            {**self.options, **values["architecture"]},
            task,
            hidden_size=self.hidden_size,
            embedding_size=embedding_size,
            buildable=target is None,
        )
        if target is not None and self.match in SIZE_OPTIONS:
            architecture = match_size(architecture, task, self.match, target, embedding_size)
        return Experiment(
            task=part,
            architecture=architecture,
            optimization=replace(self.optimization, **values["optimization"]),
            budget=self.budget,
            numerics=self.numerics,
            embedding_size=embedding_size,
            seed=seed,
        )

    def settings_of(self, experiment: Experiment) -> dict[str, Any]:
        """Returns an experiment's settings, by the names of the space."""
        values = {
            "optimization": asdict(experiment.optimization),
            "architecture": experiment.architecture.options,
            "model": {"embedding_size": experiment.embedding_size},
        }
        return settings_by_name(self.architecture, values)

    def default_params(self) -> dict[str, Any]:
        """Returns the searched parameters of the default configuration that lie inside the space."""
        return self.search_space().keep_valid(self.settings_of(self.experiment({}, 0)))

    def contains_default(self) -> bool:
        """Returns whether a trial can have the default configuration."""
        space, params = self.search_space(), self.default_params()
        if not space.is_complete(params):
            return False
        return self.experiment(space.with_fixed(params), 0).identity == self.experiment({}, 0).identity

    def check(self) -> None:
        """Builds the sampler, the pruner, the default configuration, and one with each choice and each end of a range.

        The other parameters are at their defaults, unless conditions need others.

        Raises:
            UserError: if one cannot be built.
        """
        self.check_methods()
        part, task = resolve_again(self.task)
        default = self._build_experiment(part, task, {}, 0)
        check_corners(
            self.search_space(),
            self.settings_of(default),
            lambda params: self._build_experiment(part, task, params, 0),
        )

    def check_source(self) -> None:
        """Refuses to continue with other code than the study was made with, which is imported for it.

        Raises:
            UserError: if the code of the task or of the architecture has changed.
        """
        check_unchanged("task", self.task, f"study {self.name}", CHANGE_REMEDY)
        self._check_architecture()

    def check_methods(self) -> None:
        """Builds the sampler and the pruner unless they are objects, which imports the code that a dotted path names.

        Raises:
            UserError: if there is no such class, an option is wrong, or the code has changed.
        """
        for method in self.methods:
            if is_object(method.name):
                continue
            build_method(method.kind, method.name, method.options, seed=0)
            if method_source(method.kind, method.name) != method.source:
                raise UserError(
                    f"the code of {method.kind} {method.name} is not what study {self.name} was made with; "
                    f"{CHANGE_REMEDY}"
                )

    def _check_architecture(self) -> None:
        part = Part(name=self.architecture, options=self.options, source=self.source)
        check_unchanged("architecture", part, f"study {self.name}", CHANGE_REMEDY)

    def differences(self, other: "StudySpec") -> list[str]:
        """Returns the settings that differ from those of another study, each with both values, this one's first."""
        # Where the file of the task lies changes nothing.
        first, second = (replace(spec, task=replace(spec.task, path=None)) for spec in (self, other))
        return differences(first.to_dict(), second.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """Returns plain dicts, lists, strings and numbers."""
        values = dict(json.loads(json.dumps(asdict(self), allow_nan=False)))
        if self.task.path is None:
            # Studies from before tasks read files have none.
            del values["task"]["path"]
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Returns the specification that `to_dict` wrote; custom code that it names is not imported.

        Raises:
            UserError: if a key is unknown or missing, or a value is invalid.
        """
        rest = dict(values)
        kinds: dict[str, type[Any]] = {"task": Part, "optimization": Optimization, "budget": Budget}
        parts = {key: from_mapping(kind, rest.pop(key, None), f"the study's {key}") for key, kind in kinds.items()}
        # Studies from before there was a choice have none.
        parts["numerics"] = from_mapping(Numerics, rest.pop("numerics", {}), "the study's numerics")
        architecture = rest.get("architecture")
        if isinstance(architecture, str) and ":" in architecture and not isinstance(rest.get("source"), str):
            raise UserError(f"the hash of the code of {architecture} is missing")
        options = rest.get("options", {})
        if architecture in ARCHITECTURES and isinstance(options, Mapping) and rest.get("source") is None:
            # It was made with the first revision, whatever today's is.
            source = architecture_source(str(architecture), options)
            rest["source"] = source and f"{REVISION}1"
        return from_mapping(cls, {**rest, **parts}, "the study")


def differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[str]:
    """Returns the settings that differ, each with both values.

    Example:
        >>> differences({"budget": {"steps": 2000}}, {"budget": {"steps": 500}})
        ['budget.steps is 2000, not 500']
    """
    flat_first, flat_second = flatten_keys(first), flatten_keys(second)
    pairs = {
        key: (format_value(flat_first, key), format_value(flat_second, key)) for key in (*flat_first, *flat_second)
    }
    return [f"{key} is {value}, not {other}" for key, (value, other) in pairs.items() if value != other]


def flatten_keys(nested: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Returns nested mappings as one mapping, with dots between the keys."""
    flat: dict[str, Any] = {}
    for key, value in nested.items():
        if isinstance(value, Mapping) and value:
            flat |= flatten_keys(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def format_value(flat: Mapping[str, Any], key: str) -> str:
    """Returns a value as JSON, or `left out` if the key is missing."""
    return json.dumps(flat[key], sort_keys=True) if key in flat else "left out"

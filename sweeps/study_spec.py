"""What one study is: an architecture, a task, what may be chosen, and how it is searched."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, Self

from architectures.registry import load
from sweeps.search_space import Space, check_corners
from sweeps.setting_names import Match, plain_options, settings_by_name
from workbench.config import Budget, Experiment, Numerics, Optimization, Part
from workbench.errors import UserError
from workbench.resolve import match_parameters, resolve_architecture, resolve_task, source, user_errors
from workbench.tasks import Task
from workbench.validation import check_choice, check_int, from_mapping

Objective = Literal["loss", "seconds", "parameters"]
Sampler = Literal["tpe", "random"]
Pruner = Literal["median", "hyperband", "none"]

OBJECTIVES = (("loss",), ("loss", "seconds"), ("loss", "parameters"))


@dataclass(frozen=True, slots=True, kw_only=True)
class StudySpec:
    """One study. Two of the same settings are equal, however they were written.

    Args:
        name: of the study in its store.
        task: with all of its options, as `resolve_task` gives it.
        architecture: a name, or a dotted path.
        options: what the user gave, and is not searched.
        hidden_size: units where they are not searched, and of the default configuration.
        match: none: widths are free; width: they are `hidden_size`; parameters: they are solved for.
        parameters: the number to match, where that is matched.
        embedding_size: as in `Experiment`.
        optimization: where it is not searched, and of the default configuration.
        budget, numerics: of every trial.
        space: complete, as plain data.
        objectives: what is minimised, on the validation set: the loss, alone or with a second.
        sampler, startup_trials, sampler_seed: what proposes, after how many proposals by chance, from which seed.
        pruner: what gives trials up early.
        source: for one's own architecture, the hash of its code; by default that of the code as it is now.
    """

    name: str
    task: Part
    architecture: str
    options: Mapping[str, Any] = field(default_factory=dict)
    hidden_size: int = 64
    match: Match = "none"
    parameters: int | None = None
    embedding_size: int | None = None
    optimization: Optimization = field(default_factory=Optimization)
    budget: Budget = field(default_factory=Budget)
    numerics: Numerics = field(default_factory=Numerics)
    space: Mapping[str, Any]
    objectives: tuple[str, ...] = ("loss",)
    sampler: Sampler = "tpe"
    startup_trials: int = 10
    sampler_seed: int = 0
    pruner: Pruner = "median"
    source: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.strip():
            raise UserError(f"a study needs a name, not {self.name!r}")
        if not all(part.strip(". ") for part in self.name.split("/")):
            # It names a file too.
            raise UserError(f"a study cannot be called {self.name!r}")
        for key, least in (("hidden_size", 1), ("startup_trials", 0), ("sampler_seed", 0)):
            check_int(key, getattr(self, key), least=least)
        for key, choices in (("match", Match), ("sampler", Sampler), ("pruner", Pruner)):
            check_choice(key, getattr(self, key), choices)
        for key in ("embedding_size", "parameters"):
            if getattr(self, key) is not None:
                check_int(key, getattr(self, key), least=1)
        if (self.parameters is None) == (self.match == "parameters"):
            raise UserError(f"study {self.name}: parameters is {self.parameters}, but match is {self.match}")
        object.__setattr__(self, "objectives", tuple(self.objectives))
        if self.objectives not in OBJECTIVES:
            asked = ",".join(map(str, self.objectives))
            raise UserError(f"objectives must be loss, alone or with seconds or parameters, not {asked}")
        if len(self.objectives) > 1 and self.pruner != "none":
            raise UserError("trials with two objectives cannot be pruned; drop one, or the pruner (--pruner none)")
        object.__setattr__(self, "options", plain_options(self.architecture, self.options))
        if self.match == "parameters" and "hidden_size" in self.options:
            name = self.architecture
            raise UserError(f"{name} is given a hidden_size, but --match parameters solves for it; drop one")
        if self.source is None:
            object.__setattr__(self, "source", source_of(self.architecture))
        try:
            space = self.searched()
        except UserError:
            # Rather that the code has changed than what of the space it cannot take any more.
            self.check_source()
            raise
        searched = space.owned(dict.fromkeys(space.to_dict()))["architecture"]
        for key, value in self.options.items():
            if key in searched:
                raise UserError(f"{key} of {self.architecture} is given as {value!r}, and searched too; drop one")
        object.__setattr__(self, "space", space.to_dict())

    def searched(self) -> Space:
        """The space, read."""
        return Space.read(self.space, self.architecture, match=self.match)

    def experiment(self, chosen: Mapping[str, Any], seed: int) -> Experiment:
        """The run that a choice is.

        Args:
            chosen: by the space's names, as `Space.choose` gives it; what is not chosen is at its default. Nothing
                chosen is the default configuration: the one that a comparison of the same settings trains.
            seed: of its weights and training data.

        Raises:
            UserError: if a name is not in the space, or the choice cannot be.
        """
        return self._on(*resolve_task(self.task.name, self.task.options), chosen, seed)

    def _on(self, part: Part, task: Task, chosen: Mapping[str, Any], seed: int) -> Experiment:
        owned = self.searched().owned(chosen)
        embedding_size = owned["model"].get("embedding_size", self.embedding_size)
        if embedding_size is not None and task.symbols is None:
            raise UserError(f"embedding_size is given, but {self.task.name} has no symbols to embed")
        architecture = resolve_architecture(
            self.architecture,
            {**self.options, **owned["architecture"]},
            task,
            hidden_size=self.hidden_size,
            embedding_size=embedding_size,
            buildable=self.parameters is None,
        )
        if self.parameters is not None:
            architecture = match_parameters(architecture, task, self.parameters, embedding_size)
        return Experiment(
            task=part,
            architecture=architecture,
            optimization=replace(self.optimization, **owned["optimization"]),
            budget=self.budget,
            numerics=self.numerics,
            embedding_size=embedding_size,
            seed=seed,
        )

    def default(self) -> dict[str, Any]:
        """What the default configuration has of the parameters searched, where the space holds it."""
        return self.searched().inside(self.untuned(self.experiment({}, 0)))

    def untuned(self, experiment: Experiment) -> dict[str, Any]:
        """An experiment's settings, by the names of the space."""
        owned = {
            "optimization": asdict(experiment.optimization),
            "architecture": experiment.architecture.options,
            "model": {"embedding_size": experiment.embedding_size},
        }
        return settings_by_name(self.architecture, owned)

    def holds_default(self) -> bool:
        """Whether the default configuration is one that a trial can have."""
        space, chosen = self.searched(), self.default()
        if not space.complete(chosen):
            return False
        return self.experiment(space.filled(chosen), 0).identity == self.experiment({}, 0).identity

    def check(self) -> None:
        """Builds the default configuration, and each choice and each end of a range, the others at their defaults
        where the conditions let them.

        Raises:
            UserError: if one cannot be.
        """
        part, task = resolve_task(self.task.name, self.task.options)
        check_corners(
            self.searched(), self.untuned(self._on(part, task, {}, 0)), lambda chosen: self._on(part, task, chosen, 0)
        )

    def check_source(self) -> None:
        """Refuses to go on with other code than the study was made with.

        Raises:
            UserError: if the task's or the architecture's own code has changed.
        """
        check_task(self.task, self.name)
        check_code(self.architecture, self.source, self.name)

    def differences(self, other: "StudySpec") -> list[str]:
        """What this study has otherwise than another: each setting with both values, this one's first."""
        return differences(self.to_dict(), other.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """Plain dicts, lists, strings and numbers."""
        return dict(json.loads(json.dumps(asdict(self), allow_nan=False)))

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`; a `UserError` where a key is unknown or missing, or a value impossible."""
        rest = dict(given)
        parts: dict[str, type[Any]] = {"task": Part, "optimization": Optimization, "budget": Budget}
        made = {key: from_mapping(kind, rest.pop(key, None), f"the study's {key}") for key, kind in parts.items()}
        # Studies from before there was a choice have none.
        made["numerics"] = from_mapping(Numerics, rest.pop("numerics", {}), "the study's numerics")
        return from_mapping(cls, {**rest, **made}, "the study")


def source_of(name: str) -> str | None:
    """The hash of the code of an architecture as it is now; `None` for a name of the catalogue.

    Raises:
        UserError: if there is none of that name.
    """
    with user_errors(f"architecture {name}"):
        return source(load(name), name)


def check_code(name: str, then: str | None, study: str) -> None:
    """Refuses other code of an architecture than that of the hash.

    Raises:
        UserError: if it is another, or gone.
    """
    if source_of(name) != then:
        raise changed_source_message(f"architecture {name}", study)


def check_task(part: Part, study: str) -> None:
    """Refuses other code, or other data, of a task than those that a part was resolved with.

    Raises:
        UserError: if they are others, or gone.
    """
    now, _ = resolve_task(part.name, part.options)
    if now.source != part.source:
        raise changed_source_message(f"task {part.name}", study)


def changed_source_message(what: str, study: str) -> UserError:
    """Why a study does not go on."""
    return UserError(
        f"the code of {what} is not what study {study} was made with; put it back, or begin another study (--name)"
    )


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Each setting that is another, with both values, the first one's first.

    Example:
        >>> differences({"budget": {"steps": 2000}}, {"budget": {"steps": 500}})
        ['budget.steps is 2000, not 500']
    """
    first, second = flatten(one), flatten(other)
    pairs = {key: (format_value(first, key), format_value(second, key)) for key in (*first, *second)}
    return [f"{key} is {found}, not {due}" for key, (found, due) in pairs.items() if found != due]


def flatten(plain: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Nested mappings as one, with dots between the keys."""
    found: dict[str, Any] = {}
    for key, value in plain.items():
        inner = isinstance(value, Mapping) and value
        found |= flatten(inner, f"{above}{key}.") if inner else {f"{above}{key}": value}
    return found


def format_value(flat: Mapping[str, Any], key: str) -> str:
    """A value in JSON, or that there is none."""
    return json.dumps(flat[key], sort_keys=True) if key in flat else "left out"

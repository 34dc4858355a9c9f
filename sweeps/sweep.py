"""Settings of a sweep, which tunes every architecture on every task with the same number of trials."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, Self

from architectures.limits import quote
from sweeps.method_names import SearchObjects, check_method_name, is_object, method_name
from sweeps.metrics import LOSS, OBJECTIVES, check_metric, find_direction
from sweeps.setting_names import ALL_ARCHITECTURES, Match
from workbench.config import TUNING_SEED, Budget, Numerics, Optimization
from workbench.custom_parts import user_errors
from workbench.errors import UserError
from workbench.flat_config import check_names, from_flat, name_in_full, to_flat
from workbench.resolve import resolve_architecture, resolve_task
from workbench.seeds import MAX_SEED
from workbench.size_matching import SIZE_OPTIONS, choose_target, count_size
from workbench.study_files import Direction
from workbench.tasks.file_names import short_name
from workbench.validation import check_choice, check_int, check_size

if TYPE_CHECKING:
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler

    from sweeps.study_spec import StudySpec
    from workbench.tasks import Task

MAX_TRIALS = 10_000
"""Trials that a study may have at most; all slots are put into the store before the first trial starts."""
ObjectiveName = Literal["loss", "seconds", "parameters"]
NAME_PATTERN = re.compile(r"(?![. ]+$)[\w.-]+( [\w.-]+)*")
"""A sweep's name is a part of its studies' names, and so a folder; dots alone would name another folder."""
LIST_KEYS = ("tasks", "architectures", "objectives")
"""Settings that are lists of names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """Settings of a sweep.

    Args:
        tasks: names, separated by commas; a custom task is named package.module:Class.
        architectures: names, separated by commas; a custom one is named package.module:Class.
        trials: finished trials of each architecture on each task; pruned and diverged ones count.
        seeds: fresh runs of each winner, and of each default configuration, with seeds 0, 1, 2, ...
        metric: what a trial is judged by, and its winner chosen by: a metric of the validation set that the tasks have,
            such as val/accuracy.
        direction: minimize or maximize; by default known from the task's metric.
        objectives: loss, or two, of which the second is seconds or parameters. With two there is a Pareto front, and
            nothing is pruned.
        sampler: what proposes parameters: a tree-structured Parzen estimator (tpe), chance (random), or the dotted path
            of a class, such as optuna.samplers.CmaEsSampler or package.module:Class.
        sampler_options: options of the sampler's class, such as --sampler_options.seed 1.
        startup_trials: trials proposed at random before the estimator has enough to go by.
        sampler_seed: seed of the proposals.
        pruner: what gives trials up early: median, hyperband, none, or the dotted path of a class; by default median,
            with two objectives none.
        pruner_options: options of the pruner's class, such as --pruner_options.percentile 25.
        hidden_size: units where they are not searched, and of the default configuration.
        match: none: widths are searched; width: all have hidden_size units; parameters, or state: widths solved
            so that the numbers of parameters, or those that are carried from step to step, are equal.
        parameters: the number to match; by default that of the first architecture at hidden_size.
        state_size: likewise, of the state.
        embedding_size: learned vectors of this size for tasks of symbols; by default symbols are one-hot.
        name: put before the names of the studies, so that a store can hold several sweeps.
    """

    tasks: tuple[str, ...]
    architectures: tuple[str, ...]
    trials: int = 40
    seeds: int = 3
    metric: str = LOSS
    direction: Direction | None = None
    objectives: tuple[str, ...] = ("loss",)
    sampler: "str | BaseSampler" = "tpe"
    sampler_options: Mapping[str, Any] = field(default_factory=dict)
    startup_trials: int = 10
    sampler_seed: int = 0
    pruner: "str | BasePruner | None" = None
    pruner_options: Mapping[str, Any] = field(default_factory=dict)
    hidden_size: int = 64
    match: Match = "none"
    parameters: int | None = None
    state_size: int | None = None
    embedding_size: int | None = None
    name: str | None = None
    optimization: Optimization = field(default_factory=Optimization)
    budget: Budget = field(default_factory=Budget)
    numerics: Numerics = field(default_factory=Numerics)
    task: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    architecture: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    space: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "task", name_in_full(self.tasks, self.task))
        check_names("task", self.tasks, self.task, "tuned")
        check_names("architecture", self.architectures, self.architecture, "tuned")
        check_names("architecture", self.architectures, self.space, "tuned", also=(ALL_ARCHITECTURES,))
        check_int("trials", self.trials, least=1, most=MAX_TRIALS)
        check_int("seeds", self.seeds, least=1, most=TUNING_SEED)
        check_size("hidden_size", self.hidden_size)
        if self.embedding_size is not None:
            check_size("embedding_size", self.embedding_size)
        check_int("startup_trials", self.startup_trials, least=1, most=MAX_TRIALS)
        check_int("sampler_seed", self.sampler_seed, least=0, most=MAX_SEED, why="a seed has 63 bits")
        check_method_name("sampler", method_name("sampler", self.sampler), self.sampler_options)
        check_method_name("pruner", self.pruner_name, self.pruner_options)
        check_choice("match", self.match, Match)
        if not isinstance(self.objectives, list | tuple):
            raise UserError(f"objectives must be a list of names, not {quote(self.objectives)}")
        for objective in self.objectives:
            check_choice("objectives", objective, ObjectiveName)
        if tuple(self.objectives) not in OBJECTIVES:
            given = ",".join(self.objectives)
            raise UserError(f"objectives must be loss, alone or with seconds or parameters, not {quote(given)}")
        if check_metric(self.metric, self.direction) != "loss" and self.objectives != ("loss",):
            raise UserError(
                f"metric {self.metric!r} goes with one objective, not {','.join(self.objectives)}; drop one"
            )
        if len(self.objectives) > 1 and self.direction == "maximize":
            raise UserError("direction is maximize, but both objectives are minimized; drop --direction")
        choose_target(self.match, self.parameters, self.state_size)
        if self.name is not None and not (isinstance(self.name, str) and NAME_PATTERN.fullmatch(self.name)):
            raise UserError(
                f"name {self.name!r} must be of letters, digits, dots and dashes, not dots alone, such as --name march"
            )

    @property
    def pruner_name(self) -> str:
        """Name of the pruner; the default is that of the number of objectives."""
        if self.pruner is None:
            return "median" if len(self.objectives) == 1 else "none"
        return method_name("pruner", self.pruner)

    @property
    def objects(self) -> SearchObjects:
        """The sampler and the pruner, of those that are objects."""
        return SearchObjects(
            sampler=None if isinstance(self.sampler, str) else self.sampler,
            pruner=None if isinstance(self.pruner, str) else self.pruner,
        )

    @property
    def study_names(self) -> tuple[str, ...]:
        """Names of its studies, by task and architecture."""
        return tuple(self._study_name(task, name) for task in self.tasks for name in self.architectures)

    def _study_name(self, task: str, architecture: str) -> str:
        return "/".join(part for part in (self.name, short_name(task), architecture) if part)

    def specs(self) -> "list[StudySpec]":
        """Returns the complete specifications of the studies, by task and architecture.

        Raises:
            UserError: if a name, an option, a metric or a space is invalid.
        """
        # Imported only now, as they need Optuna: the options of a sweep are shown and checked without it.
        from sweeps.default_space import check_shared_changes, study_space
        from sweeps.search_methods import method_source
        from sweeps.study_spec import StudySpec

        sampler, pruner = method_name("sampler", self.sampler), self.pruner_name
        for kind, name, given in (("sampler", sampler, self.sampler), ("pruner", pruner, self.pruner)):
            if is_object(name) and isinstance(given, str):
                raise UserError(
                    f"the {kind} was an {name}, which only a call from Python can give; name another --{kind}, such as "
                    f"{name.removeprefix('object of ')}"
                )
        sources = method_source("sampler", sampler), method_source("pruner", pruner)
        metric = check_metric(self.metric, self.direction)
        tasks = {name: resolve_task(name, self.task.get(name, {})) for name in self.tasks}
        has_symbols = any(task.symbols is not None for _, task in tasks.values())
        if self.embedding_size is not None and not has_symbols:
            raise UserError("embedding_size is given, but none of the tasks has symbols to embed")
        shared_changes = self.space.get(ALL_ARCHITECTURES, {})
        check_shared_changes(shared_changes, self.architectures, has_symbols=has_symbols)
        specs = []
        for task_name, (part, task) in tasks.items():
            embedding_size = self.embedding_size if task.symbols is not None else None
            target = self._find_target(task, embedding_size)
            direction = find_direction(task, task_name, metric, self.direction)
            for name in self.architectures:
                options = self.architecture.get(name, {})
                space = study_space(
                    name,
                    task.steps,
                    match=self.match,
                    hidden_size=self.hidden_size,
                    optimization=self.optimization,
                    options=options,
                    embedding_size=embedding_size,
                    has_symbols=task.symbols is not None,
                    shared_changes=shared_changes,
                    own_changes=self.space.get(name, {}),
                )
                specs.append(
                    StudySpec(
                        name=self._study_name(task_name, name),
                        task=part,
                        architecture=name,
                        options=options,
                        hidden_size=self.hidden_size,
                        match=self.match,
                        parameters=target if self.match == "parameters" else None,
                        state_size=target if self.match == "state" else None,
                        embedding_size=embedding_size,
                        optimization=self.optimization,
                        budget=self.budget,
                        numerics=self.numerics,
                        space=space,
                        objectives=(metric, *self.objectives[1:]),
                        direction=direction,
                        sampler=sampler,
                        sampler_options=self.sampler_options,
                        startup_trials=self.startup_trials,
                        sampler_seed=self.sampler_seed,
                        pruner=pruner,
                        pruner_options=self.pruner_options,
                        sampler_source=sources[0],
                        pruner_source=sources[1],
                    )
                )
        return specs

    def _find_target(self, task: "Task", embedding_size: int | None) -> int | None:
        """Returns the size that every architecture has to have; `None` if none is matched."""
        given = choose_target(self.match, self.parameters, self.state_size)
        if self.match not in SIZE_OPTIONS or given is not None:
            return given
        first = self.architectures[0]
        options = self.architecture.get(first, {})
        part = resolve_architecture(first, options, task, hidden_size=self.hidden_size, embedding_size=embedding_size)
        with user_errors(f"architecture {first}"):
            return count_size(self.match, task, part, embedding_size)

    def to_dict(self) -> dict[str, Any]:
        """Returns plain values, as in the YAML file that `from_dict` reads back; an object is named by its class."""
        sampler = method_name("sampler", self.sampler)
        pruner = None if self.pruner is None else self.pruner_name
        return to_flat(replace(self, sampler=sampler, pruner=pruner), LIST_KEYS)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Returns a sweep from one flat mapping: its own fields beside those of the optimization and the budget.

        Raises:
            UserError: if a key is unknown or missing, or a value is invalid.
        """
        return from_flat(cls, values, LIST_KEYS, "the sweep")

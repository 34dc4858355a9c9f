"""Settings of a sweep, which tunes every architecture on every task with the same number of trials."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from sweeps.default_space import ALL_ARCHITECTURES, check_shared_changes, study_space
from sweeps.setting_names import Match
from sweeps.studies import MAX_TRIALS
from sweeps.study_spec import ObjectiveName, PrunerName, SamplerName, StudySpec
from workbench.comparison import MAX_PARAMETERS
from workbench.config import TUNING_SEED, Budget, Numerics, Optimization
from workbench.custom_parts import user_errors
from workbench.errors import UserError
from workbench.flat_config import check_names, from_flat, name_in_full, to_flat
from workbench.model import count_parameters
from workbench.resolve import resolve_architecture, resolve_task
from workbench.seeding import MAX_SEED
from workbench.tasks import Task
from workbench.tasks.file_names import short_name
from workbench.validation import check_choice, check_int, check_size

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
        objectives: what a trial is judged by on the validation set: loss, or two, of which the second is seconds or
            parameters. With two there is a Pareto front, and nothing is pruned.
        sampler: what proposes parameters: a tree-structured Parzen estimator (tpe), or chance (random).
        startup_trials: trials proposed at random before the estimator has enough to go by.
        sampler_seed: seed of the proposals.
        pruner: what gives trials up early: median, hyperband or none; by default median, with two objectives none.
        hidden_size: units where they are not searched, and of the default configuration.
        match: none: widths are searched; width: all have hidden_size units; parameters: widths solved so that the
            numbers of parameters are equal.
        parameters: the number to match; by default that of the first architecture at hidden_size.
        embedding_size: learned vectors of this size for tasks of symbols; by default symbols are one-hot.
        name: put before the names of the studies, so that a store can hold several sweeps.
    """

    tasks: tuple[str, ...]
    architectures: tuple[str, ...]
    trials: int = 40
    seeds: int = 3
    objectives: tuple[str, ...] = ("loss",)
    sampler: SamplerName = "tpe"
    startup_trials: int = 10
    sampler_seed: int = 0
    pruner: PrunerName | None = None
    hidden_size: int = 64
    match: Match = "none"
    parameters: int | None = None
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
        check_int("startup_trials", self.startup_trials, least=1, most=MAX_TRIALS)
        check_int("sampler_seed", self.sampler_seed, least=0, most=MAX_SEED, why="a seed has 63 bits")
        check_choice("sampler", self.sampler, SamplerName)
        check_choice("match", self.match, Match)
        if self.pruner is not None:
            check_choice("pruner", self.pruner, PrunerName)
        for objective in self.objectives:
            check_choice("objectives", objective, ObjectiveName)
        if self.parameters is not None:
            check_size("parameters", self.parameters, most=MAX_PARAMETERS)
            if self.match != "parameters":
                raise UserError(f"parameters is given, but match is {self.match}; add --match parameters")
        if self.name is not None and not (isinstance(self.name, str) and NAME_PATTERN.fullmatch(self.name)):
            raise UserError(
                f"name {self.name!r} must be of letters, digits, dots and dashes, not dots alone, such as --name march"
            )

    @property
    def study_names(self) -> tuple[str, ...]:
        """Names of its studies, by task and architecture."""
        return tuple(self._study_name(task, name) for task in self.tasks for name in self.architectures)

    def _study_name(self, task: str, architecture: str) -> str:
        return "/".join(part for part in (self.name, short_name(task), architecture) if part)

    def specs(self) -> list[StudySpec]:
        """Returns the complete specifications of the studies, by task and architecture.

        Raises:
            UserError: if a name, an option or a space is invalid.
        """
        tasks = {name: resolve_task(name, self.task.get(name, {})) for name in self.tasks}
        has_symbols = any(task.symbols is not None for _, task in tasks.values())
        if self.embedding_size is not None and not has_symbols:
            raise UserError("embedding_size is given, but none of the tasks has symbols to embed")
        shared_changes = self.space.get(ALL_ARCHITECTURES, {})
        check_shared_changes(shared_changes, self.architectures, has_symbols=has_symbols)
        specs = []
        for task_name, (part, task) in tasks.items():
            embedding_size = self.embedding_size if task.symbols is not None else None
            target = self._target_parameters(task, embedding_size)
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
                        parameters=target,
                        embedding_size=embedding_size,
                        optimization=self.optimization,
                        budget=self.budget,
                        numerics=self.numerics,
                        space=space,
                        objectives=self.objectives,
                        sampler=self.sampler,
                        startup_trials=self.startup_trials,
                        sampler_seed=self.sampler_seed,
                        pruner=self.pruner or ("median" if len(self.objectives) == 1 else "none"),
                    )
                )
        return specs

    def _target_parameters(self, task: Task, embedding_size: int | None) -> int | None:
        """Returns the number of parameters that every architecture has to have; `None` if it is not matched."""
        if self.match != "parameters" or self.parameters is not None:
            return self.parameters
        first = self.architectures[0]
        options = self.architecture.get(first, {})
        part = resolve_architecture(first, options, task, hidden_size=self.hidden_size, embedding_size=embedding_size)
        with user_errors(f"architecture {first}"):
            return count_parameters(task, part, embedding_size)

    def to_dict(self) -> dict[str, Any]:
        """Returns plain values, as in the YAML file that `from_dict` reads back."""
        return to_flat(self, LIST_KEYS)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Returns a sweep from one flat mapping: its own fields beside those of the optimization and the budget.

        Raises:
            UserError: if a key is unknown or missing, or a value is invalid.
        """
        return from_flat(cls, values, LIST_KEYS, "the sweep")

"""A comparison: every architecture on every task under the same rules, for several seeds."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from workbench.config import TUNING_SEED, Budget, Experiment, Numerics, Optimization, Part
from workbench.custom_parts import user_errors
from workbench.errors import UserError
from workbench.flat_config import check_names, from_flat, name_in_full, to_flat
from workbench.resolve import resolve_architecture, resolve_task
from workbench.size_matching import SIZE_OPTIONS, check_free_width, choose_target, count_size, match_size
from workbench.validation import check_choice, check_int, check_size

Match = Literal["width", "parameters", "state"]
"""Widths are equal, or solved so that the numbers of parameters, or of what is carried from step to step, are equal."""
MAX_RUNS = 100_000
"""Most runs of a comparison."""
LIST_KEYS = ("tasks", "architectures")
"""Fields that are lists of names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Architectures and tasks to compare, and the rules that hold for all of them.

    Args:
        tasks: names, separated by commas; file:PATH for a file of yours, package.module:Class for a custom task.
        architectures: names, separated by commas; a custom one is named package.module:Class.
        seeds: runs of each, with seeds 0, 1, 2, ...
        hidden_size: units of every architecture, unless its own options say otherwise.
        match: equal widths, or widths solved so that the numbers of parameters are equal, or the sizes of the state,
            the numbers that are carried from step to step.
        parameters: the number to match; by default that of the first architecture at hidden_size.
        state_size: likewise, of the state.
        embedding_size: learned vectors of this size for tasks of symbols; by default symbols are one-hot.
    """

    tasks: tuple[str, ...]
    architectures: tuple[str, ...]
    seeds: int = 3
    hidden_size: int = 64
    match: Match = "width"
    parameters: int | None = None
    state_size: int | None = None
    embedding_size: int | None = None
    optimization: Optimization = field(default_factory=Optimization)
    budget: Budget = field(default_factory=Budget)
    numerics: Numerics = field(default_factory=Numerics)
    task: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    architecture: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "task", name_in_full(self.tasks, self.task))
        check_names("task", self.tasks, self.task, "compared")
        check_names("architecture", self.architectures, self.architecture, "compared")
        check_int("seeds", self.seeds, least=1, most=TUNING_SEED)
        check_size("hidden_size", self.hidden_size)
        if self.embedding_size is not None:
            check_size("embedding_size", self.embedding_size)
        check_choice("match", self.match, Match)
        for name, options in self.architecture.items():
            check_free_width(self.match, name, options)
        choose_target(self.match, self.parameters, self.state_size)

    def experiments(self) -> list[Experiment]:
        """Returns all runs, resolved, seed by seed, so that early results already compare everything.

        Raises:
            UserError: if a name or an option is unknown, a value is invalid, or there are too many runs.
        """
        runs = len(self.tasks) * len(self.architectures) * self.seeds
        if runs > MAX_RUNS:
            raise UserError(f"these are {runs:,} runs; a comparison has at most {MAX_RUNS:,}, as each has a folder")
        configurations = [
            Experiment(
                task=task,
                architecture=architecture,
                optimization=self.optimization,
                budget=self.budget,
                numerics=self.numerics,
                embedding_size=embedding_size,
            )
            for task, architecture, embedding_size in self._resolve_parts()
        ]
        return [configuration.with_seed(seed) for seed in range(self.seeds) for configuration in configurations]

    def _resolve_parts(self) -> Iterator[tuple[Part, Part, int | None]]:
        tasks = [resolve_task(name, self.task.get(name, {})) for name in self.tasks]
        for index, (part, _) in enumerate(tasks):
            if (first := [other for other, _ in tasks].index(part)) != index:
                same = f"{self.tasks[first]} and {self.tasks[index]}"
                raise UserError(f"tasks {same} are the same; once is enough")
        if self.embedding_size is not None and all(task.symbols is None for _, task in tasks):
            raise UserError("embedding_size is given, but none of the tasks has symbols to embed")
        for task_part, task in tasks:
            embedding_size = self.embedding_size if task.symbols is not None else None
            architectures = [
                resolve_architecture(
                    name,
                    self.architecture.get(name, {}),
                    task,
                    hidden_size=self.hidden_size,
                    embedding_size=embedding_size,
                    buildable=self.match == "width",
                )
                for name in self.architectures
            ]
            if self.match in SIZE_OPTIONS:
                target = choose_target(self.match, self.parameters, self.state_size)
                if target is None:
                    with user_errors(f"architecture {architectures[0].name}"):
                        target = count_size(self.match, task, architectures[0], embedding_size)
                architectures = [match_size(part, task, self.match, target, embedding_size) for part in architectures]
            for architecture in architectures:
                yield task_part, architecture, embedding_size

    def to_dict(self) -> dict[str, Any]:
        """Returns plain values, as in the YAML file that `from_dict` reads back."""
        return to_flat(self, LIST_KEYS)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Returns a comparison from one flat mapping: its own fields beside those of the optimisation and the budget.

        Raises:
            UserError: if a key is unknown or missing, or a value is invalid.
        """
        return from_flat(cls, values, LIST_KEYS, "the comparison")

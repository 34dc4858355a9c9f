"""Suites of tasks as YAML files: a question each, with the settings of its tasks at each budget."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from analysis.presets.preset import PlannedRun, Preset, overlay
from architectures.limits import quote
from architectures.suggest import did_you_mean
from workbench.errors import UserError
from workbench.files import read_yaml
from workbench.tasks.catalogue import QUESTIONS, build

FOLDER = Path(__file__).parent / "questions"
"""The folder of the suites, a file for each question, with its tasks."""
SETTINGS = Path(__file__).parent / "settings.yaml"
"""What all suites have in common."""
ALL = "all"
"""Name of all suites together."""
Budget = Literal["small", "long"]
"""small: minutes for a few architectures on two cores; long: longer sequences and more seeds, for hours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """A question, asked by several tasks.

    Args:
        name: name of its file, one of `QUESTIONS`.
        presets: a preset for each task: settings, and the learning rates to choose from.
        optional: tasks that are left out where their files are missing.
    """

    name: str
    presets: tuple[Preset, ...]
    optional: frozenset[str] = frozenset()

    @property
    def title(self) -> str:
        """The question."""
        return QUESTIONS[self.name]

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the tasks, in order."""
        return tuple(preset.full["tasks"][0] for preset in self.presets)

    def with_architectures(self, architectures: Sequence[str]) -> "Suite":
        """Returns the suite with other architectures, in the same settings.

        Raises:
            UserError: if none is named, or one twice.
        """
        if not architectures or len({*architectures}) < len(architectures):
            raise UserError("name architectures, each once, such as --architectures lstm,rwa")
        full = {"architectures": list(architectures)}
        presets = tuple(replace(preset, full={**preset.full, **full}) for preset in self.presets)
        return replace(self, presets=presets)

    def without_missing(self) -> tuple["Suite", list[str]]:
        """Returns the suite without the optional tasks whose files are missing, and a line on each of these."""
        kept, lines = [], []
        for task, preset in zip(self.tasks, self.presets, strict=True):
            try:
                if task in self.optional:
                    # A task that reads files hashes them.
                    _ = build(task, **preset.settings("small")["task"][task]).data
            except UserError as error:
                lines.append(f"{task} is left out: {error}")
            else:
                kept.append(preset)
        return replace(self, presets=tuple(kept)), lines

    def plans(self, budget: Budget, seeds: int | None = None) -> list[list[PlannedRun]]:
        """Returns the runs of each task, seed by seed.

        Raises:
            UserError: if a data file is missing, or a setting is invalid.
        """
        return [preset.plan(budget, seeds) for preset in self.presets]


def suite_names() -> tuple[str, ...]:
    """Returns the names of all suites, in the order of the questions."""
    return tuple(name for name in QUESTIONS if (FOLDER / f"{name}.yaml").exists())


def choose_suites(names: Sequence[str]) -> list[Suite]:
    """Returns the suites of some names, each once; `all` is every one.

    Raises:
        UserError: if there is no such suite, or its file is invalid.
    """
    known = suite_names()
    chosen: list[str] = []
    for name in names:
        if name != ALL and name not in known:
            hint = did_you_mean(name, (*known, ALL))
            raise UserError(f"no suite is called {quote(name)}{hint}; workbench suite --list shows them")
        chosen += [each for each in (known if name == ALL else (name,)) if each not in chosen]
    return [load_suite(name) for name in chosen]


def load_suite(name: str) -> Suite:
    """Loads a suite.

    The settings of a task at a budget are those of all suites, with the task's own over them; at the small budget those
    under `small`, of all suites and then of the task, lie over both. `options` are the task's; one that is `optional`
    is left out where its files are missing.

    Raises:
        UserError: if a file is invalid.
    """
    common, tasks = read_yaml(SETTINGS), read_yaml(FOLDER / f"{name}.yaml")
    presets: list[Preset] = []
    optional: set[str] = set()
    for task, own in tasks.items():
        changes = dict(own or {})
        if changes.pop("optional", False):
            optional.add(task)
        small = name_options(task, changes.pop("small", {}))
        full = {
            "tasks": [task],
            "architectures": common["architectures"],
            **overlay(common["long"], name_options(task, changes)),
        }
        presets.append(
            Preset(name=f"{name}-{task}", title=QUESTIONS[name], full=full, small=overlay(common["small"], small))
        )
    return Suite(name=name, presets=tuple(presets), optional=frozenset(optional))


def name_options(task: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Returns settings with the task's options in the place where a comparison has them."""
    named = {key: value for key, value in settings.items() if key != "options"}
    return {**named, "task": {task: settings["options"]}} if "options" in settings else named

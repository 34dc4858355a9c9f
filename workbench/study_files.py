"""Files of a sweep's studies, readable without Optuna: written while a sweep runs, read by reports.

A study tunes one architecture on one task. The storage that its workers share may be unreachable later, or on another
machine; these files stay with the results.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal, Self, get_args

from workbench.errors import UserError
from workbench.files import read_json, write_json
from workbench.validation import from_mapping

STUDIES_FOLDER = "sweep"
"""Folder of the files in a folder of results: OUT/sweep/<task>/<architecture>.json, or, if the sweep has a name,
OUT/sweep/<name>/<task>/<architecture>.json."""

TrialStatus = Literal["waiting", "running", "complete", "pruned", "diverged", "interrupted", "failed"]
Direction = Literal["minimize", "maximize"]
FINISHED_STATES: tuple[TrialStatus, ...] = ("complete", "pruned", "diverged")
"""States that count against a study's budget of trials. An interrupted or failed trial is replaced by another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One attempt to train with one choice of parameters."""

    number: int
    place: int
    """Slot in the study's budget of trials, counted from 0. An interrupted trial and the one that resumes from its
    checkpoint share a slot."""
    state: TrialStatus
    params: Mapping[str, Any]
    """Values by the names of the space; a conditional parameter is present if its condition held."""
    values: tuple[float, ...] | None = None
    """The objectives, in the study's order, on the validation set; `None` unless it is complete."""
    intermediate: tuple[tuple[int, float], ...] = ()
    """The first objective by training step; that of a diverged trial's last step is missing."""
    identity: str | None = None
    """Identity of the run's experiment; `None` if none was resolved."""
    seconds: float | None = None
    """Wall-clock time from start to end."""
    ended: str | None = None
    """Time of the end, as ISO 8601."""
    default: bool = False
    """True if it is the configuration that an untuned comparison would have."""
    error: str | None = None
    """Error of a failed trial, in one line."""
    enqueued: bool = False
    """True if the user enqueued it, with parameters that no sampler proposed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """One architecture tuned on one task."""

    name: str
    task: str
    task_options: Mapping[str, Any]
    architecture: str
    asked: int
    """Number of finished trials that were requested."""
    objectives: tuple[str, ...]
    """A metric of the validation set, or `loss` with `seconds` or `parameters`; a second one is minimised."""
    settings: Mapping[str, Any]
    """Everything that the study was made with: budget, base optimisation, sampler, pruner, seed, space, versions."""
    space: Mapping[str, Any]
    """The search space by parameter, as in docs/sweeps.md."""
    trials: tuple[Trial, ...]
    """In order of their numbers."""
    direction: Direction = "minimize"
    """Whether less or more of the first objective is better."""
    winner: int | None = None
    """Number of the complete trial that is best on the validation set, by the first objective."""
    winner_identity: str | None = None
    """Identity of the winner's configuration, under which its runs on fresh seeds are."""
    default_identity: str | None = None
    """Identity of the default configuration, under which its runs on fresh seeds are."""
    seeds: int = 0
    """Number of fresh seeds (0, 1, ...) with which both are trained."""
    importances: Mapping[str, float] | None = None
    """Importances by parameter (PED-ANOVA), which sum to 1; `None` if there were too few trials."""

    @property
    def finished_trials(self) -> tuple[Trial, ...]:
        """The trials that count against the budget."""
        return tuple(trial for trial in self.trials if trial.state in FINISHED_STATES)

    def trials_in(self, *states: TrialStatus) -> tuple[Trial, ...]:
        """Returns the trials that are in one of the states."""
        return tuple(trial for trial in self.trials if trial.state in states)

    @property
    def pareto_front(self) -> tuple[Trial, ...]:
        """The complete trials that no other dominates, in order of the first objective."""
        complete = [(trial, trial.values) for trial in self.trials if trial.values is not None]
        front = [trial for trial, values in complete if not any(dominates(other, values) for _, other in complete)]
        return tuple(sorted(front, key=lambda trial: (trial.values or (), trial.number)))

    def to_dict(self) -> dict[str, Any]:
        """Returns plain values, as written to the study's file."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Returns the study that `to_dict` wrote.

        Raises:
            UserError: if a key is missing or unknown, or a value is invalid.
        """
        rest = dict(values)
        if not isinstance(rest.get("trials"), list):
            raise UserError("a study must have a list of trials")
        rest["trials"] = tuple(parse_trial(trial) for trial in rest["trials"])
        rest["objectives"] = tuple(rest.get("objectives", ()))
        study = from_mapping(cls, rest, "the study")
        if study.direction not in get_args(Direction):
            raise UserError(f"a study's direction is invalid: {study.direction!r}")
        return study


def dominates(one: Sequence[float], other: Sequence[float]) -> bool:
    """Returns whether one is nowhere worse than the other and somewhere better; lower is better."""
    return all(a <= b for a, b in zip(one, other, strict=True)) and tuple(one) != tuple(other)


def parse_trial(values: Any) -> Trial:
    """Returns a trial from plain values.

    Raises:
        UserError: if a key is missing or unknown, or the state is.
    """
    trial = from_mapping(Trial, values, "a trial")
    if trial.state not in get_args(TrialStatus):
        raise UserError(f"a trial's state is invalid: {trial.state!r}")
    values_by_field: dict[str, Any] = {item.name: getattr(trial, item.name) for item in fields(Trial)}
    values_by_field["values"] = None if trial.values is None else tuple(float(value) for value in trial.values)
    values_by_field["intermediate"] = tuple((int(step), float(value)) for step, value in trial.intermediate)
    return Trial(**values_by_field)


def study_path(out: Path, name: str) -> Path:
    """Returns the path of a study's file."""
    *folders, last = name.replace(":", "-").split("/")
    return Path(out, STUDIES_FOLDER, *folders) / f"{last}.json"


def write_study(out: Path, study: Study) -> None:
    """Writes a study's file, atomically."""
    path = study_path(out, study.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, study.to_dict())


def read_studies(out: Path) -> tuple[Study, ...]:
    """Reads all studies in a folder of results, in order of their names.

    Raises:
        UserError: if a file was not written by this bench.
    """
    studies = []
    for path in sorted((out / STUDIES_FOLDER).rglob("*.json")):
        try:
            studies.append(Study.from_dict(read_json(path)))
        except (UserError, TypeError, ValueError) as error:
            raise UserError(f"{path} was not written by this bench: {error}; move it away") from None
    return tuple(studies)

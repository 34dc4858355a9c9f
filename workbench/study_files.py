"""What is known of a sweep's studies without Optuna: written while a sweep runs, read by reports.

A study tunes one architecture on one task. The store that its workers share may be out of reach later, or on another
machine; these files stay with the results.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal, Self, get_args

from workbench.errors import UserError
from workbench.files import read_json, write_json
from workbench.validation import from_mapping

FOLDER = "sweep"
"""Below a folder of results: `OUT/sweep/<task>/<architecture>.json`, below the sweep's name if it has one."""

State = Literal["waiting", "running", "complete", "pruned", "diverged", "interrupted", "failed"]
FINISHED: tuple[State, ...] = ("complete", "pruned", "diverged")
"""What counts against a study's budget of trials. An interrupted or failed one is made up for by another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One attempt at one choice of parameters."""

    number: int
    place: int
    """Which of the study's trials it is to be, counted from 0: one that was interrupted and the one that goes on from
    its checkpoint share a place."""
    state: State
    params: Mapping[str, Any]
    """What was chosen, by the names of the space; conditional ones are there where their condition held."""
    values: tuple[float, ...] | None = None
    """The objectives, in the study's order, on the validation set; `None` unless it is complete."""
    intermediate: tuple[tuple[int, float], ...] = ()
    """Validation losses by training step; that of a diverged trial's last step is missing."""
    identity: str | None = None
    """Of the run's configuration; `None` where none was resolved."""
    seconds: float | None = None
    """From start to end, on the clock."""
    ended: str | None = None
    """When, as ISO 8601."""
    default: bool = False
    """Whether it is the configuration that an untuned comparison would have."""
    error: str | None = None
    """Of a failed one, in a line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """One architecture tuned on one task."""

    name: str
    task: str
    task_options: Mapping[str, Any]
    architecture: str
    asked: int
    """The number of finished trials that were asked for."""
    objectives: tuple[str, ...]
    """`loss`, alone or with `seconds` or `parameters`; all are minimised."""
    settings: Mapping[str, Any]
    """All that the study was made with: budget, base optimisation, sampler, pruner, seed, space, versions."""
    space: Mapping[str, Any]
    """By parameter, as in docs/sweeps.md."""
    trials: tuple[Trial, ...]
    """By number."""
    winner: int | None = None
    """The number of the complete trial with the lowest validation loss."""
    winner_identity: str | None = None
    default_identity: str | None = None
    """Of the default configuration; the fresh runs of both are under these."""
    seeds: int = 0
    """Fresh seeds (0, 1, ...) with which both are trained."""
    importances: Mapping[str, float] | None = None
    """By parameter, adding up to 1 (PED-ANOVA); `None` where there were too few trials."""

    @property
    def finished(self) -> tuple[Trial, ...]:
        """The trials that count against the budget."""
        return tuple(trial for trial in self.trials if trial.state in FINISHED)

    def in_state(self, *states: State) -> tuple[Trial, ...]:
        """The trials in one of the states."""
        return tuple(trial for trial in self.trials if trial.state in states)

    @property
    def front(self) -> tuple[Trial, ...]:
        """The complete trials that no other beats in one objective without losing in another, by the first."""
        complete = [(trial, trial.values) for trial in self.trials if trial.values is not None]
        kept = [trial for trial, values in complete if not any(dominates(other, values) for _, other in complete)]
        return tuple(sorted(kept, key=lambda trial: (trial.values or (), trial.number)))

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`.

        Raises:
            UserError: if something is missing, unknown or of another kind.
        """
        rest = dict(values)
        if not isinstance(rest.get("trials"), list):
            raise UserError("a study must have a list of trials")
        rest["trials"] = tuple(read_trial(trial) for trial in rest["trials"])
        rest["objectives"] = tuple(rest.get("objectives", ()))
        return from_mapping(cls, rest, "the study")


def dominates(one: Sequence[float], other: Sequence[float]) -> bool:
    """Whether one is nowhere worse than the other and somewhere better; lower is better."""
    return all(a <= b for a, b in zip(one, other, strict=True)) and tuple(one) != tuple(other)


def read_trial(values: Any) -> Trial:
    """A trial from plain values."""
    trial = from_mapping(Trial, values, "a trial")
    if trial.state not in get_args(State):
        raise UserError(f"a trial's state cannot be {trial.state!r}")
    made: dict[str, Any] = {item.name: getattr(trial, item.name) for item in fields(Trial)}
    made["values"] = None if trial.values is None else tuple(float(value) for value in trial.values)
    made["intermediate"] = tuple((int(step), float(value)) for step, value in trial.intermediate)
    return Trial(**made)


def study_path(out: Path, name: str) -> Path:
    """Where a study's file is."""
    *folders, last = name.replace(":", "-").split("/")
    return Path(out, FOLDER, *folders) / f"{last}.json"


def write(out: Path, study: Study) -> None:
    """Writes a study's file, atomically."""
    path = study_path(out, study.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, study.to_dict())


def read(out: Path) -> tuple[Study, ...]:
    """All studies below a folder of results, by name.

    Raises:
        UserError: if a file was not written by this bench.
    """
    found = []
    for path in sorted((out / FOLDER).rglob("*.json")):
        try:
            found.append(Study.from_dict(read_json(path)))
        except (UserError, TypeError, ValueError) as error:
            raise UserError(f"{path} was not written by this bench: {error}; move it away") from None
    return tuple(found)

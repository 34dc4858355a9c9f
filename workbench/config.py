"""The configuration of an experiment: every field that can change a number, and the identity that follows."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from typing import Any, Literal, Self

from architectures.limits import quote
from architectures.registry import read_options, write_options
from workbench.errors import UserError
from workbench.seeds import MAX_SEED
from workbench.stopping import SOLVED, Goal
from workbench.validation import check_choice, check_int, check_number, check_size, from_mapping

SCHEMA = 1
"""Version of the configuration. It is raised whenever the same configuration comes to mean other numbers, so that old
results are not taken for new ones."""

TUNING_SEED = 1_000_000
"""First of the seeds that sweeps tune with. No comparison uses them: a configuration that was chosen for its results
with some seeds has to prove itself on others."""

MAX_THREADS = 1024
"""Most threads of a process: PyTorch crashes if the system cannot start as many as requested."""

MAX_WORKERS = 1024
"""Most processes at a time: a system that cannot start as many as requested stops working for everyone."""

MAX_TRAINING_STEPS = 10**9
"""Most optimiser steps of a run; at a thousand a second they take eleven days."""

MAX_SEQUENCES = 2**20
"""Most sequences of a batch or a fixed set."""

MAX_SECONDS = 10**9
"""Most seconds of a run, 31 years; timers of the system take no more than some hundred."""

Optimizer = Literal["adam", "adamw", "rmsprop", "sgd"]
Clip = Literal["value", "norm", "none"]
Schedule = Literal["constant", "linear", "cosine"]
Precision = Literal["float32", "bf16"]
Draw = Literal["cpu", "device"]
Mode = Literal["off", "offline", "online"]
"""Of a W&B mirror: no records, records on this machine alone, or records that are sent, too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A task or an architecture: its name in the catalogue (or a dotted path) and all of its options."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    source: str | None = None
    """Hash of custom code and, for a task, of the user's data: a changed file is another experiment."""
    path: str | None = field(default=None, compare=False)
    """Where the file lies that a task reads, as it was last named. It is no part of the identity: a file that was moved
    is the same data."""

    @property
    def full_name(self) -> str:
        """The name that finds it again: of a task that reads a file, with the path of the file."""
        return self.name if self.path is None else f"file:{self.path}"

    @property
    def arguments(self) -> dict[str, Any]:
        """All that the task or the architecture is built with: its options, and the path of its file if it has one."""
        return {**self.options, **({} if self.path is None else {"path": self.path})}

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise UserError(f"a task or an architecture is named by a text, not {quote(self.name)}")
        if not isinstance(self.options, Mapping):
            raise UserError(f"the options of {quote(self.name)} must be a mapping, not {quote(self.options)}")
        if self.source is not None and not isinstance(self.source, str):
            raise UserError(f"the source of {quote(self.name)} must be a text, not {quote(self.source)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimization:
    """The optimiser and its settings. The defaults are those of the RDA paper, section 6.1.

    Args:
        optimizer: the rule.
        learning_rate: its step size, at its highest.
        weight_decay: decoupled for adamw, an L2 term for the others.
        momentum: for rmsprop and sgd.
        clip: gradients clipped element by element (value), by their common norm (norm), or not at all (none).
        clip_at: where they are clipped.
        schedule: the learning rate after the warm-up: constant, or falling to 0 at the last step.
        warmup_steps: steps over which the learning rate rises linearly from 0.
    """

    optimizer: Optimizer = "adam"
    learning_rate: float = 0.001
    weight_decay: float = 0.0
    momentum: float = 0.0
    clip: Clip = "value"
    clip_at: float = 1.0
    schedule: Schedule = "constant"
    warmup_steps: int = 0

    def __post_init__(self) -> None:
        check_choice("optimizer", self.optimizer, Optimizer)
        check_choice("clip", self.clip, Clip)
        check_choice("schedule", self.schedule, Schedule)
        for name in ("learning_rate", "clip_at"):
            check_number(name, getattr(self, name), above=0)
        for name in ("weight_decay", "momentum"):
            check_number(name, getattr(self, name), least=0)
        check_int("warmup_steps", self.warmup_steps, least=0, most=MAX_TRAINING_STEPS, why="no run has more steps")


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Steps and time that an experiment may use, its batches, and how often it is evaluated.

    Args:
        steps: optimiser steps.
        seconds: training seconds after which it ends, done or not; by default there is no such limit. What a run
            reaches then depends on the machine.
        batch_size: sequences a step.
        log_every: steps from one row of metrics to the next.
        evaluation_size: validation sequences at every row, and test sequences at the end.
        until: ends a run at the first row of metrics by which this was met: solved, as the task has it, or a bound on a
            training batch or the validation set, 'train/loss < 0.001' or 'val/accuracy > 0.99, 3 times' (in a row).
    """

    steps: int = 2000
    seconds: float | None = None
    batch_size: int = 20
    log_every: int = 100
    evaluation_size: int = 500
    until: str | None = None

    def __post_init__(self) -> None:
        for name in ("steps", "log_every"):
            check_int(name, getattr(self, name), least=1, most=MAX_TRAINING_STEPS, why="more take years")
        for name in ("batch_size", "evaluation_size"):
            check_int(
                name,
                getattr(self, name),
                least=1,
                most=MAX_SEQUENCES,
                why="more tell nothing new",
            )
        if self.seconds is not None:
            check_number("seconds", self.seconds, above=0, most=MAX_SECONDS)
        if self.until not in (None, SOLVED):
            # One way to write it, so that it is one configuration.
            object.__setattr__(self, "until", str(Goal.parse(self.until)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Numerics:
    """Precision of the computation, and the device that training data is drawn on.

    Args:
        precision: float32, or bf16: mixed precision, the model's products in bfloat16 where PyTorch's autocast has
            them so, weights, losses and metrics in float32. A run is tested as it was trained.
        draw: where training data is drawn: cpu: the same data on every device; device: on the device that trains, whose
            random numbers are its own. Without a GPU that is the CPU, with the same data as cpu, but it still counts as
            another experiment. Validation and test sets are drawn on the CPU.
    """

    precision: Precision = "float32"
    draw: Draw = "cpu"

    def __post_init__(self) -> None:
        check_choice("precision", self.precision, Precision)
        check_choice("draw", self.draw, Draw)

    @property
    def non_defaults(self) -> dict[str, str]:
        """The fields that differ from their defaults, by name."""
        return {item.name: value for item in fields(self) if (value := getattr(self, item.name)) != item.default}


SECTIONS: Mapping[str, type[Any]] = {
    "task": Part,
    "architecture": Part,
    "optimization": Optimization,
    "budget": Budget,
    "numerics": Numerics,
}
"""Fields of an experiment that are groups of settings."""


# Without slots, so that the identity is computed once.
@dataclass(frozen=True, kw_only=True)
class Experiment:
    """One training run, resolved: nothing in it depends on a default elsewhere."""

    task: Part
    architecture: Part
    optimization: Optimization = field(default_factory=Optimization)
    budget: Budget = field(default_factory=Budget)
    numerics: Numerics = field(default_factory=Numerics)
    embedding_size: int | None = None
    """Symbols become learned vectors of this size; `None`: one-hot vectors."""
    seed: int = 0

    def __post_init__(self) -> None:
        for item in fields(self):
            kind, value = SECTIONS.get(item.name), getattr(self, item.name)
            if kind is not None and not isinstance(value, kind):
                raise UserError(f"{item.name} of an experiment must be a {kind.__name__}, not {quote(value)}")
        check_int("seed", self.seed, least=0, most=MAX_SEED, why="a seed has 63 bits")
        if self.embedding_size is not None:
            check_size("embedding_size", self.embedding_size)

    def to_dict(self) -> dict[str, Any]:
        """Returns plain dicts, lists, strings and numbers: all that can change a number."""
        values: dict[str, Any] = {"schema": SCHEMA, **json.loads(json.dumps(asdict(self)))}
        for part in ("task", "architecture"):
            del values[part]["path"]
        # Results from before an option existed keep their identity,
        values["architecture"]["options"] = write_options(self.architecture.name, values["architecture"]["options"])
        if self.budget.until is None:
            # those from before goals existed,
            del values["budget"]["until"]
        # and those from before numerics could be chosen.
        values["numerics"] = self.numerics.non_defaults
        if not values["numerics"]:
            del values["numerics"]
        return values

    def to_config(self) -> dict[str, Any]:
        """Returns what is written to `config.yaml`: `to_dict`, and where the file of the task lies, if it has one."""
        values = self.to_dict()
        if self.task.path is not None:
            values["task"]["path"] = self.task.path
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Returns the experiment that `to_dict` or `to_config` wrote.

        Raises:
            UserError: if a key is unknown or missing, a value is invalid, or the schema is another one.
        """
        rest = dict(values)
        if rest.pop("schema", None) != SCHEMA:
            raise UserError(
                f"the configuration is of schema {quote(values.get('schema'))}; this version reads {SCHEMA}"
            )
        try:
            json.dumps(rest | dict(values), allow_nan=False)
        except (TypeError, ValueError):
            raise UserError("the configuration holds a value that is not a number, string, list or mapping") from None
        nested: dict[str, Any] = {
            key: from_mapping(section, rest.pop(key, {}), key) for key, section in SECTIONS.items()
        }
        experiment = from_mapping(cls, {**rest, **nested}, "the configuration")
        part = experiment.architecture
        return replace(experiment, architecture=replace(part, options=read_options(part.name, part.options)))

    def with_seed(self, seed: int) -> Self:
        """Returns the same configuration with another seed."""
        other = replace(self, seed=seed)
        # It is that of the configuration, whatever the seed.
        other.__dict__["identity"] = self.identity
        return other

    @cached_property
    def identity(self) -> str:
        """Hash of the resolved configuration without the seed, 12 hexadecimal digits."""
        resolved = self.to_dict()
        del resolved["seed"]
        canonical = json.dumps(resolved, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(canonical.encode()).hexdigest()[:12]

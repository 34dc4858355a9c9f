"""An experiment: every field that can change a number, and the identity that follows from them."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, Self

from workbench.errors import UserError
from workbench.stopping import SOLVED, Goal
from workbench.validation import check_choice, check_int, check_number, from_mapping

SCHEMA = 1
"""Counted up whenever the same configuration comes to mean other numbers, so that old results are not taken for new."""

TUNING_SEED = 1_000_000
"""Seeds from here on belong to runs that a sweep tunes with. They are in no comparison: what was chosen by them is the
better for it, so it is tried on seeds that had no say."""

MAX_THREADS = 1024
"""Of a process that computes: PyTorch crashes where the system has no room for so many."""

Optimizer = Literal["adam", "adamw", "rmsprop", "sgd"]
Clip = Literal["value", "norm", "none"]
Schedule = Literal["constant", "linear", "cosine"]
Precision = Literal["float32", "bf16"]
Draw = Literal["cpu", "device"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A task or an architecture: a name of its catalogue (or a dotted path) and all of its options."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    source: str | None = None
    """For one's own code, the hash of the file that it is in: a changed file is another experiment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimization:
    """How the parameters move. The defaults are those of the RDA paper, section 6.1.

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
        check_int("warmup_steps", self.warmup_steps, least=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What an experiment may use, and how closely it is watched.

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
        for name in ("steps", "batch_size", "log_every", "evaluation_size"):
            check_int(name, getattr(self, name), least=1)
        if self.seconds is not None:
            check_number("seconds", self.seconds, above=0)
        if self.until not in (None, SOLVED):
            # One way to write it, so that it is one configuration.
            object.__setattr__(self, "until", str(Goal.read(self.until)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Numerics:
    """What the numbers are computed in, and where the random ones come from.

    Args:
        precision: float32, or bf16: mixed precision, the model's products in bfloat16 where PyTorch's autocast has
            them so, weights, losses and metrics in float32. A run is tested as it was trained.
        draw: where training data is drawn: cpu: the same data on every device; device: on the device that trains, whose
            random numbers are its own. Without a GPU that is the CPU, with the same data as cpu; it is another
            experiment all the same. Validation and test sets are drawn on the CPU.
    """

    precision: Precision = "float32"
    draw: Draw = "cpu"

    def __post_init__(self) -> None:
        check_choice("precision", self.precision, Precision)
        check_choice("draw", self.draw, Draw)

    @property
    def unusual(self) -> dict[str, str]:
        """The fields that are not as by default."""
        return {item.name: value for item in fields(self) if (value := getattr(self, item.name)) != item.default}


@dataclass(frozen=True, slots=True, kw_only=True)
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
        check_int("seed", self.seed, least=0)
        if self.embedding_size is not None:
            check_int("embedding_size", self.embedding_size, least=1)

    def to_dict(self) -> dict[str, Any]:
        """Plain dicts, lists, strings and numbers: what is written to `config.yaml`."""
        values: dict[str, Any] = {"schema": SCHEMA, **json.loads(json.dumps(asdict(self)))}
        if self.budget.until is None:
            # Results from before there were goals keep their identity.
            del values["budget"]["until"]
        # And those from before there was a choice of numerics.
        values["numerics"] = self.numerics.unusual
        if not values["numerics"]:
            del values["numerics"]
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`.

        Raises:
            UserError: if a key is unknown or missing, a value impossible, or the schema another one.
        """
        rest = dict(values)
        if rest.pop("schema", None) != SCHEMA:
            raise UserError(f"the configuration is of schema {values.get('schema')!r}; this version reads {SCHEMA}")
        parts: dict[str, type[Any]] = {
            "task": Part,
            "architecture": Part,
            "optimization": Optimization,
            "budget": Budget,
            "numerics": Numerics,
        }
        try:
            json.dumps(rest | dict(values), allow_nan=False)
        except (TypeError, ValueError):
            raise UserError("the configuration holds what is no number, string, list or mapping") from None
        made: dict[str, Any] = {key: from_mapping(parts[key], rest.pop(key, {}), key) for key in parts}
        return from_mapping(cls, {**rest, **made}, "the configuration")

    @property
    def identity(self) -> str:
        """The hash of the resolved configuration, seed apart."""
        resolved = self.to_dict()
        del resolved["seed"]
        canonical = json.dumps(resolved, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(canonical.encode()).hexdigest()[:12]

"""Values of every option of every task, architecture and group of settings, of any kind and size.

    python -m tests.fuzz.option_values --seed 17                  one case
    python -m tests.fuzz.option_values --first 0 --count 3000     many, with what is wrong with any

A value is taken, and then lasts: what a file would say of it is read back as the same. Or it is refused, by an error of
the kinds that are for it, in a short line, at once.
"""

import argparse
import dataclasses
import json
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random
from types import FrameType
from typing import Any

import torch

import architectures
from analysis.probes.settings import ProbeSettings
from analysis.profile.settings import ProfileSettings
from architectures.limits import quote
from sweeps.sweep import Sweep
from tests.fuzz import texts
from tests.fuzz.command_lines import add_seed_options
from workbench import tasks
from workbench.cli.analyze import AnalyzeOptions
from workbench.cli.launching import LaunchOptions
from workbench.cli.options import RunOptions, parse_duration
from workbench.cli.sweep.storage_options import StorageOptions
from workbench.comparison import Comparison
from workbench.config import Budget, Experiment, Numerics, Optimization, Part
from workbench.errors import UserError
from workbench.resolve import resolve_architecture, resolve_task
from workbench.stopping import Goal

SECONDS = 10.0
"""Time of a case, after which it counts as hanging."""
MAX_MESSAGE = 400
"""Most characters of a message; the command line shortens the longest further."""
DATA_TASKS = ("text", "mnist", "mnist-permuted", "series")
"""Tasks that read files when they are asked for more than their options."""
NAMES: Mapping[str, Sequence[Any]] = {
    "tasks": [("addition",)],
    "architectures": [("gru",)],
    "out": ["somewhere"],
    "attention": ["exp", "relu"],
    "hidden": ["tanh"],
    "output": ["identity"],
    "elements": ["normal"],
    "objectives": [("loss",), ("loss", "seconds")],
    "until": ["solved", "val/loss < 0.5, 3 times"],
    "optimizer": ["adamw", "sgd"],
    "clip": ["norm"],
    "schedule": ["cosine"],
    "match": ["parameters", "width"],
    "precision": ["bf16"],
    "name": ["march"],
}
"""Right values of options that are not numbers."""


class HangingError(BaseException):
    """A case takes longer than any should; no handler of exceptions catches it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Options for one of the things that have options."""

    seed: int
    target: str
    options: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{self.target}({', '.join(f'{key}={quote(value)}' for key, value in self.options.items())})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Something that has options."""

    options: Sequence[str]
    build: Callable[..., Any]
    refusals: tuple[type[Exception], ...] = (UserError,)
    """The errors that refuse a value."""
    base: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def list_targets() -> dict[str, Target]:
    """Returns everything that has options, by name."""
    targets: dict[str, Target] = {}
    for name in architectures.names():
        known = [*architectures.options(name)]
        targets[name] = Target(
            options=[*known, "input_size"],
            build=_build_encoder(name),
            refusals=(ValueError, TypeError),
            base={"hidden_size": 4},
        )
        targets[f"{name} of an experiment"] = Target(options=known, build=_resolve_encoder(name))
    for name in tasks.names():
        known = [*tasks.options(name), "lenght"]
        targets[name] = Target(options=known, build=_build_task(name), refusals=(ValueError, TypeError))
        targets[f"{name} of an experiment"] = Target(options=known, build=_resolve_task(name))
    settings: dict[Any, Mapping[str, Any]] = {
        **{key: {} for key in (Optimization, Budget, Numerics, ProbeSettings, ProfileSettings)},
        **{key: {} for key in (AnalyzeOptions, StorageOptions, LaunchOptions)},
        **{key: {"tasks": ("addition",), "architectures": ("gru",)} for key in (Comparison, Sweep)},
        Experiment: {"task": Part(name="addition"), "architecture": Part(name="gru", options={"hidden_size": 3})},
        RunOptions: {"out": "somewhere"},
    }
    for cls, base in settings.items():
        names = [item.name for item in dataclasses.fields(cls)]
        # Sections are dataclasses of their own, each a target.
        plain = [name for name in names if name not in ("optimization", "budget", "numerics")]
        targets[cls.__name__] = Target(options=plain, build=_build_settings(cls), base=base)
        if hasattr(cls, "from_dict"):
            names += ["lenght", "schema"]
            targets[f"{cls.__name__}.from_dict"] = Target(options=names, build=_from_dict(cls), base=base)
    targets["a goal"] = Target(options=["text"], build=lambda text="solved": Goal.parse(text))
    targets["a duration"] = Target(options=["text"], build=_parse_duration)
    return targets


def _build_encoder(name: str) -> Callable[..., Any]:
    def build(**options: Any) -> None:
        with torch.device("meta"):
            encoder = architectures.build(name, **{"input_size": 2, **options})
        json.dumps([encoder.receptive_field, encoder.state_size(10), encoder.path_length(0)])

    return build


def _resolve_encoder(name: str) -> Callable[..., Any]:
    task = tasks.build("addition", length=6)

    def build(**options: Any) -> None:
        part = resolve_architecture(name, options, task, hidden_size=4)
        again = resolve_architecture(name, json.loads(json.dumps(part.options, allow_nan=False)), task, hidden_size=4)
        assert again == part, f"{part} comes back as {again}"

    return build


def _build_task(name: str) -> Callable[..., Any]:
    def build(**options: Any) -> None:
        task = tasks.build(name, **options)
        if name not in DATA_TASKS and task.steps * task.input_size < 10**4:
            task.sample(2, torch.Generator().manual_seed(0))
            assert 0 <= task.trivial_loss < float("inf")

    return build


def _resolve_task(name: str) -> Callable[..., Any]:
    def build(**options: Any) -> None:
        if name == "text" and "file" not in options:
            # That of the default would be downloaded.
            options = {**options, "file": "nowhere.txt"}
        part, _ = resolve_task(name, options)
        again, _ = resolve_task(name, json.loads(json.dumps(part.options, allow_nan=False)))
        assert again == part, f"{part} comes back as {again}"

    return build


def _build_settings(cls: Any) -> Callable[..., Any]:
    def build(**options: Any) -> None:
        settings = cls(**options)
        if isinstance(settings, Comparison) and settings.seeds <= 3:
            for experiment in settings.experiments():
                assert Experiment.from_dict(json.loads(json.dumps(experiment.to_dict()))) == experiment
        if isinstance(settings, Sweep):
            settings.specs()
        if isinstance(settings, Experiment):
            # Its hash is what names its folder.
            assert len(settings.identity) == 12
        elif hasattr(settings, "to_dict"):
            json.dumps(settings.to_dict(), allow_nan=False)

    return build


def _from_dict(cls: Any) -> Callable[..., Any]:
    def build(**options: Any) -> None:
        flat = {**options}
        if cls is Experiment:
            flat = {
                "schema": 1,
                **{key: dataclasses.asdict(value) if isinstance(value, Part) else value for key, value in flat.items()},
            }
        settings = cls.from_dict(flat)
        json.dumps(settings.to_dict(), allow_nan=False)

    return build


def _parse_duration(text: Any = "1s") -> None:
    if isinstance(text, str):
        parse_duration(text, "--time-limit")


TARGETS = list_targets()


def make_case(seed: int) -> Case:
    """Returns the case of a seed."""
    rng = Random(f"option value {seed}")
    name = rng.choice([*TARGETS])
    target = TARGETS[name]
    options = dict(target.base)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        key = rng.choice(target.options)
        options[key] = rng.choice(NAMES[key]) if key in NAMES and rng.random() < 0.3 else texts.value(rng)
    return Case(seed=seed, target=name, options=options)


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raises `HangingError` in what takes longer."""

    def end(number: int, frame: FrameType | None) -> None:
        raise HangingError

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def run_case(case: Case) -> str | None:
    """Returns what is wrong with a case; `None` if nothing is."""
    target = TARGETS[case.target]
    start = time.process_time()
    try:
        with time_limit(10 * SECONDS):
            target.build(**case.options)
    except target.refusals as error:
        message = str(error)
        if not message.strip():
            return f"{type(error).__name__} without a message"
        if len(message) > MAX_MESSAGE or not message.isprintable():
            return f"a message of {len(message)} characters: {message[:300]!r}"
    except HangingError:
        return "it hangs"
    except Exception as error:
        return f"{type(error).__name__}: {str(error)[:300]}"
    seconds = time.process_time() - start
    return f"it takes {seconds:.1f} s" if seconds > SECONDS else None


def find_faults(seeds: Sequence[int]) -> Iterator[str]:
    """Yields what is wrong with the cases of some seeds, with the command that repeats each."""
    for seed in seeds:
        case = make_case(seed)
        if (fault := run_case(case)) is not None:
            yield f"python -m tests.fuzz.option_values --seed {seed}:\n{case}\n{fault}"


def run_fuzzer(arguments: Sequence[str] | None = None) -> int:
    """Runs cases, and prints what is wrong with them; returns 1 if anything is."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.option_values")
    add_seed_options(parser)
    values = parser.parse_args(arguments)
    if values.seed is not None:
        print(make_case(values.seed))
    seeds = range(values.first, values.first + values.count) if values.seed is None else [values.seed]
    faults = 0
    for fault in find_faults(seeds):
        faults += 1
        print(f"{fault}\n", flush=True)
    print(f"{len(seeds)} values, {faults} with faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(run_fuzzer())

"""The averages beside `torch.nn.LSTM`, at one size and precision: by every backend, and by the loop of their
definition."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from analysis.profile import memory
from analysis.profile.cases import BASELINE, BenchmarkCase
from analysis.profile.profiler import algorithms, milliseconds
from analysis.profile.timing import Meter, Workload, rounds
from analysis.statistics import median_spread, paired_ratio
from tests.gpu.naive import NaiveSubject
from workbench.config import Precision
from workbench.devices import MatmulPrecision

NAIVE = "naive"
PASSES = ("forward", "forward_backward")


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """What is measured in the same rounds.

    Args:
        batch_size, hidden_size, length: sizes.
        precision, matmul_precision: as in a profile.
        backends: of the averages.
        naive_length: steps of the naive loop, whose times are then per step; 0: it is left out.
        architectures: which averages.
        input_size: features a step.
    """

    batch_size: int
    hidden_size: int
    length: int = 1000
    precision: Precision = "float32"
    matmul_precision: MatmulPrecision = "highest"
    backends: tuple[str, ...] = ("triton", "graphs", "eager")
    naive_length: int = 100
    architectures: tuple[str, ...] = ("rwa", "rda-exp-tanh")
    input_size: int = 2

    @property
    def name(self) -> str:
        """In a line."""
        arithmetic = "bf16" if self.precision == "bf16" else self.matmul_precision
        return f"batch {self.batch_size}, {self.hidden_size} units, {self.length} steps, {arithmetic}"

    def subjects(self, device: str) -> dict[str, BenchmarkCase]:
        """By label, the baseline first."""
        sizes: dict[str, Any] = {
            "batch": self.batch_size,
            "hidden_size": self.hidden_size,
            "input_size": self.input_size,
            "device": device,
            "precision": self.precision,
            "matmul_precision": self.matmul_precision,
        }
        made: dict[str, BenchmarkCase] = {BASELINE: BenchmarkCase(name=BASELINE, time=self.length, **sizes)}
        for name in self.architectures:
            own: dict[str, Any] = {"name": name, "options": {"hidden_size": self.hidden_size}}
            for backend in self.backends:
                made[f"{name} {backend}"] = BenchmarkCase(time=self.length, backend=backend, **own, **sizes)
            if self.naive_length:
                made[f"{name} {NAIVE}"] = NaiveSubject(time=self.naive_length, **own, **sizes)
        return made


def measured(
    configuration: Configuration,
    device: str,
    meter: Meter,
    repeats: int,
    *,
    without: Mapping[str, str] | None = None,
    at: Callable[[str], None] = lambda label: None,
    stop: Callable[[], bool] = lambda: False,
) -> list[dict[str, Any]]:
    """Measures all of a configuration, in turns.

    Args:
        configuration: what.
        device: cpu or cuda.
        meter: takes the times.
        repeats: rounds that count.
        without: what is known to fail and why, by label; it is not tried.
        at: told the label of what is tried first now, and "rounds".
        stop: asked after every round whether to end there.

    Returns:
        A row each. What fails has its `error` instead of times.
    """
    errors, modules, passes, heights = dict(without or {}), {}, {}, {}
    subjects = configuration.subjects(device)
    for label, subject in subjects.items():
        if label in errors:
            continue
        at(label)
        try:
            modules[label] = subject.build()
            passes[label] = subject.jobs(modules[label])
            for job in passes[label]:
                job.prepare()
                job.run()
            heights[label] = memory.on_cuda(passes[label][1]) if device == "cuda" else None
        except Exception as error:
            errors[label] = f"{type(error).__name__}: {error}"
            if device == "cuda":
                # Some errors leave nothing that works in this process. Then it ends here, and another leaves this out.
                torch.cuda.synchronize()
    jobs: dict[str, Workload] = {}
    for label in heights:
        jobs |= {f"{label} {kind}": job for kind, job in zip(PASSES, passes[label], strict=True)}
    at("rounds")
    seconds = rounds(jobs, repeats, meter, warm_up=1, stop=stop) if jobs else {}
    rows = []
    for label, subject in subjects.items():
        row = described(subject, label)
        if label in errors:
            rows.append({**row, "error": errors[label]})
        else:
            rows.append({**row, **put_out(subject, modules[label]), "peak_memory_bytes": heights[label]})
            rows[-1] |= {kind: timed(seconds, label, kind, subjects) for kind in PASSES}
    return rows


def described(subject: BenchmarkCase, label: str) -> dict[str, Any]:
    """What a row is of."""
    told = dataclasses.asdict(subject)
    backend = label.removeprefix(subject.name).strip() or None
    return {
        "architecture": subject.name,
        "backend": backend,
        "batch_size": subject.batch,
        "hidden_size": subject.hidden_size,
        "input_size": subject.input_size,
        "length": subject.time,
        **{key: told[key] for key in ("precision", "matmul_precision")},
    }


def put_out(subject: BenchmarkCase, module: nn.Module) -> dict[str, Any]:
    """The type of what comes out; of the baseline on a GPU also cuDNN's algorithms."""
    found = {"dtype": str(subject.put_out(module).dtype).removeprefix("torch.")}
    chosen = algorithms(subject, module)
    return found if chosen is None else {**found, "cudnn": chosen}


def timed(
    seconds: Mapping[str, Sequence[float]], label: str, kind: str, subjects: Mapping[str, BenchmarkCase]
) -> dict[str, Any]:
    """Times of a batch, and of a step of it; and their ratios per step within each round: to the baseline, and of the
    naive loop to them."""
    subject = subjects[label]
    mine = seconds[f"{label} {kind}"]
    found: dict[str, Any] = {
        "milliseconds": milliseconds(median_spread(mine), 1),
        "milliseconds_a_step": milliseconds(median_spread(mine), subject.time),
        "seconds_by_round": list(mine),
    }
    a_step = [value / subject.time for value in mine]
    naive = f"{subject.name} {NAIVE}"
    others = {"ratio_to_lstm": (BASELINE, False), "naive_to_this": (naive, True)}
    for key, (other, turned) in others.items():
        if other != label and f"{other} {kind}" in seconds:
            theirs = [value / subjects[other].time for value in seconds[f"{other} {kind}"]]
            found[key] = dataclasses.asdict(paired_ratio(theirs, a_step) if turned else paired_ratio(a_step, theirs))
    return found

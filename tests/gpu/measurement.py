"""Measurement of the averages against `torch.nn.LSTM`, at one size and precision.

The averages run by every backend, and by the loop of their definition.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from analysis.profile import memory
from analysis.profile.cases import BASELINE, BenchmarkCase
from analysis.profile.profiler import cudnn_algorithms, to_milliseconds
from analysis.profile.timing import Meter, Workload, measure_rounds
from analysis.statistics import median_interval, paired_ratio
from tests.gpu.naive import NaiveCase
from workbench.config import Precision
from workbench.devices import MatmulPrecision

NAIVE = "naive"
PASSES = ("forward", "forward_backward")


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """A size and precision, at which all cases are measured in the same rounds.

    Args:
        batch_size, hidden_size, length: sizes.
        precision, matmul_precision: as in a profile.
        backends: of the averages.
        naive_length: steps of the naive loop, whose times are compared per step; 0 leaves it out.
        architectures: the averages to measure.
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
        """A description in one line."""
        arithmetic = "bf16" if self.precision == "bf16" else self.matmul_precision
        return f"batch {self.batch_size}, {self.hidden_size} units, {self.length} steps, {arithmetic}"

    def benchmark_cases(self, device: str) -> dict[str, BenchmarkCase]:
        """Returns the cases by label, the baseline first."""
        sizes: dict[str, Any] = {
            "batch": self.batch_size,
            "hidden_size": self.hidden_size,
            "input_size": self.input_size,
            "device": device,
            "precision": self.precision,
            "matmul_precision": self.matmul_precision,
        }
        cases: dict[str, BenchmarkCase] = {BASELINE: BenchmarkCase(name=BASELINE, time=self.length, **sizes)}
        for name in self.architectures:
            arguments: dict[str, Any] = {"name": name, "options": {"hidden_size": self.hidden_size}}
            for backend in self.backends:
                cases[f"{name} {backend}"] = BenchmarkCase(time=self.length, backend=backend, **arguments, **sizes)
            if self.naive_length:
                cases[f"{name} {NAIVE}"] = NaiveCase(time=self.naive_length, **arguments, **sizes)
        return cases


def measure(
    configuration: Configuration,
    device: str,
    meter: Meter,
    repeats: int,
    *,
    known_errors: Mapping[str, str] | None = None,
    on_stage: Callable[[str], None] = lambda label: None,
    stop: Callable[[], bool] = lambda: False,
) -> list[dict[str, Any]]:
    """Measures all cases of a configuration, in turns.

    Args:
        configuration: the configuration.
        device: cpu or cuda.
        meter: takes the times.
        repeats: rounds that count.
        known_errors: errors of cases that are known to fail, by label; these are not run.
        on_stage: called with the label of each case before it runs first, and with "rounds" before the rounds.
        stop: called after every round; true ends the measurement.

    Returns:
        A row for each case. One that fails has its `error` instead of times.
    """
    errors, modules, passes, peak_memory = dict(known_errors or {}), {}, {}, {}
    cases = configuration.benchmark_cases(device)
    for label, case in cases.items():
        if label in errors:
            continue
        on_stage(label)
        try:
            modules[label] = case.build()
            passes[label] = case.workloads(modules[label])
            for workload in passes[label]:
                workload.prepare()
                workload.run()
            peak_memory[label] = memory.peak_on_cuda(passes[label][1]) if device == "cuda" else None
        except Exception as error:
            errors[label] = f"{type(error).__name__}: {error}"
            if device == "cuda":
                # After some errors nothing works in this process. Then this raises, and the next one skips the case.
                torch.cuda.synchronize()
    workloads: dict[str, Workload] = {}
    for label in peak_memory:
        workloads |= {f"{label} {kind}": workload for kind, workload in zip(PASSES, passes[label], strict=True)}
    on_stage("rounds")
    seconds = measure_rounds(workloads, repeats, meter, warm_up=1, stop=stop) if workloads else {}
    rows = []
    for label, case in cases.items():
        row = row_header(case, label)
        if label in errors:
            rows.append({**row, "error": errors[label]})
        else:
            rows.append({**row, **output_info(case, modules[label]), "peak_memory_bytes": peak_memory[label]})
            rows[-1] |= {kind: timing_row(seconds, label, kind, cases) for kind in PASSES}
    return rows


def row_header(case: BenchmarkCase, label: str) -> dict[str, Any]:
    """Returns a row's architecture, backend, sizes and precisions."""
    fields = dataclasses.asdict(case)
    backend = label.removeprefix(case.name).strip() or None
    return {
        "architecture": case.name,
        "backend": backend,
        "batch_size": case.batch,
        "hidden_size": case.hidden_size,
        "input_size": case.input_size,
        "length": case.time,
        **{key: fields[key] for key in ("precision", "matmul_precision")},
    }


def output_info(case: BenchmarkCase, module: nn.Module) -> dict[str, Any]:
    """Returns the dtype of the output and, for the baseline on a GPU, cuDNN's algorithms."""
    info = {"dtype": str(case.output(module).dtype).removeprefix("torch.")}
    cudnn = cudnn_algorithms(case, module)
    return info if cudnn is None else {**info, "cudnn": cudnn}


def timing_row(
    seconds: Mapping[str, Sequence[float]], label: str, kind: str, cases: Mapping[str, BenchmarkCase]
) -> dict[str, Any]:
    """Returns the times of a batch and of a step, and ratios per step within each round.

    The ratios are those to the baseline, and of the naive loop to this case.
    """
    case = cases[label]
    own_seconds = seconds[f"{label} {kind}"]
    row: dict[str, Any] = {
        "milliseconds": to_milliseconds(median_interval(own_seconds), 1),
        "milliseconds_a_step": to_milliseconds(median_interval(own_seconds), case.time),
        "seconds_by_round": list(own_seconds),
    }
    seconds_a_step = [value / case.time for value in own_seconds]
    naive = f"{case.name} {NAIVE}"
    others = {"ratio_to_lstm": (BASELINE, False), "naive_to_this": (naive, True)}
    for key, (other, inverted) in others.items():
        if other != label and f"{other} {kind}" in seconds:
            other_seconds = [value / cases[other].time for value in seconds[f"{other} {kind}"]]
            pair = (other_seconds, seconds_a_step) if inverted else (seconds_a_step, other_seconds)
            row[key] = dataclasses.asdict(paired_ratio(*pair))
    return row

"""Profiles: cost, times and memory of all architectures, measured in the same rounds."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn

from analysis.formatting import pluralize
from analysis.profile import machine, memory
from analysis.profile.cases import BASELINE, BenchmarkCase, build_cases
from analysis.profile.flops import (
    PassCost,
    StepCost,
    count_with_pytorch,
    encoder_cost,
    recurrent_step_cost,
)
from analysis.profile.gate_shapes import LSTM_SHAPE
from analysis.profile.machine import Peak
from analysis.profile.settings import ProfileSettings
from analysis.profile.timing import Meter, Workload, cuda_events, measure_rounds, wall_clock
from analysis.statistics import MedianInterval, median_interval, paired_ratio
from architectures.base import Encoder
from workbench.custom_parts import user_errors
from workbench.denormals import flushed_denormals
from workbench.devices import resolve_device
from workbench.model import count_trainable_parameters

Progress = Callable[[str, int, int], None]
"""Called with the current activity, and the numbers of measurements that are done and to be done."""

WARM_UP_ROUNDS = 2
"""Rounds that do not count."""
KIND = "workbench profile"
"""Marks the file of a profile."""
SCHEMA = 1
"""Version of the file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Times of a pass over a batch of sequences."""

    cost: PassCost | None
    """Cost of a step of one sequence; `None` if unknown."""
    seconds: tuple[float, ...]
    """Seconds per run, by round."""
    median_seconds: MedianInterval
    ratio_to_baseline: MedianInterval
    """Ratio to the baseline's seconds in the same round."""

    def gflops(self, steps: int) -> float | None:
        """Returns 10^9 operations per second.

        Args:
            steps: number of steps of all sequences together.
        """
        return None if self.cost is None else 2 * self.cost.multiply_adds * steps / self.median_seconds.median / 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileRow:
    """Measurements of one architecture at one length."""

    architecture: str
    options: Mapping[str, Any]
    length: int
    batch: int
    parameters: int
    state_size: int
    """Numbers that a sequence carries on after this many steps."""
    cost_source: str | None
    """Origin of the costs: `formula` or `PyTorch's counter`; `None` if they are unknown."""
    forward: Timing
    forward_backward: Timing
    peak_memory: int | None
    """Bytes; `None` if unknown."""
    dtype: str
    """Type of the output."""
    cudnn: Mapping[str, Any] | None = None
    """For the baseline on a GPU: cuDNN's algorithms, and the conditions of the persistent one that are not met."""

    @property
    def total_steps(self) -> int:
        """Steps of all sequences together."""
        return self.length * self.batch

    @property
    def gflops(self) -> float | None:
        """10^9 operations per second, forward and backward."""
        return self.forward_backward.gflops(self.total_steps)


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """The measurements of all architectures, and the machine they were made on."""

    settings: ProfileSettings
    machine: Mapping[str, Any]
    peak: Peak
    memory_definition: str
    """Definition of `peak_memory`."""
    rows: tuple[ProfileRow, ...]
    """In order of length, the baseline first."""

    def rows_of_length(self, length: int) -> list[ProfileRow]:
        """Returns the rows of one length."""
        return [row for row in self.rows if row.length == length]

    def to_dict(self) -> dict[str, Any]:
        """Returns plain values, as JSON can hold."""
        return {
            "kind": KIND,
            "schema": SCHEMA,
            "machine": dict(self.machine),
            "settings": self.settings.to_dict(),
            "peak": asdict(self.peak),
            "peak_memory_is": self.memory_definition,
            "rows": [row_to_dict(row, self.peak) for row in self.rows],
        }


def profile(settings: ProfileSettings, *, meter: Meter | None = None, progress: Progress = lambda *_: None) -> Profile:
    """Measures all architectures at all lengths.

    Args:
        settings: the architectures, sizes and device.
        meter: takes the times; by default the clock, or on a GPU its events.
        progress: called as the measurement advances.

    Raises:
        UserError: if an architecture, an option or a device is unknown, or an architecture fails.
    """
    device = resolve_device(settings.device)
    threads_before = torch.get_num_threads()
    torch.set_num_threads(settings.threads)
    try:
        # As in a run.
        with flushed_denormals():
            return profile_cases(
                settings, device, meter or (cuda_events if device == "cuda" else wall_clock()), progress
            )
    finally:
        torch.set_num_threads(threads_before)


def profile_cases(settings: ProfileSettings, device: str, meter: Meter, progress: Progress) -> Profile:
    """Measures on a device, with the number of threads that is currently set."""
    cases_by_length = {length: build_cases(settings, length, device) for length in settings.lengths}
    peak_workloads = machine.peak_workloads(device, settings)
    peak_seconds: dict[str, list[float]] = {name: [] for name in peak_workloads}
    rows: list[ProfileRow] = []
    num_cases = len(cases_by_length[settings.lengths[0]])
    total = len(cases_by_length) * (settings.repeats + WARM_UP_ROUNDS) * (len(peak_workloads) + 2 * num_cases)
    done = 0

    for length, cases in cases_by_length.items():
        steps = pluralize(length, "step")
        modules = {case.name: build_and_run(case) for case in cases}
        passes = {case.name: case.workloads(modules[case.name]) for case in cases}
        progress(f"memory at {steps}", done, total)
        peak_memory = (
            [memory.peak_on_cuda(passes[case.name][1]) for case in cases]
            if device == "cuda"
            else memory.peak_on_cpu(cases, settings.threads)
        )

        def count(steps: str = steps) -> None:
            nonlocal done
            done += 1
            progress(steps, done, total)

        workloads: dict[str, Workload] = dict(peak_workloads)
        for name, (forward, both) in passes.items():
            workloads |= {f"{name} forward": forward, f"{name} both": both}
        seconds = measure_rounds(workloads, settings.repeats, meter, warm_up=WARM_UP_ROUNDS, progress=count)
        for name in peak_workloads:
            peak_seconds[name].extend(seconds[name])
        rows += [
            build_row(case, modules[case.name], seconds, bytes_needed)
            for case, bytes_needed in zip(cases, peak_memory, strict=True)
        ]

    return Profile(
        settings=settings,
        machine=machine.machine_info(device, settings),
        peak=machine.compute_peak(peak_seconds, device),
        memory_definition=memory.CUDA_DEFINITION if device == "cuda" else memory.CPU_DEFINITION,
        rows=tuple(rows),
    )


def build_and_run(case: BenchmarkCase) -> nn.Module:
    """Returns the module of a case after a first pass, so that errors show early and compilation is not timed.

    Raises:
        UserError: if the module fails.
    """
    with user_errors(f"architecture {case.name}"):
        module = case.build()
        for workload in case.workloads(module):
            workload.prepare()
            workload.run()
        return module


def build_row(
    case: BenchmarkCase, module: nn.Module, seconds: Mapping[str, Sequence[float]], peak_memory: int | None
) -> ProfileRow:
    """Returns the row of a case.

    Args:
        case: the case.
        module: its module.
        seconds: seconds per run of all workloads, by name.
        peak_memory: peak memory of the case in bytes.
    """
    cost, cost_source = case_cost(case, module)

    def timing(name: str, pass_cost: PassCost | None) -> Timing:
        own, baseline = seconds[f"{case.name} {name}"], seconds[f"{BASELINE} {name}"]
        return Timing(
            cost=pass_cost,
            seconds=tuple(own),
            median_seconds=median_interval(own),
            ratio_to_baseline=paired_ratio(own, baseline),
        )

    return ProfileRow(
        architecture=case.name,
        options=case.options,
        length=case.time,
        batch=case.batch,
        parameters=count_trainable_parameters(module),
        state_size=module.state_size(case.time) if isinstance(module, Encoder) else 2 * case.hidden_size,
        cost_source=cost_source,
        forward=timing("forward", None if cost is None else cost.forward),
        forward_backward=timing("both", None if cost is None else cost.total),
        peak_memory=peak_memory,
        dtype=str(case.output(module).dtype).removeprefix("torch."),
        cudnn=cudnn_algorithms(case, module),
    )


def cudnn_algorithms(case: BenchmarkCase, module: nn.Module) -> dict[str, Any] | None:
    """Returns the algorithms that PyTorch requests of cuDNN for the baseline on a GPU; `None` for other cases."""
    if case.device != "cuda" or case.name != BASELINE:
        return None
    dtype = case.output(module).dtype
    lstm = machine.lstm_on_current_device(dtype, case.batch, case.input_size, case.hidden_size)
    return {
        "forward": lstm.forward_algorithm,
        "backward": lstm.backward_algorithm,
        "missing_for_persistent": lstm.unmet_conditions,
    }


def case_cost(case: BenchmarkCase, module: nn.Module) -> tuple[StepCost | None, str | None]:
    """Returns the cost of a step, and where it comes from, as in `ProfileRow.cost_source`."""
    if not isinstance(module, Encoder):
        sizes = (case.input_size, case.hidden_size, case.batch, case.time)
        return recurrent_step_cost(LSTM_SHAPE, *sizes, data=True), "formula"
    if (cost := encoder_cost(module, case.batch, case.time)) is not None:
        return cost, "formula"
    cost = count_with_pytorch(module, case.inputs(1))
    return cost, None if cost is None else "PyTorch's counter"


def row_to_dict(row: ProfileRow, peak: Peak) -> dict[str, Any]:
    """Returns a row as plain values, with the numbers that follow from it."""
    return {
        "architecture": row.architecture,
        "options": dict(row.options),
        "length": row.length,
        "batch_size": row.batch,
        "parameters": row.parameters,
        "state_size": row.state_size,
        "counted": row.cost_source,
        "forward": timing_to_dict(row.forward, row, peak),
        "forward_backward": timing_to_dict(row.forward_backward, row, peak),
        "peak_memory_bytes": row.peak_memory,
        "dtype": row.dtype,
        **({} if row.cudnn is None else {"cudnn": dict(row.cudnn)}),
    }


def timing_to_dict(timing: Timing, row: ProfileRow, peak: Peak) -> dict[str, Any]:
    """Returns a pass as plain values, with the numbers that follow from it.

    Costs are per step of one sequence, times per batch.
    """
    gflops = timing.gflops(row.total_steps)
    cost = timing.cost
    return {
        "multiply_adds_a_step": None if cost is None else cost.multiply_adds,
        "bytes_a_step": None if cost is None else cost.bytes,
        "flop_a_byte": None if cost is None else cost.intensity,
        "milliseconds": to_milliseconds(timing.median_seconds, 1),
        "milliseconds_a_step": to_milliseconds(timing.median_seconds, row.length),
        "ratio_to_baseline": asdict(timing.ratio_to_baseline),
        "gflops": gflops,
        "share_of_peak": None if gflops is None else gflops / peak.gflops,
        "seconds_by_round": list(timing.seconds),
    }


def to_milliseconds(seconds: MedianInterval, parts: int) -> dict[str, float | None]:
    """Returns a median of seconds and its interval in milliseconds, divided by a number of parts."""
    return {key: None if value is None else 1000 * value / parts for key, value in asdict(seconds).items()}

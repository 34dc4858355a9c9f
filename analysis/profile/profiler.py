"""A profile, measured."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn

from analysis.formatting import pluralize
from analysis.profile import machine, memory
from analysis.profile.cases import BASELINE, BenchmarkCase, cases
from analysis.profile.flops import GATES, Amount, Work, counted, step, work
from analysis.profile.machine import Peak
from analysis.profile.settings import ProfileSettings
from analysis.profile.timing import Meter, Workload, events, rounds, wall
from analysis.statistics import Spread, median_spread, paired_ratio
from architectures.base import Encoder
from architectures.lstm import LSTM
from workbench.devices import device_named
from workbench.model import parameters
from workbench.resolve import user_errors

Progress = Callable[[str, int, int], None]
"""Told what is being done, and the measurements made and to be made."""

WARM_UP = 2
"""Rounds that do not count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """A pass over a batch of sequences."""

    amount: Amount | None
    """For a step of one sequence; `None` where it is not known."""
    seconds: tuple[float, ...]
    """By round."""
    taken: Spread
    """Seconds."""
    ratio: Spread
    """To the baseline's seconds of the same round."""

    def gflops(self, steps: int) -> float | None:
        """10^9 operations a second, over so many steps of all sequences together."""
        return None if self.amount is None else 2 * self.amount.multiply_adds * steps / self.taken.median / 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileRow:
    """One architecture at one length."""

    architecture: str
    options: Mapping[str, Any]
    length: int
    batch: int
    parameters: int
    state_size: int
    """Numbers that a sequence carries on from after so many steps."""
    counted: str | None
    """Where the amounts come from: formula, or PyTorch's counter."""
    forward: Timing
    forward_backward: Timing
    peak_memory: int | None
    """Bytes."""
    dtype: str
    """Of what is put out."""
    cudnn: Mapping[str, Any] | None = None
    """Of the baseline on a GPU: the algorithms, and what the persistent one misses."""

    @property
    def steps(self) -> int:
        """Of all sequences."""
        return self.length * self.batch

    @property
    def gflops(self) -> float | None:
        """10^9 operations a second, forward and backward."""
        return self.forward_backward.gflops(self.steps)


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """All of it."""

    settings: ProfileSettings
    machine: Mapping[str, Any]
    peak: Peak
    memory_is: str
    """What `peak_memory` is."""
    rows: tuple[ProfileRow, ...]
    """By length, the baseline first."""

    def at(self, length: int) -> list[ProfileRow]:
        """The rows of one length."""
        return [row for row in self.rows if row.length == length]

    def to_dict(self) -> dict[str, Any]:
        """Plain values: what JSON can hold."""
        return {
            "kind": KIND,
            "schema": SCHEMA,
            "machine": dict(self.machine),
            "settings": self.settings.to_dict(),
            "peak": asdict(self.peak),
            "peak_memory_is": self.memory_is,
            "rows": [to_plain(row, self.peak) for row in self.rows],
        }


def profile(settings: ProfileSettings, *, meter: Meter | None = None, progress: Progress = lambda *_: None) -> Profile:
    """Measures all architectures at all lengths.

    Args:
        settings: what, and where.
        meter: takes the times; by default the clock, or on a GPU its events.
        progress: told how far it has come.

    Raises:
        UserError: if an architecture, an option or a device is unknown, or an architecture fails.
    """
    device = device_named(settings.device)
    before = torch.get_num_threads()
    torch.set_num_threads(settings.threads)
    try:
        return profile_cases(settings, device, meter or (events if device == "cuda" else wall()), progress)
    finally:
        torch.set_num_threads(before)


def profile_cases(settings: ProfileSettings, device: str, meter: Meter, progress: Progress) -> Profile:
    """Measures on a device, with as many threads as are set."""
    by_length = {length: cases(settings, length, device) for length in settings.lengths}
    taken: dict[str, list[float]] = {}
    rows: list[ProfileRow] = []
    peaks = machine.peak_workloads(device, settings)
    per_length = (settings.repeats + WARM_UP) * (len(peaks) + 2 * len(by_length[settings.lengths[0]]))
    made = 0

    for length, each in by_length.items():
        modules = {subject.name: try_case(subject) for subject in each}
        passes = {subject.name: subject.jobs(modules[subject.name]) for subject in each}
        progress(f"memory at {pluralize(length, 'step')}", made, per_length * len(by_length))
        heights = (
            [memory.on_cuda(passes[subject.name][1]) for subject in each]
            if device == "cuda"
            else memory.resident(each, settings.threads)
        )

        def count(length: int = length) -> None:
            nonlocal made
            made += 1
            progress(pluralize(length, "step"), made, per_length * len(by_length))

        jobs: dict[str, Workload] = dict(peaks)
        for name, both in passes.items():
            jobs |= dict(zip((f"{name} forward", f"{name} both"), both, strict=True))
        found = rounds(jobs, settings.repeats, meter, warm_up=WARM_UP, progress=count)
        for name in peaks:
            taken.setdefault(name, []).extend(found[name])
        rows += [
            row(subject, modules[subject.name], found, height) for subject, height in zip(each, heights, strict=True)
        ]

    return Profile(
        settings=settings,
        machine=machine.machine_info(device, settings),
        peak=machine.peak(taken, device),
        memory_is=memory.ON_CUDA if device == "cuda" else memory.ON_CPU,
        rows=tuple(rows),
    )


def try_case(subject: BenchmarkCase) -> nn.Module:
    """The module, after a pass forward and backward: what is wrong with it shows here, and what is compiled at first
    use is compiled.

    Raises:
        UserError: if it fails.
    """
    with user_errors(f"architecture {subject.name}"):
        module = subject.build()
        for job in subject.jobs(module):
            job.prepare()
            job.run()
        return module


def row(
    subject: BenchmarkCase, module: nn.Module, seconds: Mapping[str, Sequence[float]], height: int | None
) -> ProfileRow:
    """What was found of one architecture at one length."""
    needed, how = amounts(subject, module)

    def timed(key: str, amount: Amount | None) -> Timing:
        mine, base = seconds[f"{subject.name} {key}"], seconds[f"{BASELINE} {key}"]
        return Timing(amount=amount, seconds=tuple(mine), taken=median_spread(mine), ratio=paired_ratio(mine, base))

    return ProfileRow(
        architecture=subject.name,
        options=subject.options,
        length=subject.time,
        batch=subject.batch,
        parameters=parameters(module),
        state_size=module.state_size(subject.time) if isinstance(module, Encoder) else 2 * subject.hidden_size,
        counted=how,
        forward=timed("forward", None if needed is None else needed.forward),
        forward_backward=timed("both", None if needed is None else needed.both),
        peak_memory=height,
        dtype=str(subject.put_out(module).dtype).removeprefix("torch."),
        cudnn=algorithms(subject, module),
    )


def algorithms(subject: BenchmarkCase, module: nn.Module) -> dict[str, Any] | None:
    """What PyTorch asks of cuDNN for the baseline; `None` elsewhere."""
    if subject.device != "cuda" or subject.name != BASELINE:
        return None
    size = machine.here(subject.put_out(module).dtype, subject.batch, subject.input_size, subject.hidden_size)
    return {"forward": size.forward, "backward": size.backward, "missing_for_persistent": size.missing}


def amounts(subject: BenchmarkCase, module: nn.Module) -> tuple[Work | None, str | None]:
    """The work of a step, and where it is known from."""
    if not isinstance(module, Encoder):
        sizes = (subject.input_size, subject.hidden_size, subject.batch, subject.time)
        return step(GATES[LSTM], *sizes, data=True), "formula"
    if (known := work(module, subject.batch, subject.time)) is not None:
        return known, "formula"
    found = counted(module, subject.inputs(1))
    return found, None if found is None else "PyTorch's counter"


KIND = "workbench profile"
"""What its file says of itself."""
SCHEMA = 1


def to_plain(row: ProfileRow, peak: Peak) -> dict[str, Any]:
    """A row, with all that follows from it."""
    return {
        "architecture": row.architecture,
        "options": dict(row.options),
        "length": row.length,
        "batch_size": row.batch,
        "parameters": row.parameters,
        "state_size": row.state_size,
        "counted": row.counted,
        "forward": timing_of(row.forward, row, peak),
        "forward_backward": timing_of(row.forward_backward, row, peak),
        "peak_memory_bytes": row.peak_memory,
        "dtype": row.dtype,
        **({} if row.cudnn is None else {"cudnn": dict(row.cudnn)}),
    }


def timing_of(each: Timing, row: ProfileRow, peak: Peak) -> dict[str, Any]:
    """A pass, with all that follows from it; amounts for a step of one sequence, times for the batch."""
    gflops = each.gflops(row.steps)
    amount = each.amount
    return {
        "multiply_adds_a_step": None if amount is None else amount.multiply_adds,
        "bytes_a_step": None if amount is None else amount.bytes,
        "flop_a_byte": None if amount is None else amount.intensity,
        "milliseconds": milliseconds(each.taken, 1),
        "milliseconds_a_step": milliseconds(each.taken, row.length),
        "ratio_to_baseline": asdict(each.ratio),
        "gflops": gflops,
        "share_of_peak": None if gflops is None else gflops / peak.gflops,
        "seconds_by_round": list(each.seconds),
    }


def milliseconds(taken: Spread, parts: int) -> dict[str, float | None]:
    """A spread of seconds in milliseconds, of one of so many parts."""
    return {key: None if value is None else 1000 * value / parts for key, value in asdict(taken).items()}

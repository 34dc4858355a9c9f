"""A profile, measured."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from analysis.formats import plural
from analysis.profile import cudnn, machine, memory
from analysis.profile.counted import counted
from analysis.profile.record import Profile, Row, Timed
from analysis.profile.settings import Settings
from analysis.profile.spread import ratio, spread
from analysis.profile.subjects import BASELINE, Subject, subjects
from analysis.profile.timing import Job, Meter, events, rounds, wall
from analysis.profile.work import GATES, Amount, Work, step, work
from architectures.base import Encoder
from architectures.lstm import LSTM
from workbench.devices import device_named
from workbench.model import parameters
from workbench.resolve import user_errors

Progress = Callable[[str, int, int], None]
"""Told what is being done, and the measurements made and to be made."""

WARM_UP = 2
"""Rounds that do not count."""


def measure(settings: Settings, *, meter: Meter | None = None, progress: Progress = lambda *_: None) -> Profile:
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
        return measured(settings, device, meter or (events if device == "cuda" else wall()), progress)
    finally:
        torch.set_num_threads(before)


def measured(settings: Settings, device: str, meter: Meter, progress: Progress) -> Profile:
    """Measures on a device, with as many threads as are set."""
    by_length = {length: subjects(settings, length, device) for length in settings.lengths}
    taken: dict[str, list[float]] = {}
    rows: list[Row] = []
    peaks = machine.jobs(device, settings)
    per_length = (settings.repeats + WARM_UP) * (len(peaks) + 2 * len(by_length[settings.lengths[0]]))
    made = 0

    for length, each in by_length.items():
        modules = {subject.name: tried(subject) for subject in each}
        passes = {subject.name: subject.jobs(modules[subject.name]) for subject in each}
        progress(f"memory at {plural(length, 'step')}", made, per_length * len(by_length))
        heights = (
            [memory.on_cuda(passes[subject.name][1]) for subject in each]
            if device == "cuda"
            else memory.resident(each, settings.threads)
        )

        def count(length: int = length) -> None:
            nonlocal made
            made += 1
            progress(plural(length, "step"), made, per_length * len(by_length))

        jobs: dict[str, Job] = dict(peaks)
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
        machine=machine.described(device, settings),
        peak=machine.peak(taken, device),
        memory_is=memory.ON_CUDA if device == "cuda" else memory.ON_CPU,
        rows=tuple(rows),
    )


def tried(subject: Subject) -> nn.Module:
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


def row(subject: Subject, module: nn.Module, seconds: Mapping[str, Sequence[float]], height: int | None) -> Row:
    """What was found of one architecture at one length."""
    needed, how = amounts(subject, module)

    def timed(key: str, amount: Amount | None) -> Timed:
        mine, base = seconds[f"{subject.name} {key}"], seconds[f"{BASELINE} {key}"]
        return Timed(amount=amount, seconds=tuple(mine), taken=spread(mine), ratio=ratio(mine, base))

    return Row(
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


def algorithms(subject: Subject, module: nn.Module) -> dict[str, Any] | None:
    """What PyTorch asks of cuDNN for the baseline; `None` elsewhere."""
    if subject.device != "cuda" or subject.name != BASELINE:
        return None
    size = cudnn.here(subject.put_out(module).dtype, subject.batch, subject.input_size, subject.hidden_size)
    return {"forward": size.forward, "backward": size.backward, "missing_for_persistent": size.missing}


def amounts(subject: Subject, module: nn.Module) -> tuple[Work | None, str | None]:
    """The work of a step, and where it is known from."""
    if not isinstance(module, Encoder):
        sizes = (subject.input_size, subject.hidden_size, subject.batch, subject.time)
        return step(GATES[LSTM], *sizes, data=True), "formula"
    if (known := work(module, subject.batch, subject.time)) is not None:
        return known, "formula"
    found = counted(module, subject.inputs(1))
    return found, None if found is None else "PyTorch's counter"

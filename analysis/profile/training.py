"""What a training step of the bench costs beside a bare PyTorch loop of the same model, data and optimiser."""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import lightning.pytorch as pl
import torch

from analysis.formatting import pluralize
from analysis.profile.machine import machine_info
from analysis.profile.output import align_columns, format_median
from analysis.profile.profiler import KIND, SCHEMA, Progress
from analysis.profile.settings import ProfileSettings
from analysis.statistics import MedianInterval, median_interval, paired_ratio
from workbench.comparison import Comparison
from workbench.config import Budget, Experiment
from workbench.denormals import flushed_denormals
from workbench.errors import UserError
from workbench.seeding import CPU
from workbench.training import SequenceModule, TaskDataModule
from workbench.training.callbacks.record import RunRecord, TrainingClock
from workbench.training.optimizers import make_optimizer, parameter_groups
from workbench.training.trainer import make_trainer, run_callbacks

TASK = "addition"
"""The task of the steps, of any length and cheap to draw."""
ROUND_STEPS = 20
"""Steps of either side in a round."""
WARM_UP_ROUNDS = 2
"""Rounds that do not count."""
HEADINGS = ("architecture", "bare loop, ms a step", "bench, ms a step", "ratio")
"""Columns of the table."""
WITHOUT_EFFECT = ("input_size", "precision", "matmul_precision", "memory")
"""Settings of a profile that say nothing about training steps."""

Clock = Callable[[], float]
"""Returns seconds since some moment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRow:
    """Costs of a training step of one architecture at one length, in milliseconds of the processor."""

    architecture: str
    length: int
    bare: MedianInterval
    bench: MedianInterval
    ratio: MedianInterval
    """Of the bench to the bare loop, within a round."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingProfile:
    """The costs of all architectures, and the machine they were measured on."""

    settings: ProfileSettings
    machine: Mapping[str, Any]
    rows: tuple[TrainingRow, ...]

    def to_dict(self) -> dict[str, Any]:
        """Returns plain values, as JSON can hold."""
        rows = [asdict(row) for row in self.rows]
        return {
            "kind": KIND,
            "schema": SCHEMA,
            "machine": dict(self.machine),
            "settings": self.settings.to_dict(),
            "training": rows,
        }


def profile_training(
    settings: ProfileSettings, *, clock: Clock = time.process_time, progress: Progress = lambda *_: None
) -> TrainingProfile:
    """Measures a training step of every architecture at every length, on the CPU with one thread.

    Args:
        settings: the architectures and sizes, and the number of rounds.
        clock: returns seconds; by default those that the processor has spent on this process, as other load does not
            count then.
        progress: called as the measurement advances.

    Raises:
        UserError: if a setting has no effect on training steps, or an architecture or an option is unknown.
    """
    check_settings(settings)
    experiments = [
        make_experiment(settings, name, length) for length in settings.lengths for name in settings.architectures
    ]
    threads_before = torch.get_num_threads()
    torch.set_num_threads(1)
    rows = []
    try:
        for done, experiment in enumerate(experiments):
            name, length = experiment.architecture.name, experiment.task.options["length"]
            progress(f"{name}, {pluralize(length, 'step')}", done, len(experiments))
            # Both sides, as in a run.
            with flushed_denormals():
                bare, bench = measure(experiment, settings.repeats, clock)
            rows.append(
                TrainingRow(
                    architecture=name,
                    length=length,
                    bare=median_interval(bare),
                    bench=median_interval(bench),
                    ratio=paired_ratio(bench, bare),
                )
            )
    finally:
        torch.set_num_threads(threads_before)
    return TrainingProfile(settings=settings, machine=machine_info("cpu", settings), rows=tuple(rows))


def check_settings(settings: ProfileSettings) -> None:
    """Refuses settings that would have no effect.

    Raises:
        UserError: that names one.
    """
    for name in WITHOUT_EFFECT:
        if getattr(settings, name) != getattr(ProfileSettings(), name):
            raise UserError(f"--{name.replace('_', '-')} has no effect on --training, which trains on {TASK} as usual")
    if settings.device == "cuda":
        raise UserError("--training measures what the processor does; leave --device cuda away")
    if min(settings.lengths) < 2:
        raise UserError(f"--training trains on {TASK}, whose lengths are at least 2, not {min(settings.lengths)}")


def make_experiment(settings: ProfileSettings, name: str, length: int) -> Experiment:
    """Returns a run of so many steps that each side has its rounds, with one row of metrics at its end."""
    steps = ROUND_STEPS * (settings.repeats + WARM_UP_ROUNDS)
    budget = Budget(steps=steps, batch_size=settings.batch_size, log_every=steps, evaluation_size=1)
    options = {key: value for key, value in settings.architecture.items() if key == name}
    (experiment,) = Comparison(
        tasks=(TASK,),
        architectures=(name,),
        seeds=1,
        hidden_size=settings.hidden_size,
        task={TASK: {"length": length}},
        architecture=options,
        budget=budget,
    ).experiments()
    return experiment


def measure(experiment: Experiment, repeats: int, clock: Clock) -> tuple[list[float], list[float]]:
    """Returns the milliseconds of a step, of the bare loop and of the bench, by round.

    The bench trains as in any run, with the same trainer and the same callbacks; after every 20 of its steps, the bare
    loop makes as many.
    """
    module, data = SequenceModule.from_experiment(experiment), TaskDataModule.from_experiment(experiment)
    module.logs_steps = False
    record = RunRecord(experiment, data)
    record.clock = TrainingClock(clock)
    bare = BareLoop(experiment)
    rounds = Rounds(record, bare, clock)
    with TemporaryDirectory() as folder:
        callbacks = [*run_callbacks(record, Path(folder)), rounds]
        trainer = make_trainer(callbacks, steps=experiment.budget.steps, device="cpu", folder=Path(folder))
        trainer.fit(module, data)
    check_equal(module, bare)
    return rounds.bare[-repeats:], rounds.bench[-repeats:]


class Rounds(pl.Callback):
    """Lets the bare loop take its turn, and notes the milliseconds of a step of either side.

    Args:
        record: of the run, whose clock leaves evaluation and checkpoints out.
        bare: the bare loop.
        clock: returns seconds.
    """

    def __init__(self, record: RunRecord, bare: "BareLoop", clock: Clock) -> None:
        self.record, self._loop, self._clock = record, bare, clock
        self.bare: list[float] = []
        self.bench: list[float] = []
        self._begun = 0.0

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Ends a round of the bench, and has one of the bare loop follow."""
        if trainer.global_step % ROUND_STEPS != 0:
            return
        self.record.clock.stop()
        self.bench.append(1000 * (self.record.clock.seconds - self._begun) / ROUND_STEPS)
        start = self._clock()
        self._loop.run(ROUND_STEPS)
        self.bare.append(1000 * (self._clock() - start) / ROUND_STEPS)
        self._begun = self.record.clock.seconds
        self.record.clock.start()


class BareLoop:
    """The loop that one would write for an experiment without a bench.

    Args:
        experiment: what to train.
    """

    def __init__(self, experiment: Experiment) -> None:
        module = SequenceModule.from_experiment(experiment)
        self.model, self.task, self.options = module.model, module.task, module.optimization
        self.batch_size, self.seed = experiment.budget.batch_size, experiment.seed
        self.optimizer = make_optimizer(self.options, parameter_groups(self.options, self.model, self.model.encoder))
        self.step = 0

    def run(self, steps: int) -> None:
        """Makes some steps."""
        for step in range(self.step, self.step + steps):
            batch = self.task.train(step, self.batch_size, self.seed, CPU)
            prediction, _ = self.model(batch.x, batch.lengths)
            loss = self.task.loss(prediction, batch)
            self.optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_value_(self.model.parameters(), self.options.clip_at)
            self.optimizer.step()
        self.step += steps


def check_equal(module: SequenceModule, bare: BareLoop) -> None:
    """Checks that both sides did the same work: without dropout, their weights are equal at the end."""
    if any(isinstance(part, torch.nn.Dropout) and part.p > 0 for part in module.model.modules()):
        return
    for weight, other in zip(module.model.parameters(), bare.model.parameters(), strict=True):
        assert torch.equal(weight, other), "the bench and the bare loop have trained differently"


def format_training(profile: TrainingProfile) -> str:
    """Returns the table, length by length."""
    settings, parts = profile.settings, []
    for length in settings.lengths:
        rows = [
            (row.architecture, format_median(row.bare), format_median(row.bench), format_median(row.ratio))
            for row in profile.rows
            if row.length == length
        ]
        sizes = f"batch {settings.batch_size}, {pluralize(length, 'step')}, {pluralize(settings.hidden_size, 'unit')}"
        parts += [f"a training step: {sizes}", align_columns([HEADINGS, *rows])]
    parts.append(
        f"The bench is a run's trainer with its callbacks; the bare loop has the same model, data and optimiser. "
        f"{pluralize(settings.repeats, 'round')} of {ROUND_STEPS} steps each, in turns, one thread, seconds of the "
        "processor; medians, with 95 % intervals from six rounds on."
    )
    return "\n\n".join(parts) + "\n"

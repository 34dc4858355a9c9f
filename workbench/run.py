"""Training of one experiment, from its configuration to the result in its folder."""

import math
import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from architectures.kernels import pick_backend
from architectures.parameter_rules import find_rules, summarize_rules
from workbench import checkpoints
from workbench.config import TUNING_SEED, Experiment
from workbench.custom_parts import PART_KINDS, check_unchanged
from workbench.denormals import flushed_denormals
from workbench.devices import release_memory
from workbench.files import write_json
from workbench.leases import Lease
from workbench.logger_interface import LoggedRun, LoggerSpec
from workbench.memory_needs import check_memory
from workbench.results import Run, read_run
from workbench.run_folder import BusyError, claim, run_folder, run_lock
from workbench.tasks.floors import write_floors

if TYPE_CHECKING:
    from workbench.training.lanes import Lane


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDevice:
    """Device and threads that a run is computed with. They change its speed, and the last digits of its numbers."""

    device: str = "cpu"
    """cpu, cuda or mps."""
    threads: int = 1
    """Threads on the CPU."""


def run(
    experiment: Experiment,
    out: Path,
    machine: RunDevice | None = None,
    *,
    stop: Callable[[], bool] = lambda: False,
    on_progress: Callable[[int], None] = lambda step: None,
    on_row: Callable[[dict[str, float]], None] = lambda row: None,
    log: Callable[[str], None] = lambda line: None,
    loggers: Sequence[LoggerSpec] = (),
    trial: tuple[str, int] | None = None,
    lane: "Lane | None" = None,
) -> Run | None:
    """Runs an experiment, resumes it if it was interrupted, or reads its result if it is finished.

    Args:
        experiment: what to run.
        out: the folder of results; the run's own folder is created below it.
        machine: the device and the threads to run it with.
        stop: asked after every step whether to stop there; the run can be resumed later.
        on_progress: called with the number of steps made, a few times a second.
        on_row: called with each row of metrics after it is written, first those of a checkpoint; `stop` is asked next.
        log: called with lines that a user should know, but need not act on.
        loggers: what logs the run beside its own files; they are no part of it, and none of their failures is either.
        trial: the study and the number of the trial that the run belongs to, for loggers.
        lane: what computes its gradients together with those of other seeds; by default it computes them itself.

    Returns:
        The finished run; `None` if it was stopped before.

    Raises:
        BusyError: if another process is running it.
        UserError: if the folder holds something else, the data is not finite, or the machine has too little memory.
    """
    folder = run_folder(out, experiment)
    with run_lock(folder) as lease:
        if (folder / "result.json").exists():
            claim(folder, experiment)
            return read_run(folder)
        claim(folder, experiment)
        (folder / "error.log").unlink(missing_ok=True)
        machine = machine or RunDevice()

        def show_step(step: int) -> None:
            lease.step = step
            on_progress(step)

        try:
            torch.set_num_threads(machine.threads)
            with flushed_denormals():
                return _train(experiment, out, machine, lease, stop, show_step, on_row, log, loggers, trial, lane)
        except Exception as error:
            if isinstance(error, BusyError) or lease.confirm():
                raise
            # What another process does to the files of the run is no failure of the run.
            raise lost_error(folder) from error
        finally:
            release_memory(machine.device)


def _train(
    experiment: Experiment,
    out: Path,
    machine: RunDevice,
    lease: Lease,
    stop: Callable[[], bool],
    on_progress: Callable[[int], None],
    on_row: Callable[[dict[str, float]], None],
    log: Callable[[str], None],
    loggers: Sequence[LoggerSpec],
    trial: tuple[str, int] | None,
    lane: "Lane | None",
) -> Run | None:
    from workbench.training.callbacks.record import RunRecord
    from workbench.training.callbacks.run_loggers import build_run_loggers
    from workbench.training.data_module import TaskDataModule
    from workbench.training.loop import add_gradients
    from workbench.training.sanity_checks import check_module, check_repeatable
    from workbench.training.sequence_module import SequenceModule
    from workbench.training.trainer import make_trainer, run_callbacks

    folder = run_folder(out, experiment)
    # In this process, and before anything is built: another one may have imported what is edited by now.
    for kind in PART_KINDS:
        part = getattr(experiment, kind)
        check_unchanged(kind, part, "the experiment", "put it back, or start the experiment again")
    check_memory(experiment, machine.device)
    module = SequenceModule.from_experiment(experiment).to(machine.device)
    module.logs_steps = False
    data = TaskDataModule.from_experiment(experiment)
    check_repeatable(experiment)
    check_module(module, data, experiment.budget.until)
    record, gradients = RunRecord(experiment, data), add_gradients
    if lane is not None:
        record.clock, gradients = lane.clock, lane.gradients
    criterion = None if module.task.solved is None else str(module.task.solved)
    logged = LoggedRun(experiment=experiment, out=out, folder=folder, criterion=criterion, trial=trial)
    run_loggers = build_run_loggers(loggers, logged, log)
    check = partial(check_held, lease, folder)
    callbacks = run_callbacks(record, folder, stop, on_progress, on_row, log, run_loggers, check)
    steps = experiment.budget.steps
    trainer = make_trainer(callbacks, steps=steps, device=machine.device, folder=folder, gradients=gradients)
    checkpoint, notes = checkpoints.find_newest(folder, experiment.identity)
    for line in notes:
        log(line)
    try:
        trainer.fit(module, data, ckpt_path=checkpoint, weights_only=True)
        ended = trainer.global_step >= steps or record.reached or record.diverged_at is not None
        if record.interrupted and not ended:
            return None
        module.to(machine.device)
        result = build_result(experiment, module, record, trainer.global_step)
        check()
        timing = build_timing(module, record.clock.seconds, trainer.global_step, machine)
        if lane is not None and lane.stacked > 1:
            # Its seconds are then its share of what all seeds took.
            timing |= {"recurrences": "eager", "seeds_at_once": lane.stacked}
        write_json(folder / "timing.json", timing)
        write_json(folder / "result.json", result)
        finished = read_run(folder)
        run_loggers.finish(finished)
        return finished
    finally:
        run_loggers.stop()


def check_held(lease: Lease, folder: Path) -> None:
    """Makes sure that this process still holds a run.

    Raises:
        BusyError: if another has taken it, as this one was silent for long: suspended, or out of reach of the disk.
    """
    if not lease.confirm():
        raise lost_error(folder)


def lost_error(folder: Path) -> BusyError:
    """Returns the error of a process that has lost a run to another one."""
    return BusyError(f"another process has taken {folder}, as this one was silent for minutes; it goes on with the run")


def build_result(experiment: Experiment, module: Any, record: Any, steps: int) -> dict[str, Any]:
    """Returns the content of `result.json`, which is the same on every machine of one kind."""
    from workbench.model import count_trainable_parameters

    diverged = record.diverged_at is not None
    # Runs that a sweep tunes with never see the test set.
    test = (
        None
        if diverged or experiment.seed >= TUNING_SEED
        else module.evaluate(record.data.fixed_set("test", module.device))
    )
    if test is not None and not math.isfinite(test["loss"]):
        record.diverged_at, test, diverged = steps, None, True
    last = {} if diverged or not record.rows else record.rows[-1]
    validation = {name.removeprefix("val/"): value for name, value in last.items() if name.startswith("val/")}
    encoder, task = module.model.encoder, module.task
    rules = summarize_rules(find_rules(encoder))
    return {
        "identity": experiment.identity,
        "seed": experiment.seed,
        "status": "diverged" if diverged else "finished",
        "diverged_at": record.diverged_at,
        "steps": steps,
        "parameters": count_trainable_parameters(module.model),
        "state_size": encoder.state_size(task.steps),
        "receptive_field": encoder.receptive_field,
        # Left out where there are none, as in results from before there were any.
        **({"parameter_rules": {name: asdict(rule) for name, rule in rules.items()}} if rules else {}),
        "time": task.steps,
        "trivial_loss": task.trivial_loss,
        "floors": write_floors(task.floors),
        "criterion": None if task.solved is None else str(task.solved),
        "solved_at": record.milestones.solved_at,
        "solved_at_mean50": record.milestones.solved_at_mean50,
        "validation": None if diverged else finite_scores(validation),
        "test": None if test is None else finite_scores(test),
    }


def finite_scores(scores: dict[str, float]) -> dict[str, float | None]:
    """Returns the scores, with `None` for NaN and infinity, which JSON does not have."""
    return {name: value if math.isfinite(value) else None for name, value in scores.items()}


def build_timing(module: Any, seconds: float, steps: int, machine: RunDevice) -> dict[str, Any]:
    """Returns the content of `timing.json`, which differs from run to run."""
    gpu = machine.device == "cuda"
    name = torch.cuda.get_device_name() if gpu else processor_name()
    # A GPU may round the factors of float32 products to TF32, with 10 bits of mantissa instead of 23, which is faster.
    rounding = {
        "matmul_precision": torch.get_float32_matmul_precision(),
        "cudnn_tf32": torch.backends.cudnn.allow_tf32,
    }
    return {
        "seconds": seconds,
        "seconds_per_step": seconds / max(1, steps),
        "device": machine.device,
        "threads": machine.threads,
        "processor": name,
        "precision": module.precision,
        **(rounding if gpu else {}),
        "recurrences": pick_backend(torch.zeros(1, device=machine.device), units=module.model.encoder.output_size),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def processor_name() -> str:
    """Returns the processor's name, or its architecture if the system does not know the name."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()

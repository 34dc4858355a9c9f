"""One experiment, from its configuration to its result."""

import logging
import math
import platform
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from architectures.kernels import pick_backend
from workbench import checkpoints
from workbench.config import TUNING_SEED, Experiment
from workbench.devices import release
from workbench.errors import UserError
from workbench.files import write_json
from workbench.resolve import source_changed
from workbench.results import Run, read
from workbench.run_folder import claim, run_folder, run_lock


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDevice:
    """Where a run happens; it changes how fast the numbers come, and their last digits."""

    device: str = "cpu"
    threads: int = 1


def run(
    experiment: Experiment,
    out: Path,
    machine: RunDevice | None = None,
    *,
    stop: Callable[[], bool] = lambda: False,
    progress: Callable[[int], None] = lambda step: None,
    watch: Callable[[dict[str, float]], None] = lambda row: None,
    note: Callable[[str], None] = lambda line: None,
) -> Run | None:
    """Runs an experiment, goes on with it where it was interrupted, or reads its result if it is finished.

    Args:
        experiment: what to run.
        out: the folder of results; the run's own is made below it.
        machine: where to run it.
        stop: asked after every step whether to stop there, to go on another time.
        progress: told the number of steps made, a few times a second.
        watch: told each row of metrics once it is written, those of a checkpoint first; asked to `stop` afterwards.
        note: told in a line what a user should know and need not act on.

    Returns:
        The finished run; `None` if it was stopped before.

    Raises:
        BusyError: if another process is at work on it.
        UserError: if the folder holds something else, or the data is not finite.
    """
    folder = run_folder(out, experiment)
    with run_lock(folder):
        if (folder / "result.json").exists():
            claim(folder, experiment)
            return read(folder)
        claim(folder, experiment)
        (folder / "error.log").unlink(missing_ok=True)
        machine = machine or RunDevice()
        try:
            return _train(experiment, folder, machine, stop, progress, watch, note)
        finally:
            release(machine.device)


def _train(
    experiment: Experiment,
    folder: Path,
    machine: RunDevice,
    stop: Callable[[], bool],
    progress: Callable[[int], None],
    watch: Callable[[dict[str, float]], None],
    note: Callable[[str], None],
) -> Run | None:
    import lightning.pytorch as pl

    from workbench.lightning_module import SequenceModule
    from workbench.recorder import RunRecorder
    from workbench.sanity_checks import check_module

    silence_lightning()

    torch.set_num_threads(machine.threads)
    learner = SequenceModule(experiment).to(machine.device)
    if source_changed(experiment.task, learner.task):
        raise UserError(f"the code or the data of task {experiment.task.name} is not what the experiment was made with")
    check_module(learner)
    recorder = RunRecorder(experiment, folder, stop, progress, watch)
    trainer = pl.Trainer(
        accelerator="gpu" if machine.device == "cuda" else "cpu",
        devices=1,
        max_steps=experiment.budget.steps,
        max_epochs=-1,
        callbacks=[recorder],
        gradient_clip_val=None if experiment.optimization.clip == "none" else experiment.optimization.clip_at,
        gradient_clip_algorithm=None if experiment.optimization.clip == "none" else experiment.optimization.clip,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
    )
    last, notes = checkpoints.newest(folder, experiment.identity)
    for line in notes:
        note(line)
    trainer.fit(learner, ckpt_path=last, weights_only=True)
    ended = trainer.global_step >= experiment.budget.steps or recorder.reached or recorder.diverged_at is not None
    if recorder.interrupted and not ended:
        return None
    learner.to(machine.device)
    write_json(folder / "timing.json", timing(learner, recorder.seconds, trainer.global_step, machine))
    write_json(folder / "result.json", result(experiment, learner, recorder, trainer.global_step))
    return read(folder)


def result(experiment: Experiment, learner: Any, recorder: Any, steps: int) -> dict[str, Any]:
    """What is known at the end, and is the same on every machine of one kind."""
    from workbench.model import parameters

    diverged = recorder.diverged_at is not None
    # What a sweep tunes with never sees the test set.
    test = None if diverged or experiment.seed >= TUNING_SEED else learner.evaluate("test")
    if test is not None and not math.isfinite(test["loss"]):
        recorder.diverged_at, test, diverged = steps, None, True
    last = {} if diverged or not recorder.rows else recorder.rows[-1]
    validation = {name.removeprefix("val/"): value for name, value in last.items() if name.startswith("val/")}
    encoder, task = learner.model.encoder, learner.task
    return {
        "identity": experiment.identity,
        "seed": experiment.seed,
        "status": "diverged" if diverged else "finished",
        "diverged_at": recorder.diverged_at,
        "steps": steps,
        "parameters": parameters(learner.model),
        "state_size": encoder.state_size(task.steps),
        "receptive_field": encoder.receptive_field,
        "time": task.steps,
        "trivial_loss": task.trivial_loss,
        "criterion": None if task.solved is None else str(task.solved),
        "solved_at": recorder.milestones.solved_at,
        "solved_at_mean50": recorder.milestones.solved_at_mean50,
        "validation": None if diverged else finite_scores(validation),
        "test": None if test is None else finite_scores(test),
    }


def finite_scores(scores: dict[str, float]) -> dict[str, float | None]:
    """The scores, with `None` for what is no number: JSON has none either."""
    return {name: value if math.isfinite(value) else None for name, value in scores.items()}


def timing(learner: Any, seconds: float, steps: int, machine: RunDevice) -> dict[str, Any]:
    """What no two runs agree in."""
    gpu = machine.device == "cuda"
    name = torch.cuda.get_device_name() if gpu else processor()
    # What else a GPU may round float32 products to, and with it how fast it is: TF32 has 10 bits of mantissa, not 23.
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
        "precision": learner.experiment.numerics.precision,
        **(rounding if gpu else {}),
        "recurrences": pick_backend(torch.zeros(1, device=machine.device), units=learner.model.encoder.output_size),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def processor() -> str:
    """The processor's name, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def silence_lightning() -> None:
    """Lightning greets, advises and advertises at every start; a bench that starts hundreds of runs can do without."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    # Lightning's own use of PyTorch's trees; nothing that anyone here could change.
    warnings.filterwarnings("ignore", message=r".*treespec, LeafSpec.*")

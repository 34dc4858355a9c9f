"""What a model answers where it has to alternate."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from analysis.findings import Curve, Findings, Number
from analysis.measures import growth
from analysis.subjects import Subject
from architectures.base import evaluating
from workbench.tasks.alternation import Alternation

BEYOND = 4
"""Times the length: as far as the model is followed."""


def answers(subject: Subject, task: Alternation) -> Findings:
    """Loss and amplitude of what is put out."""
    answer, target = answered(subject, task)
    loss, trivial = float((answer - target).square().mean()), task.trivial_loss
    numbers = {
        "loss": Number(value=loss, unit="", what=f"mean squared error over {task.length:,} steps"),
        "trivial_loss": Number(value=trivial, unit="", what="loss of the best constant answer"),
        "loss_share": Number(value=loss / trivial, unit="1", what="loss over the trivial one"),
        "amplitude": _amplitude(answer, task, f"over {task.length:,} steps"),
    }
    return Findings(numbers=numbers)


def beyond(subject: Subject, task: Alternation) -> Findings:
    """The same at steps that come after those of training."""
    longer = replace(task, length=BEYOND * task.length)
    answer, target = answered(subject, longer)
    late = slice(task.length, None)
    error = (answer - target).square()
    where = f"over steps {task.length + 1:,} to {longer.length:,}"
    # The first of the later steps is odd, or the signs would be turned round.
    shift = task.length % 2
    numbers = {
        "loss_beyond": Number(value=float(error[late].mean()), unit="", what=f"mean squared error {where}"),
        "amplitude_beyond": _amplitude(answer[task.length + shift :], task, where),
    }
    squared = curve(error.numpy(force=True), "squared error", "squared error of the answer")
    return Findings(numbers=numbers, curves={"error": squared})


def answered(subject: Subject, task: Alternation) -> tuple[Tensor, Tensor]:
    """The model's answer and the target, each (time,); every sequence of this task is the same."""
    batch = task.fixed("test", 1, torch.device("cpu")).to(subject.model.device)
    with torch.no_grad(), evaluating(subject.model):
        answer, _ = subject.model(batch.x)
    return answer[0, :, 0].double(), batch.target[0, :, 0].double()


def curve(values: np.ndarray, unit: str, what: str) -> Curve:
    """Means over pairs of steps, the period of the task."""
    pairs = [values[start : start + 2].mean() for start in range(0, len(values), 2)]
    return Curve.of(1.5 + 2 * np.arange(len(pairs)), pairs, x_unit="step", y_unit=unit, what=f"{what}, two steps each")


def _amplitude(answer: Tensor, task: Alternation, where: str) -> Number:
    share = growth.alternating(answer) / task.amplitude
    return Number(value=share, unit="1", what=f"amplitude of what alternates in the answer, of c, {where}")

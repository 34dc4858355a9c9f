"""Loss and accuracy of tasks whose answer is one of several classes."""

from collections.abc import Mapping

from torch import Tensor
from torch.nn import functional

from workbench.tasks.base import Batch


def cross_entropy(prediction: Tensor, batch: Batch) -> Tensor:
    """Returns the mean of -ln p(target) over all answers, in nats.

    Args:
        prediction: logits, (batch, classes) or (batch, time, classes).
        batch: its target holds a class for each answer, (batch,) or (batch, time).
    """
    return functional.cross_entropy(prediction.flatten(0, -2), batch.target.flatten())


def accuracy(prediction: Tensor, batch: Batch) -> Mapping[str, Tensor]:
    """Returns the share of right answers as the metric `accuracy`: over `recall` if the batch has it, else over all.

    Args:
        prediction: logits, (batch, classes) or (batch, time, classes).
        batch: its target holds a class for each answer, (batch,) or (batch, time).
    """
    right = prediction.argmax(-1) == batch.target
    if batch.recall is None:
        return {"accuracy": right.float().mean()}
    # Sums, not right[recall]: with a boolean index a GPU has to wait for the size of the result.
    return {"accuracy": (right & batch.recall).sum() / batch.recall.sum()}

"""Base class of tasks whose answer is a vector that was shown, or nearly."""

from collections.abc import Mapping
from typing import ClassVar, Literal

from torch import Tensor
from torch.nn import functional

from workbench.tasks.base import Batch, Criterion, Task


class VectorRecall(Task):
    """Task whose answer at the last step is a vector of independent numbers from N(0, 1).

    loss    = mean squared error over the numbers
    r2      = 1 - loss, the share of their variance that is explained
    trivial = 1, the variance, at the answer 0
    solved  : r2 > 0.95
    """

    readout = "last"
    directions: ClassVar[Mapping[str, Literal["minimize", "maximize"]]] = {"r2": "maximize"}

    @property
    def trivial_loss(self) -> float:
        """The variance of a number, 1."""
        return 1.0

    @property
    def solved(self) -> Criterion:
        """An R^2 above 0.95."""
        return Criterion(metric="r2", bound=0.95, above=True)

    def loss(self, prediction: Tensor, batch: Batch) -> Tensor:
        """Returns the mean squared error."""
        return functional.mse_loss(prediction, batch.target)

    def metrics(self, prediction: Tensor, batch: Batch) -> Mapping[str, Tensor]:
        """Returns the share of the variance that is explained."""
        return {"r2": 1 - functional.mse_loss(prediction, batch.target)}

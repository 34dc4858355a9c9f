"""Base class of tasks that ask at some steps only."""

from collections.abc import Mapping

from torch import Tensor
from torch.nn import functional

from workbench.tasks.base import Batch, Task
from workbench.tasks.classification import accuracy


class QueryTask(Task):
    """Task that asks for one of several classes at some steps, and for nothing at all others.

        loss     = mean of -ln p(target) over the steps that ask, which are true in `recall`
        accuracy = share of right answers among them

    What is answered at other steps is neither wanted nor judged; the target there is 0.
    """

    readout = "every"

    def loss(self, prediction: Tensor, batch: Batch) -> Tensor:
        """Returns the mean cross-entropy over the steps that ask."""
        assert batch.recall is not None
        losses = functional.cross_entropy(prediction.flatten(0, -2), batch.target.flatten(), reduction="none")
        asked = batch.recall.flatten()
        # Sums, not losses[asked]: with a boolean index a GPU has to wait for the size of the result.
        return (losses * asked).sum() / asked.sum()

    def metrics(self, prediction: Tensor, batch: Batch) -> Mapping[str, Tensor]:
        """Returns the accuracy over the steps that ask."""
        return accuracy(prediction, batch)

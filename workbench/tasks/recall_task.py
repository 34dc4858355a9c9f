"""What the copy tasks share."""

import math
from abc import abstractmethod
from collections.abc import Mapping

from torch import Tensor

from workbench.tasks.base import Batch, Task
from workbench.tasks.classification import accuracy, cross_entropy


class RecallTask(Task):
    """Symbols to be said again later, and blank answers until then.

    Of the alphabet, 0..K-1 are the symbols to remember, K is the blank and K + 1 the mark that calls for recall. The
    answer is one of the K symbols or the blank.

        loss     = mean over all steps of -ln p(target)
        accuracy = share of right answers among the recalled symbols
        trivial  = R ln K / steps, for R recalled symbols

    The trivial loss is that of the best answer that knows when to recall, but no symbol: blank with certainty where
    the target is blank, and each of the K symbols with probability 1 / K where it is not. For copy-memory that is the
    usual 10 ln 8 / (T + 20) (Arjovsky, Shah and Bengio 2016). No answer without memory of the symbols does better,
    however well it keeps time; so a loss below it proves that symbols were remembered. An answer from the present step
    alone may be worse, but to beat that would prove no more than a clock.
    """

    readout = "every"
    categories: int

    @property
    @abstractmethod
    def recalled(self) -> int:
        """The number of symbols to recall in one sequence, R."""

    # The base has plain attributes here, so that most tasks can state a number; these depend on an option.
    @property
    def symbols(self) -> int:  # type: ignore[override]
        return self.categories + 2

    @property
    def input_size(self) -> int:  # type: ignore[override]
        return self.symbols

    @property
    def output_size(self) -> int:  # type: ignore[override]
        return self.categories + 1

    @property
    def blank(self) -> int:
        """The symbol, and the answer, where there is nothing to say."""
        return self.categories

    @property
    def mark(self) -> int:
        """The symbol that calls for recall; never an answer."""
        return self.categories + 1

    @property
    def trivial_loss(self) -> float:
        return self.recalled * math.log(self.categories) / self.steps

    def loss(self, prediction: Tensor, batch: Batch) -> Tensor:
        return cross_entropy(prediction, batch)

    def metrics(self, prediction: Tensor, batch: Batch) -> Mapping[str, Tensor]:
        return accuracy(prediction, batch)

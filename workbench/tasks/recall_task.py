"""Base class of the copy tasks."""

import math
from abc import abstractmethod
from collections.abc import Mapping

from torch import Tensor

from workbench.tasks.base import Batch, Floor, Task
from workbench.tasks.classification import accuracy, cross_entropy
from workbench.tasks.guessing import bag_floor


class RecallTask(Task):
    """Task of symbols that are to be recalled later, with blank answers at all other steps.

    Of the alphabet, 0..K-1 are the symbols to remember, K is the blank and K + 1 the mark that calls for recall. The
    answer is one of the K symbols or the blank.

        loss     = mean over all steps of -ln p(target)
        accuracy = share of right answers among the recalled symbols
        trivial  = R ln K / steps, for R recalled symbols

    The trivial loss is that of the best answer that knows when to recall, but no symbol: blank with certainty if the
    target is blank, and each of the K symbols with probability 1 / K if it is not. For copy-memory that is the usual
    10 ln 8 / (T + 20) (Arjovsky, Shah and Bengio 2016). No answer without memory of the symbols does better, however
    well it keeps time; so a loss below it proves that symbols were remembered. An answer from the present step alone
    may be worse, but to beat that would prove no more than a clock.

        floors   : present step, that answer from the present step alone, if `look_alikes` is known
                   bag of values, who knows when to recall and how often each symbol was shown, but not where, if
                   `together` is known
    """

    readout = "every"
    categories: int
    """K, the number of different symbols to remember."""

    @property
    @abstractmethod
    def recalled(self) -> int:
        """The number of symbols to recall in one sequence, R."""

    # The base class has plain attributes here, so that most tasks can state a number; these depend on an option.
    @property
    def symbols(self) -> int:  # type: ignore[override]
        """K + 2: the symbols to remember, the blank and the mark."""
        return self.categories + 2

    @property
    def input_size(self) -> int:  # type: ignore[override]
        """The size of the alphabet."""
        return self.symbols

    @property
    def output_size(self) -> int:  # type: ignore[override]
        """K + 1: the symbols to remember and the blank."""
        return self.categories + 1

    @property
    def blank(self) -> int:
        """The symbol, and the answer, at steps at which nothing is to be remembered or recalled."""
        return self.categories

    @property
    def mark(self) -> int:
        """The symbol that calls for recall; never an answer."""
        return self.categories + 1

    @property
    def look_alikes(self) -> int | None:
        """The number of steps with the input of one that recalls, but a blank answer; `None` if it is not known."""
        return None

    @property
    def together(self) -> int | None:
        """The number of independent symbols that are shown and recalled together; `None` if it is not known."""
        return None

    @property
    def floors(self) -> Mapping[str, Floor]:
        """What one reaches who knows the present step alone, or which symbols were shown but not where."""
        floors, recalled = {}, self.recalled / self.steps
        if self.look_alikes is not None:
            alike = self.look_alikes + self.recalled
            blank, symbol = self.look_alikes / alike, self.recalled / alike / self.categories
            surprise = -(blank * math.log(blank) if blank else 0) - self.categories * symbol * math.log(symbol)
            guessed = 1 / self.categories if symbol > blank else 0.0
            floors["present step"] = Floor(loss=alike / self.steps * surprise, accuracy=guessed)
        if self.together is not None and self.together > 1:
            bag = bag_floor(self.together, (1 / self.categories,) * self.categories)
            floors["bag of values"] = Floor(loss=recalled * bag.loss, accuracy=bag.accuracy)
        return floors

    @property
    def trivial_loss(self) -> float:
        """R ln K / steps."""
        return self.recalled * math.log(self.categories) / self.steps

    def loss(self, prediction: Tensor, batch: Batch) -> Tensor:
        """Returns the mean cross-entropy over all steps."""
        return cross_entropy(prediction, batch)

    def metrics(self, prediction: Tensor, batch: Batch) -> Mapping[str, Tensor]:
        """Returns the accuracy over the recalled symbols."""
        return accuracy(prediction, batch)

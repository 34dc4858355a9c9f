"""What a study judges its trials by: the name of the metric, its direction, and how it is compared and drawn."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from analysis.comparison.losses import Standing
from analysis.figures.axes import AxisScale, fit_scale
from analysis.formatting import make_printable
from workbench.results import Run
from workbench.study_files import Study


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """A metric of the validation set, and of the test set once the winner is trained again.

    Args:
        name: the metric's, such as loss or accuracy.
        maximize: whether more of it is better.
    """

    name: str
    maximize: bool = False

    @property
    def is_loss(self) -> bool:
        """True for the loss, which is compared and drawn on a log scale, with the loss of the trivial answer."""
        return self.name == "loss"

    @property
    def words(self) -> str:
        """The name in words, such as `bits per character`."""
        return make_printable(self.name.replace("_", " "))

    @property
    def best(self) -> str:
        """`lowest` or `highest`."""
        return "highest" if self.maximize else "lowest"

    @property
    def better(self) -> str:
        """`lower` or `higher`."""
        return "higher" if self.maximize else "lower"

    @property
    def sign(self) -> int:
        """The factor that makes a value a cost, of which less is better."""
        return -1 if self.maximize else 1

    @property
    def costs(self) -> Callable[[Run], float] | None:
        """What `compare_losses` compares in place of the test loss; `None` if it is that."""
        return None if self.is_loss else lambda run: self.sign * run.test_metric(self.name)

    def restore(self, standing: Standing) -> Standing:
        """Returns a standing of costs with the metric's own values."""
        if not self.maximize:
            return standing
        low, high = (None if end is None else -end for end in (standing.high, standing.low))
        values = tuple(-value for value in standing.values)
        return replace(standing, center=-standing.center, low=low, high=high, values=values)

    def fit_scale(self, values: Iterable[float]) -> AxisScale:
        """Returns a scale that shows all values; only that of a loss may be logarithmic."""
        if self.is_loss:
            return fit_scale(values)
        finite = [value for value in values if math.isfinite(value)] or [0.0, 1.0]
        low, high = min(finite), max(finite)
        margin = 0.06 * ((high - low) or abs(high) or 1.0)
        return AxisScale(low=low - margin, high=high + margin)

    def worst_end(self, scale: AxisScale) -> float:
        """Returns the end of a scale at which diverged trials are drawn."""
        return scale.low if self.maximize else scale.high


LOSS = Measure(name="loss")


def study_measure(study: Study) -> Measure:
    """Returns what a study judges its trials by: its first objective."""
    name = "loss" if "loss" in study.objectives or not study.objectives else study.objectives[0]
    return Measure(name=name, maximize=study.direction == "maximize")

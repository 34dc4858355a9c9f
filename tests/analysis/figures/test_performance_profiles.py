"""The figure of performance profiles: one panel for a few architectures, one for each family of many."""

import io

import numpy as np
import pytest

from analysis.comparison.across_tasks import THRESHOLDS, Scores
from analysis.figures.performance_profiles import draw_performance_profiles
from analysis.style import LINE_STYLES, family

FEW = ("rnn", "lstm", "rda")
MANY = tuple(LINE_STYLES)


def scores_of(names: tuple[str, ...]) -> Scores:
    """Returns scores of two tasks and five seeds: those of the n-th name are 0.02 n."""
    values = tuple((np.full(5, 0.02 * place), np.full(5, 0.02 * place)) for place in range(len(names)))
    return Scores(labels=names, titles=("copy", "addition"), values=values)


@pytest.mark.parametrize("names", [FEW, MANY], ids=["few", "many"])
def test_each_row_is_named_once_in_the_panel_of_its_family(names: tuple[str, ...]) -> None:
    families = [family(name) for name in names]
    drawing = draw_performance_profiles(scores_of(names), [LINE_STYLES[name] for name in names], families)
    # What does not fit in a figure is a warning.
    drawing.savefig(io.BytesIO(), format="svg")
    panels = drawing.axes
    assert len(panels) == (1 if names is FEW else len(set(families)))
    named = []
    for axes in panels:
        lines = {str(line.get_label()): line for line in axes.get_lines()}
        # All rows are in each panel, those of other families without a name.
        assert len(axes.get_lines()) == len(names)
        own = [label for label in lines if not label.startswith("_")]
        assert axes.get_title("left") in ("", *{family(label) for label in own})
        for label in own:
            above = 0.02 * names.index(label) > THRESHOLDS
            np.testing.assert_array_equal(lines[label].get_ydata(), above.astype(float))
        named += own
    assert sorted(named) == sorted(names)

"""The RWA author's figures, computed again from the numbers of his logs.

`rwa_logs.json` holds, for each log of jostmey/rwa at 41d73d0, the numbers up to the one that decides: for the addition
and the copy problem the costs of the test batches, one every 100 steps, rounded to four digits (mean squared errors, or
bits per position), and for the length problem the accuracies in percent of the training batches, one a step, of which
the logs count the first as 0, and the bench as 1.
"""

import json
import math
from pathlib import Path

import pytest

from analysis.published_figures import PUBLISHED, PublishedSource
from workbench.stopping import Goal, GoalTracker

LOGS = json.loads(Path(__file__).with_name("rwa_logs.json").read_text(encoding="utf-8"))
FOLDERS = {"addition": "adding_problem", "copy": "copy_problem", "classify-length": "length_problem"}
ENTRIES = [entry for entry in PUBLISHED if entry.source == "RWA author's logs" and entry.task in FOLDERS]


def reached(entry: PublishedSource, architecture: str) -> int | None:
    """Returns the step at which a log meets the metric of an entry, by our own rule; `None` if it never does."""
    numbers = LOGS[f"{FOLDERS[entry.task]}_{entry.options['length']}/{architecture}_model"]
    tracker = GoalTracker(goal=Goal.parse(entry.of))
    for index, number in enumerate(numbers):
        if entry.task == "classify-length":
            tracker.update(1 + index, number / 100)
        else:
            # His costs of the copy problem are in bits.
            tracker.update(100 * index, number * (math.log(2) if entry.task == "copy" else 1))
    return tracker.reached_at


def test_all_are_here() -> None:
    assert len(ENTRIES) == 10
    assert {name.partition("/")[0] for name in LOGS} == {
        f"{FOLDERS[entry.task]}_{entry.options['length']}" for entry in ENTRIES
    }


@pytest.mark.parametrize("architecture", ["rwa", "lstm"])
@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: f"{entry.task} {entry.options['length']} {entry.of}")
def test_a_figure_is_that_of_the_log(entry: PublishedSource, architecture: str) -> None:
    figure, step = entry.figures[architecture], reached(entry, architecture)
    if figure.bound == "above":
        assert step is None
        assert figure.value == 50_000
    else:
        assert step == figure.value

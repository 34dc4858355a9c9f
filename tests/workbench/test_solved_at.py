"""Steps at which a task counts as solved."""

import math

from workbench.stopping import Milestones
from workbench.tasks import Criterion

LOW = Criterion(metric="loss", bound=0.5, above=False)


def solved_steps(milestones, values, metric="loss"):
    for step, value in enumerate(values, start=1):
        milestones.update(step, {metric: value})
    return milestones.solved_at, milestones.solved_at_mean50


def test_one_good_batch_and_fifty_good_on_average():
    # The first 59 steps cost 1, then all cost 0: the mean of 50 is under 0.5 once 26 of them are 0.
    assert solved_steps(Milestones(criterion=LOW), [1.0] * 59 + [0.0] * 60) == (60, 59 + 26)


def test_one_lucky_batch_solves_at_once_but_not_on_average():
    assert solved_steps(Milestones(criterion=LOW), [1.0] * 10 + [0.0] + [1.0] * 100) == (11, None)


def test_the_mean_waits_for_fifty_batches():
    assert solved_steps(Milestones(criterion=LOW), [0.0] * 60) == (1, 50)


def test_the_bound_itself_does_not_do_unless_it_may():
    assert solved_steps(Milestones(criterion=LOW), [0.5] * 60) == (None, None)
    whole = Criterion(metric="accuracy", bound=1.0, above=True, or_equal=True)
    assert solved_steps(Milestones(criterion=whole), [0.9, 1.0], metric="accuracy") == (2, None)


def test_no_number_solves_nothing():
    assert solved_steps(Milestones(criterion=LOW), [math.nan] * 60) == (None, None)


def test_without_a_bound_nothing_is_ever_solved():
    assert solved_steps(Milestones(criterion=None), [0.0] * 60) == (None, None)


def test_a_resumed_watch_says_what_an_uninterrupted_one_does():
    values = [1.0] * 59 + [0.0] * 60
    for cut in (1, 30, 59, 60, 70, 100):
        first = Milestones(criterion=LOW)
        for step, value in enumerate(values[:cut], start=1):
            first.update(step, {"loss": value})
        second = Milestones(**first.state_dict())
        second.criterion = LOW
        for step, value in enumerate(values[cut:], start=cut + 1):
            second.update(step, {"loss": value})
        assert (second.solved_at, second.solved_at_mean50) == (60, 85)

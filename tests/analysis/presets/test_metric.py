"""Metrics of runs, against the rows of a file that the test writes."""

import math

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.presets.metric import Metric, first_step_reached
from tests.analysis.report_runs import experiment, write_run
from tests.workbench.experiments import finish, small
from workbench.errors import UserError
from workbench.results import Run, read_run
from workbench.stopping import Goal


def write_and_read_run(out, **values):
    return read_run(write_run(out, experiment(log_every=50), **values))


def first_in_a_row(steps, values, met, times):
    """Returns the first step at which the last values have all met the bound, by a plain loop."""
    for index in range(len(steps)):
        window = values[max(0, index - times + 1) : index + 1]
        if len(window) == times and all(met(value) for value in window):
            return float(steps[index])
    return None


@pytest.mark.parametrize(
    ("text", "column", "met", "times"),
    [
        ("val/loss < 0.1", "loss", lambda value: value < 0.1, 1),
        ("val/loss < 0.1, 2 times", "loss", lambda value: value < 0.1, 2),
        ("val/loss < 0.1, 3 times", "loss", lambda value: value < 0.1, 3),
        ("val/accuracy >= 0.9, 2 times", "accuracy", lambda value: value >= 0.9, 2),
        ("val/accuracy > 0.9, 2 times", "accuracy", lambda value: value > 0.9, 2),
        ("val/loss < 0.01", "loss", lambda value: value < 0.01, 1),
    ],
)
def test_steps_on_the_validation_set_are_those_of_the_row_by_which_it_was_met_so_often(
    text, column, met, times, tmp_path
):
    # Interrupted once, then met: each number of times is reached at a different step.
    losses = [0.5, 0.09, 0.1, 0.09, 0.08, 0.2, 0.09, 0.09, 0.05, 0.3]
    accuracies = [0.1, 0.95, 0.3, 0.9, 0.9, 0.91, 0.92, 0.2, 1.0, 1.0]
    run = write_and_read_run(tmp_path, losses=losses, accuracies=accuracies, accuracy=1.0)
    steps = [50 * (index + 1) for index in range(len(losses))]
    values = {"loss": losses, "accuracy": accuracies}[column]
    assert Metric.parse(text).evaluate(run) == first_in_a_row(steps, values, met, times)


def test_the_worked_example(tmp_path):
    run = write_and_read_run(tmp_path, losses=[0.5, 0.09, 0.1, 0.09, 0.08, 0.2, 0.09, 0.09, 0.05, 0.3])
    steps = [Metric.parse(f"val/loss < 0.1, {times} times").evaluate(run) for times in (1, 2, 3, 4)]
    assert steps == [100.0, 250.0, 450.0, None]


@given(
    st.lists(st.sampled_from([0.05, 0.1, 0.2, math.nan]), min_size=1, max_size=12),
    st.integers(1, 4),
)
def test_whatever_the_rows_are(losses, times):
    goal = Goal.parse(f"val/loss <= 0.1, {times} times")
    steps = list(range(7, 7 + len(losses)))
    rows = pd.DataFrame({"step": steps, "val/loss": losses})
    assert first_step_reached(rows, goal) == first_in_a_row(steps, losses, lambda value: value <= 0.1, times)


@pytest.mark.parametrize(("solved_at", "steps"), [(137, 137.0), (None, None)])
def test_steps_on_training_batches_are_what_the_run_itself_noticed(solved_at, steps, tmp_path):
    # The rows tell otherwise: they are means over many batches.
    run = write_and_read_run(
        tmp_path, solved_at=solved_at, solved_at_mean50=400, losses=[0.5, 1e-9], criterion="loss < 0.001"
    )
    assert Metric.parse("train/loss < 0.001").evaluate(run) == steps


def test_a_real_run_has_the_first_step_whose_batch_met_its_task_s_bound(tmp_path):
    run = finish(small(task="classify-length", steps=60, log_every=1, task_options={"length": 4}), tmp_path)
    rows = run.metrics()
    # With a row for every step, a row's mean is that of one batch.
    reached = [step for step, value in zip(rows["step"], rows["train/accuracy"], strict=True) if value >= 1]
    assert reached
    assert Metric.parse("train/accuracy >= 1").evaluate(run) == reached[0]


@pytest.mark.parametrize("text", ["train/loss < 0.01", "train/loss <= 0.001", "train/accuracy >= 1"])
def test_a_bound_that_no_training_batch_was_watched_for_is_refused(text, tmp_path):
    run = write_and_read_run(tmp_path, solved_at=137)
    with pytest.raises(UserError, match=f"did not record {text}, but loss < 0.001"):
        Metric.parse(text).evaluate(run)


def test_a_task_that_nobody_calls_solved_is_watched_for_nothing(tmp_path):
    with pytest.raises(UserError, match="but None"):
        Metric.parse("train/loss < 0.001").evaluate(write_and_read_run(tmp_path, criterion=None))


def test_a_metric_on_the_test_set_is_that_of_the_result(tmp_path):
    run = write_and_read_run(tmp_path, loss=0.0125, accuracy=0.75, losses=[0.5, 0.4])
    assert Metric.parse("test/loss").evaluate(run) == 0.0125
    assert Metric.parse("test/accuracy").evaluate(run) == 0.75
    assert Metric.parse("test/bits_per_character").evaluate(run) is None


def test_a_run_that_diverged_before_it_got_there_has_nothing(tmp_path):
    run = write_and_read_run(tmp_path, loss=None, diverged_at=120, losses=[0.5, math.nan])
    for text in ("test/loss", "train/loss < 0.001", "val/loss < 0.1", "val/loss < 0.1, 2 times"):
        assert Metric.parse(text).evaluate(run) is None, text


def test_a_run_that_diverged_before_its_first_row_of_validation_has_nothing(tmp_path):
    folder = write_run(tmp_path, experiment(log_every=50), loss=None, diverged_at=3)
    (folder / "metrics.csv").write_text("step,train/loss,learning_rate\n50,,0.001\n")
    assert Metric.parse("val/loss < 0.1").evaluate(read_run(folder)) is None


def test_a_metric_that_is_no_number_is_none(tmp_path):
    finished = write_and_read_run(tmp_path)
    for value in (math.inf, math.nan, None):
        run = Run(folder=finished.folder, experiment=finished.experiment, result={"test": {"loss": value}}, timing={})
        assert Metric.parse("test/loss").evaluate(run) is None


@pytest.mark.parametrize(
    ("text", "expected", "counts_steps", "less_is_better"),
    [
        ("train/loss < 0.001", "steps until loss < 0.001 on a training batch", True, True),
        ("train/accuracy >= 1", "steps until accuracy >= 1 on a training batch", True, True),
        ("val/loss < 1, 3 times", "steps until loss < 1 on the validation set 3 times in a row", True, True),
        ("val/loss<1e-3", "steps until loss < 0.001 on the validation set", True, True),
        ("test/accuracy", "test accuracy", False, False),
        ("test/loss", "test loss", False, True),
        ("test/bits_per_character", "test bits per character", False, True),
    ],
)  # fmt: skip
def test_a_measure_in_words(text, expected, counts_steps, less_is_better):
    metric = Metric.parse(text)
    assert str(metric) == expected
    assert (metric.counts_steps, metric.less_is_better) == (counts_steps, less_is_better)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("loss < 0.001", "not 'loss < 0.001'"),
        ("train/loss < 0.001, 3 times", "a run records only the first training batch that meets a bound"),
        ("accuracy", "not 'accuracy'"),
    ],
)
def test_what_is_no_measure_is_refused(text, message):
    with pytest.raises(UserError, match=message):
        Metric.parse(text)

"""Settings at full scale, against numbers copied from the papers a second time."""

from functools import cache

import pytest

from analysis.papers import preset_files
from workbench.model import count_parameters
from workbench.resolve import resolve_task

RDA = {
    "rda-table-1": ("addition", {"length": 1000}),
    "rda-table-2": ("classify-length", {"length": 1000}),
    "rda-table-3": ("mnist", {"pool": 1}),
    "rda-table-4": ("mnist-permuted", {"pool": 1}),
    "rda-table-5": ("copy", {"length": 1000}),
    "rda-table-6": ("multicopy", {"copies": 50}),
}
RWA = {
    "rwa-addition-100": ("addition", 100),
    "rwa-addition-1000": ("addition", 1000),
    "rwa-copy-100": ("copy", 100),
    "rwa-copy-1000": ("copy", 1000),
    "rwa-length-100": ("classify-length", 100),
    "rwa-length-1000": ("classify-length", 1000),
}
TCN = {
    # Task, length, blocks, kernel, width, parameters.
    "tcn-addition-600": ("addition", 600, 8, 8, 24, 70_000),
    "tcn-mnist": ("mnist", None, 8, 7, 25, 70_000),
    "tcn-mnist-permuted": ("mnist-permuted", None, 8, 7, 25, 70_000),
    "tcn-copy-1000": ("copy-memory", 1000, 8, 8, 10, 16_000),
}


@cache
def full(name):
    return {run.architecture.name: run for run in preset_files.load_preset(name).experiments("full", 1)}


def parameters(run):
    return count_parameters(resolve_task(run.task.name, run.task.options)[1], run.architecture, run.embedding_size)


@pytest.mark.parametrize("name", RDA)
def test_the_rda_paper_section_6_1(name):
    task, options = RDA[name]
    runs = full(name)
    assert set(runs) == {"gru", "lstm", "rwa", "rda-exp-tanh", "rda-sigmoid-id"}
    for run in runs.values():
        optimization = run.optimization
        assert (run.task.name, {key: run.task.options[key] for key in options}) == (task, options)
        assert (run.architecture.options["hidden_size"], run.architecture.options["num_layers"]) == (250, 1)
        assert (run.budget.batch_size, optimization.optimizer, optimization.learning_rate) == (100, "adam", 0.001)
        assert (optimization.clip, optimization.clip_at, optimization.schedule, optimization.weight_decay) == (
            "value",
            1.0,
            "constant",
            0.0,
        )
    # 6.3: all could learn their initial hidden state for this task.
    if name == "rda-table-2":
        assert all(run.architecture.options["learn_initial_state"] for run in runs.values())


@pytest.mark.parametrize(
    ("name", "steps"),
    # As many as the tables know of: > 10000 of addition, > 20000 of copy, > 10000 of multicopy.
    [("rda-table-1", 10_000), ("rda-table-5", 20_000), ("rda-table-6", 10_000)],
)
def test_what_never_got_there_had_as_many_steps(name, steps):
    assert {run.budget.steps for run in full(name).values()} == {steps}


@pytest.mark.parametrize("name", RWA)
def test_the_rwa_authors_setting(name):
    task, length = RWA[name]
    for run in full(name).values():
        optimization, options = run.optimization, run.task.options
        assert (run.task.name, options["length"]) == (task, length)
        assert (run.architecture.options["hidden_size"], run.budget.batch_size) == (250, 100)
        assert (optimization.optimizer, optimization.learning_rate, optimization.clip) == ("adam", 0.001, "none")
        if task == "copy":
            assert options["items"] == 10
            assert run.budget.steps == 50_000
        # One test batch every 100 steps.
        if task != "classify-length":
            assert run.budget.log_every == 100
    assert full(name)["rwa"].architecture.options["learn_initial_state"] is True


@pytest.mark.parametrize("name", TCN)
def test_the_tcn_papers_settings(name):
    task, length, blocks, kernel, width, size = TCN[name]
    runs = full(name)
    assert set(runs) == {"lstm", "gru", "rnn", "tcn"}
    for run in runs.values():
        assert run.task.name == task
        assert run.task.options.get("length") == length
    options = runs["tcn"].architecture.options
    assert (options["num_layers"], options["kernel_size"], options["hidden_size"]) == (blocks, kernel, width)
    for solved in ("gru", "rnn"):
        assert parameters(runs[solved]) == pytest.approx(size, rel=0.01)
    for fixed in ("lstm", "tcn"):
        assert parameters(runs[fixed]) == pytest.approx(size, rel=0.2)
    if task == "copy-memory":
        assert runs["tcn"].task.options["items"] == 10
        optimization = runs["tcn"].optimization
        assert (optimization.optimizer, optimization.learning_rate, optimization.clip, optimization.clip_at) == (
            "rmsprop",
            0.0005,
            "norm",
            1.0,
        )
        assert options["dropout"] == 0.05


def test_the_tcn_papers_memory_at_equal_size():
    runs = preset_files.load_preset("tcn-memory-length").experiments("full", 1)
    assert {run.task.options["length"] for run in runs} >= {50, 200}
    assert {run.task.options["items"] for run in runs} == {10}
    for run in runs:
        assert parameters(run) == pytest.approx(10_000, rel=0.07)


def test_bits_a_position_are_nats():
    for name in ("rwa-copy-100", "rwa-copy-1000"):
        goals = [measure.goal for measure in preset_files.load_preset(name).measures if measure.goal is not None]
        # ln 2 times 0.001 and 0.01.
        assert [goal.criterion.bound for goal in goals] == pytest.approx([0.69314718e-3, 0.69314718e-2], rel=1e-6)
        assert {goal.times for goal in goals} == {3}

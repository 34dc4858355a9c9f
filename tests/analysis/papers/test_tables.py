"""Comparison tables: runs by architecture and variant, beside the figures of their sources."""

import dataclasses
import math

import pytest

from analysis.papers.tables import OurResult, build_tables, published_variants, sources_by_variant
from analysis.published_figures import catalogue_name
from tests.analysis.papers.known_tables import example_preset
from tests.analysis.report_runs import write_run
from workbench.config import Part
from workbench.errors import UserError
from workbench.results import read_run


def write_and_read_runs(out, experiments, **values):
    """Writes runs and reads them; each value of a run is a function of the experiment."""
    return [
        read_run(write_run(out, experiment, **{key: value(experiment) for key, value in values.items()}))
        for experiment in experiments
    ]


def test_every_run_is_in_the_line_of_its_architecture_by_seed(tmp_path):
    preset = example_preset(full={"seeds": 3})
    experiments = preset.experiments("full")
    steps = {("gru", 0): 101, ("gru", 1): 102, ("gru", 2): None, ("rwa", 0): 201, ("rwa", 1): 202, ("rwa", 2): 203}
    loss = {key: index / 100 + 0.01 for index, key in enumerate(steps)}
    # In another order than that of the experiments.
    runs = write_and_read_runs(
        tmp_path,
        reversed(experiments),
        solved_at=lambda each: steps[each.architecture.name, each.seed],
        loss=lambda each: loss[each.architecture.name, each.seed],
        trivial_loss=lambda each: 0.25,
    )
    first, second = build_tables(preset, "full", preset.plan("full"), runs)
    assert (str(first.metric), str(second.metric)) == ("steps until loss < 0.001 on a training batch", "test loss")
    assert {line.architecture: line.ours.values for line in first.rows} == {
        "gru": (101.0, 102.0),
        "rwa": (201.0, 202.0, 203.0),
    }
    assert {line.architecture: line.ours.values for line in second.rows} == {
        name: tuple(loss[name, seed] for seed in range(3)) for name in ("gru", "rwa")
    }
    for table in (first, second):
        assert [line.architecture for line in table.rows] == ["gru", "rwa"]
        assert [line.ours.seeds for line in table.rows] == [3, 3]
        assert [line.ours.budget for line in table.rows] == [20, 20]
        assert [[run.experiment.seed for run in line.runs] for line in table.rows] == [[0, 1, 2]] * 2
        assert (table.variant, table.source, table.trivial_loss) == ("", None, 0.25)


def test_a_run_that_is_missing_is_no_failure(tmp_path):
    preset = example_preset()
    experiments = preset.experiments("full")
    finished = [each for each in experiments if (each.architecture.name, each.seed) == ("rwa", 1)]
    (table, _) = build_tables(
        preset, "full", preset.plan("full"), write_and_read_runs(tmp_path, finished, solved_at=lambda each: 7)
    )
    gru, rwa = table.rows
    assert (gru.runs, gru.ours) == ((), OurResult(values=(), seeds=0, budget=20, answers=10))
    assert rwa.ours == OurResult(values=(7.0,), seeds=1, budget=20, answers=10, parameters=17000)
    assert not gru.ours.complete
    assert rwa.ours.complete
    empty, _ = build_tables(preset, "full", preset.plan("full"), [])
    assert [line.ours.seeds for line in empty.rows] == [0, 0]
    assert empty.trivial_loss is None


def test_a_run_of_another_configuration_is_none_of_the_table(tmp_path):
    preset = example_preset()
    experiments = preset.experiments("full")
    other = dataclasses.replace(experiments[0], budget=dataclasses.replace(experiments[0].budget, steps=21))
    (table, _) = build_tables(
        preset, "full", preset.plan("full"), write_and_read_runs(tmp_path, [other], solved_at=lambda each: 7)
    )
    assert [line.ours.seeds for line in table.rows] == [0, 0]


def test_a_diverged_run_is_a_seed_without_a_value(tmp_path):
    preset = example_preset(full={"architectures": ["gru"]})
    experiments = preset.experiments("full")
    runs = write_and_read_runs(
        tmp_path, experiments, loss=lambda each: None if each.seed else 0.5, solved_at=lambda each: None
    )
    steps, loss = build_tables(preset, "full", preset.plan("full"), runs)
    known = {"answers": 10, "parameters": 17000}
    assert steps.rows[0].ours == OurResult(values=(), seeds=2, budget=20, num_diverged=1, **known)
    assert loss.rows[0].ours == OurResult(values=(0.5,), seeds=2, budget=20, num_diverged=1, **known)
    assert math.isnan(steps.rows[0].ours.mean.mean)
    assert not loss.rows[0].ours.complete


def test_each_variant_has_a_table_of_its_own_measure_by_measure(tmp_path):
    preset = example_preset(
        full={"architectures": ["gru"], "over": {"length": [8, 6]}, "seeds": 1},
        small={"over": {"length": [5, 4]}, "steps": 10},
        measures=("test/loss", "train/loss < 0.001"),
    )
    experiments = preset.experiments("small")
    assert [each.task.options["length"] for each in experiments] == [5, 4]
    runs = write_and_read_runs(
        tmp_path,
        experiments,
        loss=lambda each: each.task.options["length"] / 10,
        solved_at=lambda each: each.task.options["length"],
        trivial_loss=lambda each: float(each.task.options["length"]),
    )
    results = [(str(each.metric)[:4], each.variant, each.rows[0].ours.values, each.trivial_loss)
             for each in build_tables(preset, "small", preset.plan("small"), runs)]  # fmt: skip
    assert results == [
        ("test", "length 5", (0.5,), 5.0),
        ("test", "length 4", (0.4,), 4.0),
        ("step", "length 5", (5.0,), 5.0),
        ("step", "length 4", (4.0,), 4.0),
    ]


def test_published_figures_are_those_of_the_papers_variant_by_measure_and_source():
    preset = example_preset(
        full={"architectures": ["rwa", "gru", "lstm"], "task": {"addition": {"length": 1000}}},
        small={"task": {"addition": {"length": 8}}, "steps": 5},
        sources=("RWA author's logs",),
        measures=("val/loss < 0.001, 3 times", "val/loss < 0.01, 3 times", "test/loss"),
    )
    tables = build_tables(preset, "small", preset.plan("small"), [])
    texts = [[line.published and line.published.text for line in each.rows] for each in tables]
    assert texts == [["2800", None, "19600"], ["1600", None, "16900"], [None, None, None]]
    assert [each.source and each.source.source for each in tables] == ["RWA author's logs"] * 2 + [None]
    # The same task as another paper has it is another source's.
    rda = example_preset(full=dict(preset.full), sources=("RDA paper, table 1",), measures=("train/loss < 0.001",))
    (table,) = build_tables(rda, "full", rda.plan("full"), [])
    assert [line.published and line.published.text for line in table.rows] == ["1735", "2036", "> 10000"]
    assert sources_by_variant(example_preset(sources=("RWA author's logs",))) == [[]]
    # Two papers have this one by the same measure.
    lengths = {"tasks": ["classify-length"], "architectures": ["rwa"], "task": {"classify-length": {"length": 1000}}}
    for source, figure in (("RDA paper, table 2", "133"), ("RWA author's logs", "102")):
        one = example_preset(full=lengths, sources=(source,), measures=("train/accuracy >= 1",))
        ((entry,),) = sources_by_variant(one)
        assert (entry.source, entry.figures["rwa"].text) == (source, figure)


def test_the_papers_variants_have_every_option_though_their_data_are_not_here(monkeypatch, tmp_path):
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))
    preset = example_preset(full={"tasks": ["text"], "task": {"text": {"file": "enwik8"}}})
    (part,) = published_variants(preset)
    assert (part.name, part.options) == ("text", {"file": "enwik8", "length": 250})
    over = example_preset(
        full={"tasks": ["copy-memory"], "task": {"copy-memory": {"items": 5}}, "over": {"length": [7, 9]}},
        small={"over": {"length": [2, 3]}},
    )
    assert [each.options for each in published_variants(over)] == [
        {"length": 7, "items": 5, "categories": 8},
        {"length": 9, "items": 5, "categories": 8},
    ]


def test_a_run_that_was_not_watched_for_the_measure_is_refused(tmp_path):
    preset = example_preset(measures=("train/loss < 0.5",))
    experiments = preset.experiments("full")
    with pytest.raises(UserError, match=r"did not record train/loss < 0\.5"):
        build_tables(preset, "full", preset.plan("full"), write_and_read_runs(tmp_path, experiments[:1]))


def test_rda_with_options_finds_the_figure_of_its_form():
    options = {"attention": "exp", "hidden": "identity", "output": "tanh"}
    assert catalogue_name(Part(name="rda", options=options)) == "rda-exp-tanh"
    preset = example_preset(
        full={"architectures": ["rda"], "architecture": {"rda": options}, "task": {"addition": {"length": 1000}}},
        sources=("RDA paper, table 1",),
        measures=("train/loss < 0.001",),
    )
    (table,) = build_tables(preset, "full", preset.plan("full"), [])
    figure = table.rows[0].published
    assert figure is not None
    assert figure.text == "1781"

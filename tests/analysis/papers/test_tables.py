"""Runs come to the line of their architecture, in the table of their variant, beside their own figures."""

import dataclasses
import math

import pytest

from analysis.papers.tables import OurResult, published_variants, sources, tables
from analysis.published import catalogue_name
from tests.analysis.papers.known_tables import preset
from tests.analysis.report_runs import write_run
from workbench.config import Part
from workbench.errors import UserError
from workbench.results import read


def finish(out, experiments, **known):
    """Writes runs; what is known of each is a function of the experiment."""
    return [read(write_run(out, each, **{key: value(each) for key, value in known.items()})) for each in experiments]


def test_every_run_is_in_the_line_of_its_architecture_by_seed(tmp_path):
    made = preset(full={"seeds": 3})
    asked = made.experiments("full")
    steps = {("gru", 0): 101, ("gru", 1): 102, ("gru", 2): None, ("rwa", 0): 201, ("rwa", 1): 202, ("rwa", 2): 203}
    loss = {key: index / 100 + 0.01 for index, key in enumerate(steps)}
    # In another order than they were asked for.
    runs = finish(
        tmp_path,
        reversed(asked),
        solved_at=lambda each: steps[each.architecture.name, each.seed],
        loss=lambda each: loss[each.architecture.name, each.seed],
        trivial_loss=lambda each: 0.25,
    )
    first, second = tables(made, "full", asked, runs)
    assert (str(first.measure), str(second.measure)) == ("steps until loss < 0.001 on a training batch", "test loss")
    assert {line.architecture: line.ours.values for line in first.lines} == {
        "gru": (101.0, 102.0),
        "rwa": (201.0, 202.0, 203.0),
    }
    assert {line.architecture: line.ours.values for line in second.lines} == {
        name: tuple(loss[name, seed] for seed in range(3)) for name in ("gru", "rwa")
    }
    for made_table in (first, second):
        assert [line.architecture for line in made_table.lines] == ["gru", "rwa"]
        assert [line.ours.seeds for line in made_table.lines] == [3, 3]
        assert [line.ours.budget for line in made_table.lines] == [20, 20]
        assert [[run.experiment.seed for run in line.runs] for line in made_table.lines] == [[0, 1, 2]] * 2
        assert (made_table.variant, made_table.source, made_table.trivial_loss) == ("", None, 0.25)


def test_a_run_that_is_missing_is_no_failure(tmp_path):
    made = preset()
    asked = made.experiments("full")
    there = [each for each in asked if (each.architecture.name, each.seed) == ("rwa", 1)]
    (table, _) = tables(made, "full", asked, finish(tmp_path, there, solved_at=lambda each: 7))
    gru, rwa = table.lines
    assert (gru.runs, gru.ours) == ((), OurResult(values=(), seeds=0, budget=20))
    assert rwa.ours == OurResult(values=(7.0,), seeds=1, budget=20)
    assert not gru.ours.complete
    assert rwa.ours.complete
    empty, _ = tables(made, "full", asked, [])
    assert [line.ours.seeds for line in empty.lines] == [0, 0]
    assert empty.trivial_loss is None


def test_a_run_of_another_configuration_is_none_of_the_table(tmp_path):
    made = preset()
    asked = made.experiments("full")
    other = dataclasses.replace(asked[0], budget=dataclasses.replace(asked[0].budget, steps=21))
    (table, _) = tables(made, "full", asked, finish(tmp_path, [other], solved_at=lambda each: 7))
    assert [line.ours.seeds for line in table.lines] == [0, 0]


def test_a_diverged_run_is_a_seed_without_a_value(tmp_path):
    made = preset(full={"architectures": ["gru"]})
    asked = made.experiments("full")
    runs = finish(tmp_path, asked, loss=lambda each: None if each.seed else 0.5, solved_at=lambda each: None)
    steps, loss = tables(made, "full", asked, runs)
    assert steps.lines[0].ours == OurResult(values=(), seeds=2, budget=20, diverged=1)
    assert loss.lines[0].ours == OurResult(values=(0.5,), seeds=2, budget=20, diverged=1)
    assert math.isnan(steps.lines[0].ours.mean.mean)
    assert not loss.lines[0].ours.complete


def test_each_variant_has_a_table_of_its_own_measure_by_measure(tmp_path):
    made = preset(
        full={"architectures": ["gru"], "over": {"length": [8, 6]}, "seeds": 1},
        small={"over": {"length": [5, 4]}, "steps": 10},
        measures=("test/loss", "train/loss < 0.001"),
    )
    asked = made.experiments("small")
    assert [each.task.options["length"] for each in asked] == [5, 4]
    runs = finish(
        tmp_path,
        asked,
        loss=lambda each: each.task.options["length"] / 10,
        solved_at=lambda each: each.task.options["length"],
        trivial_loss=lambda each: float(each.task.options["length"]),
    )
    found = [(str(each.measure)[:4], each.variant, each.lines[0].ours.values, each.trivial_loss)
             for each in tables(made, "small", asked, runs)]  # fmt: skip
    assert found == [
        ("test", "length 5", (0.5,), 5.0),
        ("test", "length 4", (0.4,), 4.0),
        ("step", "length 5", (5.0,), 5.0),
        ("step", "length 4", (4.0,), 4.0),
    ]


def test_published_figures_are_those_of_the_papers_variant_by_measure_and_source():
    made = preset(
        full={"architectures": ["rwa", "gru", "lstm"], "task": {"addition": {"length": 1000}}},
        small={"task": {"addition": {"length": 8}}, "steps": 5},
        sources=("RWA author's logs",),
        measures=("val/loss < 0.001, 3 times", "val/loss < 0.01, 3 times", "test/loss"),
    )
    found = tables(made, "small", made.experiments("small"), [])
    texts = [[line.published and line.published.text for line in each.lines] for each in found]
    assert texts == [["2600", None, "19400"], ["1400", None, "16700"], [None, None, None]]
    assert [each.source and each.source.source for each in found] == ["RWA author's logs"] * 2 + [None]
    # The same task as another paper has it is another source's.
    rda = preset(full=dict(made.full), sources=("RDA paper, table 1",), measures=("train/loss < 0.001",))
    (table,) = tables(rda, "full", rda.experiments("full"), [])
    assert [line.published and line.published.text for line in table.lines] == ["1735", "2036", "> 10000"]
    assert sources(preset(sources=("RWA author's logs",))) == [[]]
    # Two papers have this one by the same measure.
    lengths = {"tasks": ["classify-length"], "architectures": ["rwa"], "task": {"classify-length": {"length": 1000}}}
    for source, figure in (("RDA paper, table 2", "133"), ("RWA author's logs", "101")):
        one = preset(full=lengths, sources=(source,), measures=("train/accuracy >= 1",))
        ((entry,),) = sources(one)
        assert (entry.source, entry.figures["rwa"].text) == (source, figure)


def test_the_papers_variants_have_every_option_though_their_data_are_not_here(monkeypatch, tmp_path):
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))
    made = preset(full={"tasks": ["text"], "task": {"text": {"file": "enwik8"}}})
    (part,) = published_variants(made)
    assert (part.name, part.options) == ("text", {"file": "enwik8", "length": 250})
    over = preset(
        full={"tasks": ["copy-memory"], "task": {"copy-memory": {"items": 5}}, "over": {"length": [7, 9]}},
        small={"over": {"length": [2, 3]}},
    )
    assert [each.options for each in published_variants(over)] == [
        {"length": 7, "items": 5, "categories": 8},
        {"length": 9, "items": 5, "categories": 8},
    ]


def test_a_run_that_was_not_watched_for_the_measure_is_refused(tmp_path):
    made = preset(measures=("train/loss < 0.5",))
    asked = made.experiments("full")
    with pytest.raises(UserError, match=r"was not watched for train/loss < 0\.5"):
        tables(made, "full", asked, finish(tmp_path, asked[:1]))


def test_rda_with_options_finds_the_figure_of_its_form():
    options = {"attention": "exp", "hidden": "identity", "output": "tanh"}
    assert catalogue_name(Part(name="rda", options=options)) == "rda-exp-tanh"
    made = preset(
        full={"architectures": ["rda"], "architecture": {"rda": options}, "task": {"addition": {"length": 1000}}},
        sources=("RDA paper, table 1",),
        measures=("train/loss < 0.001",),
    )
    (table,) = tables(made, "full", made.experiments("full"), [])
    figure = table.lines[0].published
    assert figure is not None
    assert figure.text == "1781"

"""All presets: they can be run, and their metrics are defined for their tasks."""

from functools import cache

import pytest
import torch

import architectures
from analysis.papers import preset_files
from analysis.style import family
from tests.analysis.papers.resolved_presets import OF_NO_PAPER, TABLES, WITH_DATA, experiments, plan, variants
from workbench.errors import UserError
from workbench.model import meta_model
from workbench.resolve import resolve_architecture, resolve_task
from workbench.stopping import Goal

every_table = pytest.mark.parametrize("name", TABLES)
every_table_at_each_scale = pytest.mark.parametrize(
    ("name", "scale"),
    [pytest.param(name, "full", marks=pytest.mark.slow) for name in WITH_DATA]
    + [(name, scale) for name in TABLES for scale in ("long", "small")],
)


@pytest.fixture(autouse=True)
def data(without_enwik8):
    """Selects the available data."""


@cache
def task_of(name, scale, index=0):
    first = experiments(name, scale)[index].task
    return resolve_task(first.name, first.options)[1]


def metrics(task):
    """Returns the names of a task's metrics, by an answer of zeros."""
    batch = task.train(0, 4, 0, torch.device("cpu"))
    shape = (*batch.x.shape[:2], task.output_size) if task.readout == "every" else (len(batch.x), task.output_size)
    names = {"loss", *task.metrics(torch.zeros(shape), batch)}
    return names if task.prompt is None else names | {f"free_{name}" for name in names - {"loss"}}


def test_they_are_in_the_order_of_their_tables():
    names = preset_files.preset_names()
    assert len(names) == len(set(names)) == 34
    assert names.index("rwa-copy-100") < names.index("rwa-copy-1000")
    assert [name for name in names if name.startswith("rda-table")] == [f"rda-table-{n}" for n in range(1, 8)]


@every_table_at_each_scale
def test_each_architecture_has_each_seed_on_each_variant_seed_by_seed(name, scale):
    planned, settings = experiments(name, scale), preset_files.load_preset(name).settings(scale)
    runs = [(run.experiment.seed, run.experiment.task.options.get("length"), run.row) for run in plan(name, scale)]
    lengths = settings.get("over", {}).get("length") or [planned[0].task.options.get("length")]
    assert runs == [
        (seed, length, architecture)
        for seed in range(settings["seeds"])
        for length in lengths
        for architecture in settings["architectures"]
    ]
    assert len({(run.identity, run.seed) for run in planned}) == len(planned)
    assert {run.budget.steps for run in planned} == {settings["steps"]}
    assert all(run.budget.steps % run.budget.log_every == 0 for run in planned)


@pytest.mark.parametrize("name", WITH_DATA)
def test_the_small_scale_is_another_and_smaller(name):
    full, small = experiments(name, "full"), experiments(name, "small")
    assert {run.identity for run in full}.isdisjoint(run.identity for run in small)
    assert len(variants(name, "full")) == len(variants(name, "small"))
    for index in range(len(variants(name, "full"))):
        architectures_there = len(preset_files.load_preset(name).settings("full")["architectures"])
        full_task, small_task = (task_of(name, scale, index * architectures_there) for scale in ("full", "small"))
        assert small_task.steps < full_task.steps
    assert small[0].budget.steps <= full[0].budget.steps
    assert small[0].budget.batch_size <= full[0].budget.batch_size


@pytest.mark.parametrize("name", WITH_DATA)
def test_the_long_scale_has_the_papers_tasks_and_criteria_and_narrower_models(name):
    loaded = preset_files.load_preset(name)
    full, long = experiments(name, "full"), experiments(name, "long")
    assert variants(name, "long") == variants(name, "full")
    assert {run.budget.until for run in long} == {run.budget.until for run in full}
    assert [run.architecture.name for run in long if run.seed == 0] == [
        run.architecture.name for run in full if run.seed == 0
    ]
    if name not in OF_NO_PAPER:
        assert loaded.settings("long")["seeds"] == (3 if "mnist" in full[0].task.name else 10)
        assert loaded.settings("small")["seeds"] == 5
    # Fewer say nothing.
    assert all(loaded.settings(scale)["seeds"] >= 3 for scale in ("full", "long", "small"))
    assert {run.budget.batch_size for run in long} == {20}
    widths = {run.architecture.options["hidden_size"] for run in long}
    match = loaded.settings("long").get("match")
    if match == "parameters":
        assert loaded.settings("long")["parameters"] <= 16_000
    elif match == "state":
        assert name in OF_NO_PAPER or loaded.settings("long")["state_size"] <= 512
    else:
        assert widths == {64}


@pytest.mark.parametrize(("name", "of_one"), [("rda-table-1", 5), ("tcn-memory-length", 16), ("tcn-mnist", 4)])
def test_a_number_of_seeds_may_be_asked_for(name, of_one):
    loaded = preset_files.load_preset(name)
    for seeds in (1, 2):
        planned = loaded.experiments("small", seeds)
        assert [run.seed for run in planned] == [seed for seed in range(seeds) for _ in range(of_one)]
        # The same runs: more seeds go on where fewer were.
        assert {(run.identity, run.seed) for run in planned} == {
            (run.identity, run.seed) for run in experiments(name, "small") if run.seed < seeds
        }


def test_enwik8_that_is_not_there_is_one_line_with_its_name_and_the_small_scale_runs_without(tmp_path):
    with pytest.raises(UserError, match="enwik8 is not there and cannot be downloaded") as refused:
        preset_files.load_preset("rda-table-7").experiments("full")
    assert "\n" not in str(refused.value)
    small = experiments("rda-table-7", "small")
    assert {run.task.options["file"] for run in small} == {"tinyshakespeare.txt"}
    assert {run.embedding_size for run in small} == {16}


def test_with_its_text_the_papers_scale_is_the_papers(monkeypatch, data_folder):
    monkeypatch.setenv("WORKBENCH_DATA", str(data_folder))
    planned = preset_files.load_preset("rda-table-7").experiments("full")
    assert len(planned) == 15
    assert {(run.embedding_size, run.architecture.options["hidden_size"]) for run in planned} == {(64, 1800)}
    assert {(run.task.options["file"], run.task.options["length"]) for run in planned} == {("enwik8", 250)}


def test_characters_are_read_by_every_family_as_far_as_it_does_not_look_ahead():
    task = task_of("rda-table-7", "small")
    causal = set()
    for name in architectures.names():
        part = resolve_architecture(name, {}, task, hidden_size=8)
        if meta_model(task, part, None).encoder.causal:
            causal.add(name)
    compared = {run.architecture.name for run in experiments("rda-table-7", "small")}
    assert compared < causal
    assert {family(name) for name in compared} == {family(name) for name in causal}


@every_table
def test_every_measure_is_of_a_metric_that_the_task_has_and_of_what_is_watched(name):
    loaded = preset_files.load_preset(name)
    task, names = task_of(name, "small"), metrics(task_of(name, "small"))
    assert len(set(loaded.measures)) == len(loaded.measures) > 0
    for metric in loaded.measures:
        if metric.goal is None:
            assert metric.text.removeprefix("test/") in names
        elif metric.goal.split == "train":
            assert metric.goal.criterion == task.solved
        else:
            assert metric.goal.criterion.metric in names


@every_table_at_each_scale
def test_no_run_ends_before_what_is_counted_can_be_reached(name, scale):
    loaded, budget = preset_files.load_preset(name), experiments(name, scale)[0].budget
    end = Goal.for_task(budget.until, task_of(name, scale))
    for goal in (metric.goal for metric in loaded.measures if metric.goal is not None and end is not None):
        assert end is not None
        assert (goal.split, goal.criterion.metric, goal.criterion.above) == (
            end.split,
            end.criterion.metric,
            end.criterion.above,
        )
        assert goal.times <= end.times
        gap = end.criterion.bound - goal.criterion.bound
        assert gap >= 0 if goal.criterion.above else gap <= 0


@pytest.mark.parametrize("name", [name for name in preset_files.preset_names() if preset_files.load_preset(name).of])
def test_a_figure_is_made_of_other_tables_runs(name):
    loaded = preset_files.load_preset(name)
    assert set(loaded.of) <= set(TABLES)
    assert (loaded.full, loaded.long, loaded.small, loaded.measures) == ({}, {}, {}, ())
    runs = [run.identity + str(run.seed) for part in loaded.of for run in experiments(part, "small")]
    assert len(set(runs)) == len(runs)


@pytest.mark.parametrize("scale", ["full", "long", "small"])
def test_films_are_remembered_in_as_many_numbers_by_models_that_can_put_a_frame_out(scale):
    for run in experiments("stills-memory", scale):
        task = resolve_task(run.task.name, run.task.options)[1]
        encoder = meta_model(task, run.architecture, None).encoder
        # A read-out of fewer units cannot put out as many independent numbers.
        assert encoder.output_size >= task.output_size
        state = encoder.state_size(task.steps)
        assert state is not None
        assert state == pytest.approx(preset_files.load_preset("stills-memory").settings(scale)["state_size"], rel=0.05)

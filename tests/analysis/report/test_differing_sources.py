"""Parts of the report on runs whose task has other code or data, which are not compared with each other."""

from dataclasses import replace
from pathlib import Path

import pytest

from analysis.grouping import build_sections
from analysis.probes.aggregate import metric_table
from analysis.probes.records import ProbeRecord
from analysis.probes.result import Metric, ProbeResult
from analysis.report import ranking, tables
from analysis.report.blocks import Heading
from analysis.report.build import report_title
from analysis.report.summary import headline
from analysis.report.tuning.tables import trials_table
from analysis.run_tables import comparison_table
from tests.analysis.report_runs import experiment, write_run
from tests.analysis.tuning_studies import SETTINGS, study, trial
from workbench.config import Experiment
from workbench.results import Run, finished_runs

OLD, NEW = "a1b2c3d4e5f6", "0f9e8d7c6b5a"
TITLES = ["mnist, data 0f9e8d7", "mnist, data a1b2c3d"]


def on_mnist(architecture: str, source: str | None, seed: int = 0) -> Experiment:
    """Returns an experiment on MNIST, whose images have a hash unless they are the published ones."""
    plain = experiment(architecture, task="mnist", task_options={}, seed=seed)
    return replace(plain, task=replace(plain.task, source=source))


@pytest.fixture(name="runs")
def fixture_runs(tmp_path: Path) -> list[Run]:
    """The lstm is better on the old images, the gru on the new ones."""
    losses = {("lstm", OLD): 0.1, ("gru", OLD): 0.2, ("lstm", NEW): 0.04, ("gru", NEW): 0.03}
    for (architecture, source), loss in losses.items():
        for seed in range(3):
            write_run(tmp_path, on_mnist(architecture, source, seed), loss=loss + 0.001 * seed)
    return list(finished_runs(tmp_path))


def test_each_has_its_own_winner(runs: list[Run]) -> None:
    sections = build_sections(runs)
    assert [section.title for section in sections] == TITLES
    firsts = [headline(section).partition(": ")[2].partition(" ")[0] for section in sections]
    assert firsts == ["gru", "lstm"]


def test_rankings_are_told_apart(runs: list[Run]) -> None:
    chapter = ranking.chapter(build_sections(runs), {})
    assert [block.text for block in chapter.blocks if isinstance(block, Heading)] == TITLES


def test_the_table_of_all_runs_has_the_sources(runs: list[Run]) -> None:
    table = comparison_table(runs)
    counts = table.groupby(["task", "task_options", "task_source"]).size()
    assert counts.to_dict() == {("mnist", "{}", OLD): 6, ("mnist", "{}", NEW): 6}
    assert table["architecture_source"].isna().all()


def test_the_tables_of_probes_and_of_trials_have_the_sources(runs: list[Run]) -> None:
    metric = Metric(value=1.0, unit="steps", what="how far")
    records = {
        run.folder: {
            "memory_length": ProbeRecord(settings={}, weights="", result=ProbeResult(metrics={"horizon": metric}))
        }
        for run in runs
    }
    table = metric_table(runs, records)
    assert table.groupby(["architecture", "task_source"]).size().to_dict() == {
        (architecture, source): 3 for architecture in ("gru", "lstm") for source in (NEW, OLD)
    }
    task = {"name": "mnist", "options": {}, "source": OLD}
    custom = study("leaky:Leaky", trials=[trial(0, 0.5)], settings={"task": task, "source": NEW})
    trials = trials_table([custom, study("gru", trials=[trial(0, 0.5)])])
    assert trials["task_source"].tolist()[0] == OLD
    assert trials["architecture_source"].tolist()[0] == NEW
    assert trials[["task_source", "architecture_source"]].iloc[1].isna().all()


def test_the_table_names_custom_code(tmp_path: Path) -> None:
    plain = experiment("leaky:Leaky")
    write_run(tmp_path, replace(plain, architecture=replace(plain.architecture, source=OLD)))
    write_run(tmp_path, experiment("gru"))
    table = comparison_table(list(finished_runs(tmp_path)))
    sources = table.set_index("architecture")["architecture_source"].dropna()
    assert sources.to_dict() == {"leaky:Leaky": OLD}


@pytest.mark.parametrize(("source", "published"), [(None, True), (OLD, False)])
def test_published_figures_are_those_of_the_published_data(tmp_path: Path, source: str | None, published: bool) -> None:
    run = on_mnist("lstm", source)
    write_run(tmp_path, replace(run, task=replace(run.task, name="addition", options={"length": 1000})))
    (section,) = build_sections(finished_runs(tmp_path))
    assert (tables.published_table(section) is not None) is published
    headings = [column.heading for column in tables.results_table(section).columns]
    assert ("published" in headings) is published


def test_the_title_counts_a_task_once(runs: list[Run]) -> None:
    settings = {**SETTINGS, "task": {"name": "mnist", "options": {}, "source": OLD}}
    studies = [
        study("lstm", task="mnist", task_options={}, settings=settings),
        study("gru", task="copy", task_options={"length": 20}),
    ]
    assert report_title(build_sections(runs, studies), studies) == "2 architectures on 3 tasks"

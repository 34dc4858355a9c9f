"""Sources of presets: each is compared with its own source, completely."""

import pytest

from analysis.papers import preset_files
from analysis.papers.tables import build_tables
from analysis.presets.metric import Metric
from analysis.presets.preset import Scale
from analysis.published_figures import PUBLISHED
from tests.analysis.papers.resolved_presets import OF_NO_PAPER, TABLES, WITH_DATA, plan, variants

SILENT = ("tcn-addition-200", "tcn-addition-400", "tcn-copy-500", "tcn-copy-2000")
"""Presets of tables that the paper only plots."""


@pytest.fixture(autouse=True)
def data(without_enwik8):
    """Selects the available data."""


@pytest.mark.parametrize("name", [name for name in TABLES if name not in OF_NO_PAPER])
def test_what_is_compared_with_is_published_of_the_same_task_by_the_same_measure(name):
    loaded = preset_files.load_preset(name)
    assert loaded.sources
    assert set(loaded.sources) <= {entry.source for entry in PUBLISHED}
    scale: Scale = "full" if name in WITH_DATA else "small"
    compared = build_tables(loaded, scale, plan(name, scale), [])
    parts = variants(name, "full") if name in WITH_DATA else []
    entries = [
        [entry for entry in PUBLISHED if entry.matches(part) and entry.source in loaded.sources] for part in parts
    ]
    texts = [metric.text for metric in loaded.measures]
    for matching in entries:
        for entry in matching:
            # No figure of the source is left out, and no architecture.
            assert entry.of in texts, entry
            assert set(entry.figures) <= set(loaded.settings("full")["architectures"])
    if parts:
        expected = [
            next((entry for entry in matching if entry.of == text), None) for text in texts for matching in entries
        ]
        assert [table.source for table in compared] == expected
    sourced = [table for table in compared if table.source is not None]
    assert bool(sourced) == (name not in SILENT)
    assert any("prints no numbers" in sentence for sentence in loaded.unlike) == (name in SILENT)
    for table in sourced:
        figures = {line.architecture: line.published for line in table.rows if line.published is not None}
        assert table.source is not None
        assert figures == dict(table.source.figures)


def test_the_first_measure_of_a_table_has_figures():
    for name in set(WITH_DATA) - {*SILENT, *OF_NO_PAPER}:
        loaded = preset_files.load_preset(name)
        compared = build_tables(loaded, "full", plan(name, "full"), [])
        assert any(table.source for table in compared if table.metric == loaded.measures[0]), name


@pytest.mark.parametrize("name", OF_NO_PAPER)
def test_what_no_paper_has_is_compared_with_nothing(name):
    loaded = preset_files.load_preset(name)
    assert loaded.sources == ()
    assert all(
        row.published is None for table in build_tables(loaded, "full", plan(name, "full"), []) for row in table.rows
    )


@pytest.mark.parametrize("entry", PUBLISHED, ids=lambda entry: f"{entry.task} {entry.source} {entry.of}")
def test_every_entry_says_what_it_counts_in_the_one_way_to_write_it(entry):
    metric = Metric.parse(entry.of)
    assert metric.text == entry.of
    assert ("steps until" in entry.measure) == metric.counts_steps

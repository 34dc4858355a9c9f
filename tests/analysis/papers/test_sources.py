"""Every preset is compared with its own source, and leaves nothing of it out."""

import pytest

from analysis.papers import preset
from analysis.papers.metric import Metric
from analysis.papers.preset import Scale
from analysis.papers.tables import tables
from analysis.published import PUBLISHED
from tests.analysis.papers.resolved_presets import HERE, TABLES, experiments, variants

SILENT = ("tcn-addition-200", "tcn-addition-400", "tcn-copy-500", "tcn-copy-2000")
"""Tables of curves only."""


@pytest.fixture(autouse=True)
def data(without_enwik8):
    """What is there."""


@pytest.mark.parametrize("name", TABLES)
def test_what_is_compared_with_is_published_of_the_same_task_by_the_same_measure(name):
    made = preset.load(name)
    assert made.sources
    assert set(made.sources) <= {entry.source for entry in PUBLISHED}
    scale: Scale = "full" if name in HERE else "small"
    found = tables(made, scale, list(experiments(name, scale)), [])
    parts = variants(name, "full") if name in HERE else []
    known = [[entry for entry in PUBLISHED if entry.matches(part) and entry.source in made.sources] for part in parts]
    texts = [measure.text for measure in made.measures]
    for matching in known:
        for entry in matching:
            # No figure of the source is left out, and no architecture.
            assert entry.of in texts, entry
            assert set(entry.figures) <= set(made.settings("full")["architectures"])
    if parts:
        expected = [
            next((entry for entry in matching if entry.of == text), None) for text in texts for matching in known
        ]
        assert [each.source for each in found] == expected
    sourced = [each for each in found if each.source is not None]
    assert bool(sourced) == (name not in SILENT)
    assert any("prints no numbers" in said for said in made.unlike) == (name in SILENT)
    for each_table in sourced:
        figures = {line.architecture: line.published for line in each_table.lines if line.published is not None}
        assert each_table.source is not None
        assert figures == dict(each_table.source.figures)


def test_the_first_measure_of_a_table_has_figures():
    for name in set(HERE) - set(SILENT):
        made = preset.load(name)
        found = tables(made, "full", list(experiments(name, "full")), [])
        assert any(each.source for each in found if each.measure == made.measures[0]), name


@pytest.mark.parametrize("entry", PUBLISHED, ids=lambda entry: f"{entry.task} {entry.source} {entry.of}")
def test_every_entry_says_what_it_counts_in_the_one_way_to_write_it(entry):
    measure = Metric.read(entry.of)
    assert measure.text == entry.of
    assert ("steps until" in entry.measure) == measure.counts_steps

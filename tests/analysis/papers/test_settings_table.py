"""Tables of settings, and the factors between the two scales."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.formatting import ABSENT
from analysis.papers.settings_table import describe_factor, describe_reductions, settings_table
from tests.analysis.papers.known_tables import example_preset


@pytest.mark.parametrize(
    ("paper", "here", "expected"),
    [
        (1000, 50, "1/20"),
        (250, 64, "1/3.91"),
        (20, 30, "1.5"),
        (0.001, 0.003, "3"),
        (0.002, 0.001, "1/2"),
        (5, 5, ""),
        (0, 5, ""),
        (5, 0, ""),
        (None, 5, ""),
        (5, None, ""),
        (True, 5, ""),
        ("adam", "sgd", ""),
        ([10], [2], ""),
    ],
)
def test_a_factor_is_that_of_two_numbers_that_differ(paper, here, expected):
    assert describe_factor(paper, here) == expected


@given(st.integers(1, 900), st.integers(1, 900))
def test_the_factor_leads_back_from_ours_to_theirs(paper, here):
    text = describe_factor(paper, here)
    if paper == here:
        assert text == ""
    else:
        factor = 1 / float(text[2:]) if text.startswith("1/") else float(text)
        # Three digits.
        assert paper * factor == pytest.approx(here, rel=0.005)


SMALL = {
    "hidden_size": 2,
    "steps": 60,
    "seeds": 1,
    "log_every": 1,
    "match": "parameters",
    "parameters": 5000,
    "task": {"addition": {"length": 4}},
    "each": {"gru": {"clip": "none"}},
}


def test_what_the_small_scale_has_otherwise_in_a_sentence():
    assert describe_reductions(example_preset(small=SMALL), "small") == (
        "hidden size 2 instead of 5 (1/2.5); steps 60 instead of 20 (3); length 4 instead of 8 (1/2); "
        "parameters 5000 for all"
    )
    assert describe_reductions(example_preset(), "long") == ""


def table_cells(table):
    """Returns the cells of a Markdown table, by the first cell of each line."""
    lines = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in table.splitlines()]
    return {line[0]: line[1:] for line in lines[2:]}


def test_all_settings_stand_beside_the_papers():
    preset = example_preset(small=SMALL, full={"each": {"rwa": {"clip": "norm"}}, "over": {"items": [1, 2]}})
    small = table_cells(settings_table(preset, "small"))
    assert small["hidden\\_size"] == ["5", "2", "1/2.5"]
    assert small["steps"] == ["20", "60", "3"]
    assert small["task.addition.length"] == ["8", "4", "1/2"]
    assert small["batch\\_size"][:2] == ["4", "4"]
    assert small["parameters"][:2] == [ABSENT, "5000"]
    # Where one of them does not name it, what all have holds, and that is the default here.
    assert small["each.gru.clip"][:2] == ["value", "none"]
    # The settings of single architectures in the paper's setting do not apply to ours.
    assert small["each.rwa.clip"][:2] == ["norm", "value"]
    clipped = table_cells(settings_table(example_preset(small=SMALL, full={"clip": "norm"}), "small"))
    assert clipped["each.gru.clip"][:2] == ["norm", "none"]
    assert small["over.items"][:2] == ["\\[1, 2\\]"] * 2
    full = table_cells(settings_table(preset, "full"))
    assert full["hidden\\_size"] == ["5"]
    assert full["each.rwa.clip"] == ["norm"]
    assert "parameters" not in full
    assert [small["seeds"][:2], full["seeds"]] == [[ABSENT, "1"], ["2"]]
    assert table_cells(settings_table(preset, "small", seeds=5))["seeds"] == [ABSENT, "5"]
    assert table_cells(settings_table(preset, "full", seeds=5))["seeds"] == ["5"]
    assert set(small) - set(full) == {"match", "parameters", "each.gru.clip"}

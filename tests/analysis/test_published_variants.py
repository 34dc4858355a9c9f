"""Published sources: found for exactly their variant of a task, and valid."""

from typing import Any

import pytest

from analysis.published_figures import PUBLISHED, catalogue_name, find_published
from analysis.style import LINE_STYLES
from workbench.config import Part
from workbench.tasks.catalogue import build
from workbench.tasks.catalogue import options as option_names


def figures(name: str, architecture: str, **options: Any) -> list[str]:
    """Returns the published figures of an architecture on a task."""
    sources = find_published(Part(name=name, options=options))
    return [str(source.figures[architecture]) for source in sources if architecture in source.figures]


@pytest.mark.parametrize(
    ("task", "options", "architecture", "expected"),
    [
        ("addition", {"length": 1000}, "rwa", ["1,735", "1,600", "2,800"]),
        ("addition", {"length": 1000}, "lstm", ["> 10,000", "16,900", "19,600"]),
        ("addition", {"length": 1000}, "gru", ["2,036"]),
        ("addition", {"length": 100}, "rwa", ["1,000", "2,100"]),
        ("addition", {"length": 600}, "tcn", ["5.8 \u00d7 10⁻⁵"]),
        ("addition", {"length": 200}, "rwa", []),
        ("classify-length", {"length": 1000, "elements": "normal"}, "rda-exp-tanh", ["164"]),
        ("classify-length", {"length": 1000, "elements": "normal"}, "lstm", ["776"]),
        ("classify-length", {"length": 1000, "elements": "uniform"}, "lstm", ["776", "2,006"]),
        ("classify-length", {"length": 100, "elements": "uniform"}, "lstm", ["10"]),
        ("classify-length", {"length": 100, "elements": "normal"}, "lstm", []),
        ("classify-length", {"length": 100, "elements": "uniform"}, "rda-exp-tanh", []),
        ("mnist", {"pool": 1}, "lstm", ["0.114", "99.0 %", "87.2 %"]),
        ("mnist", {"pool": 2}, "lstm", []),
        ("mnist-permuted", {"pool": 1, "order": 7}, "tcn", ["97.2 %"]),
        ("text", {"file": "enwik8", "length": 250}, "rwa", ["5.067"]),
        ("text", {"file": "other.txt", "length": 250}, "rwa", []),
        ("copy-memory", {"length": 200, "items": 10, "categories": 8}, "gru", ["< 0.2"]),
        ("copy", {"length": 1000, "items": 10, "categories": 8}, "rwa", ["5,660"]),
        ("copy", {"length": 1000, "items": 10, "categories": 7}, "rwa", ["5,660", "8,800", "14,200"]),
        ("copy", {"length": 100, "items": 10, "categories": 7}, "lstm", ["24,100", "32,400"]),
        ("copy", {"length": 100, "items": 10, "categories": 8}, "lstm", []),
        ("copy", {"length": 1000, "items": 5, "categories": 7}, "rwa", []),
        ("copy-memory", {"length": 1000, "items": 10, "categories": 8}, "tcn", ["3.5 \u00d7 10⁻⁵"]),
        ("copy-memory", {"length": 500, "items": 10, "categories": 8}, "tcn", []),
        ("multicopy", {"copies": 50, "items": 8, "gap": 3, "categories": 8}, "rwa", ["> 10,000"]),
        ("multicopy", {"copies": 5, "items": 8, "gap": 3, "categories": 8}, "rwa", []),
        # An option that no source knows of makes another variant.
        ("addition", {"length": 1000, "noise": 0.1}, "rwa", []),
        ("alternation", {}, "rwa", []),
    ],
)
def test_only_the_same_variant(task: str, options: dict[str, Any], architecture: str, expected: list[str]) -> None:
    assert figures(task, architecture, **options) == expected


@pytest.mark.parametrize("entry", PUBLISHED, ids=lambda entry: f"{entry.task} {entry.source}")
def test_every_entry_names_a_task_as_it_is_and_architectures_that_there_are(entry: Any) -> None:
    task = build(entry.task, **entry.options)
    options = {name: getattr(task, name) for name in option_names(entry.task)}
    assert entry.matches(Part(name=entry.task, options=options))
    assert set(entry.figures) <= set(LINE_STYLES)
    assert entry.source
    assert entry.reference
    assert entry.measure
    assert entry.setting


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"attention": "exp", "hidden": "identity", "output": "tanh"}, "rda-exp-tanh"),
        ({"attention": "sigmoid", "hidden": "identity", "output": "identity"}, "rda-sigmoid-id"),
        ({"attention": "exp", "hidden": "tanh", "output": "tanh"}, "rda"),
        ({}, "rda"),
    ],
)
def test_rda_with_the_papers_options_is_the_papers(options: dict[str, str], name: str) -> None:
    assert catalogue_name(Part(name="rda", options=options)) == name

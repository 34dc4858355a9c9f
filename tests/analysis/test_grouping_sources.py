"""Runs whose code or data differ: sections and rows of their own, with names that say so."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from analysis.grouping import Section, build_sections
from tests.analysis.report_runs import experiment, write_run
from tests.analysis.tuning_studies import SETTINGS, study
from workbench.config import Experiment, Part
from workbench.results import finished_runs

OLD, NEW, OTHER = "a1b2c3d4e5f6", "0f9e8d7c6b5a", "777777777777"
TEXT = {"file": "book.txt", "length": 50}


def sourced(
    architecture: str = "gru", task: str = "text", *, data: str | None = None, code: str | None = None, **rest: Any
) -> Experiment:
    """Returns an experiment with a source of its task (`data`) and of its architecture (`code`)."""
    plain = experiment(architecture, task=task, **rest)
    return replace(plain, task=replace(plain.task, source=data), architecture=replace(plain.architecture, source=code))


def sections_of(out: Path, *experiments: Experiment) -> tuple[Section, ...]:
    """Writes the runs, and returns their sections."""
    for run in experiments:
        write_run(out, run)
    return build_sections(finished_runs(out))


def labels(section: Section) -> list[str]:
    """Returns the labels of a section's rows."""
    return [row.label for row in section.rows]


def test_a_changed_text_is_another_section(tmp_path: Path) -> None:
    sections = sections_of(
        tmp_path,
        *(
            sourced(name, data=data, task_options=TEXT, seed=seed)
            for name in ("lstm", "gru")
            for data in (OLD, NEW)
            for seed in (0, 1)
        ),
    )
    assert [section.title for section in sections] == [
        "text, file=book.txt, length=50, data 0f9e8d7",
        "text, file=book.txt, length=50, data a1b2c3d",
    ]
    assert [section.anchor for section in sections] == [
        "text-data-0f9e8d7",
        "text-data-a1b2c3d",
    ]
    for section, data in zip(sections, (NEW, OLD), strict=True):
        assert {run.experiment.task.source for run in section.runs} == {data}
        assert labels(section) == ["lstm", "gru"]
        assert [[run.experiment.seed for run in row.runs] for row in section.rows] == [[0, 1], [0, 1]]


def test_one_source_is_not_named(tmp_path: Path) -> None:
    sections = sections_of(
        tmp_path,
        sourced(data=OLD, task_options=TEXT),
        # Another title already, so that the data need not be named.
        sourced(data=NEW, task_options={**TEXT, "length": 60}),
        sourced("my.own:Model", data=OLD, code=NEW, task_options=TEXT),
    )
    assert [section.title for section in sections] == [
        "text, file=book.txt, length=50",
        "text, file=book.txt, length=60",
    ]
    assert [section.anchor for section in sections] == ["text-length-50", "text-length-60"]
    assert labels(sections[0]) == ["gru", "my.own:Model"]


def test_own_images_are_named_beside_the_published_ones(tmp_path: Path) -> None:
    sections = sections_of(tmp_path, *(sourced(task="mnist", data=data, task_options={}) for data in (None, OLD)))
    assert [(section.title, section.anchor) for section in sections] == [
        ("mnist", "mnist"),
        ("mnist, data a1b2c3d", "mnist-data-a1b2c3d"),
    ]


def test_a_custom_task_names_code_or_data_whichever_differs(tmp_path: Path) -> None:
    both = f"{OTHER}-{OLD}", f"{OTHER}-{NEW}", f"{NEW}-{NEW}"
    for folder, sources, endings in (
        ("code", (OLD, NEW), [", code 0f9e8d7", ", code a1b2c3d"]),
        ("code beside data", (f"{OLD}-{OTHER}", f"{NEW}-{OTHER}"), [", code 0f9e8d7", ", code a1b2c3d"]),
        ("data", both[:2], [", data 0f9e8d7", ", data a1b2c3d"]),
        (
            "both",
            both,
            [", code 0f9e8d7, data 0f9e8d7", ", code 7777777, data 0f9e8d7", ", code 7777777, data a1b2c3d"],
        ),
    ):
        runs = (sourced(task="my.own:Task", data=source, task_options={}) for source in sources)
        sections = sections_of(tmp_path / folder, *runs)
        assert sorted(section.title for section in sections) == [f"my.own:Task{ending}" for ending in endings]
        assert len({section.anchor for section in sections}) == len(sources)


def test_hashes_that_begin_alike_are_given_further(tmp_path: Path) -> None:
    sections = sections_of(
        tmp_path, *(sourced(data=data, task_options=TEXT) for data in ("a1b2c3d400ff", "a1b2c3d411ff", NEW))
    )
    assert sorted(section.title.rpartition(" ")[2] for section in sections) == [
        "0f9e8d7c6",
        "a1b2c3d40",
        "a1b2c3d41",
    ]


def test_anchors_are_unique_where_titles_are_cut_off(tmp_path: Path) -> None:
    options = {"file": "a/long/path/" * 8, "length": 50}
    sections = sections_of(tmp_path, *(sourced(data=data, task_options=options) for data in (OLD, NEW, OTHER)))
    assert len({section.anchor for section in sections}) == 3
    assert len({section.title for section in sections}) == 3


def test_an_ambiguous_anchor_of_one_source_stays_what_it_was(tmp_path: Path) -> None:
    names = "my-tasks:one", "my.tasks:One"
    sections = sections_of(tmp_path, *(sourced(task=name, data=OLD, task_options={}) for name in names))
    digests = [hashlib.sha256(json.dumps([name, {}]).encode()).hexdigest()[:6] for name in names]
    assert [section.title for section in sections] == list(names)
    assert [section.anchor for section in sections] == [f"my-tasks-one-{digest}" for digest in digests]


def test_a_changed_class_is_another_row(tmp_path: Path) -> None:
    (section,) = sections_of(
        tmp_path,
        sourced("leaky:Leaky", code=OLD),
        sourced("leaky:Leaky", code=OLD, seed=1),
        sourced("leaky:Leaky", code=NEW),
        sourced("gru"),
        sourced("other:Model", code=OTHER),
    )
    assert labels(section) == ["gru", "leaky:Leaky, code 0f9e8d7", "leaky:Leaky, code a1b2c3d", "other:Model"]
    assert [len(row.runs) for row in section.rows] == [1, 1, 2, 1]
    assert len({row.line_style for row in section.rows}) == 4


def test_code_is_named_after_other_differences(tmp_path: Path) -> None:
    (section,) = sections_of(
        tmp_path,
        sourced("leaky:Leaky", code=OLD, hidden_size=64),
        sourced("leaky:Leaky", code=NEW, hidden_size=64),
        sourced("leaky:Leaky", code=NEW, hidden_size=128),
    )
    assert labels(section) == [
        "leaky:Leaky (hidden_size=64), code 0f9e8d7",
        "leaky:Leaky (hidden_size=64), code a1b2c3d",
        "leaky:Leaky (hidden_size=128), code 0f9e8d7",
    ]


def test_a_study_belongs_to_the_section_of_its_data(tmp_path: Path) -> None:
    runs = {data: sourced("gru", data=data, task_options=TEXT) for data in (OLD, NEW)}
    for run in runs.values():
        write_run(tmp_path, run)
    studies = [
        study(
            "gru",
            name=f"{data}/gru",
            task="text",
            task_options=TEXT,
            winner_identity=run.identity,
            settings={**SETTINGS, "task": {"name": "text", "options": TEXT, "source": data}},
        )
        for data, run in runs.items()
    ]
    sections = build_sections(finished_runs(tmp_path), studies)
    assert [section.studies for section in sections] == [(studies[1],), (studies[0],)]
    assert [labels(section) for section in sections] == [["gru, tuned"], ["gru, tuned"]]


def test_the_tuned_rows_of_two_codes_are_told_apart(tmp_path: Path) -> None:
    runs = [sourced("leaky:Leaky", "addition", code=code) for code in (OLD, NEW)]
    for run in runs:
        write_run(tmp_path, run)
    studies = [study("leaky:Leaky", name=run.identity, winner_identity=run.identity) for run in runs]
    (section,) = build_sections(finished_runs(tmp_path), studies)
    assert sorted(labels(section)) == ["leaky:Leaky, tuned, code 0f9e8d7", "leaky:Leaky, tuned, code a1b2c3d"]


def test_a_study_of_other_data_names_that_of_the_runs(tmp_path: Path) -> None:
    write_run(tmp_path, sourced(data=OLD, task_options=TEXT))
    settings = {**SETTINGS, "task": {"name": "text", "options": TEXT, "source": NEW}}
    other = study("gru", task="text", task_options=TEXT, settings=settings)
    (section,) = build_sections(finished_runs(tmp_path), [other])
    assert section.title == "text, file=book.txt, length=50, data a1b2c3d"
    assert not section.studies


def test_the_text_1_is_a_title_of_the_number_1(tmp_path: Path) -> None:
    """Two variants of one title are told apart by their data, where that differs too."""
    task = Part(name="text", options={"length": 1}, source=OLD)
    plain = experiment()
    sections = sections_of(
        tmp_path,
        replace(plain, task=task),
        replace(plain, task=replace(task, options={"length": "1"}, source=NEW)),
    )
    assert [section.title for section in sections] == ["text, length=1, data 0f9e8d7", "text, length=1, data a1b2c3d"]


def test_what_another_revision_of_the_catalogue_has_trained_is_named_by_it(tmp_path: Path) -> None:
    (section,) = sections_of(tmp_path, *(sourced("gru", "addition", code=code) for code in (None, "revision 2")))
    assert labels(section) == ["gru", "gru, revision 2"]
    images: dict[str, Any] = {"task": "mnist", "task_options": {"pool": 2}}
    sections = sections_of(tmp_path / "images", *(sourced(**images, data=data) for data in (None, "revision 2")))
    assert [section.title for section in sections] == ["mnist, pool=2", "mnist, pool=2, revision 2"]


def test_a_revision_alone_is_not_named(tmp_path: Path) -> None:
    images: dict[str, Any] = {"task": "mnist", "task_options": {"pool": 2}, "data": "revision 2"}
    (section,) = sections_of(tmp_path, sourced("gru", code="revision 2", **images), sourced("lstm", **images))
    assert (section.title, labels(section)) == ("mnist, pool=2", ["lstm", "gru"])

"""Files of presets: valid and invalid content, and how settings are combined."""

import pytest
import yaml

from analysis.papers import preset_files
from analysis.presets.preset import overlay
from tests.analysis.papers import known_tables
from workbench.errors import UserError

FILE = {"title": "A table", "measures": ["test/loss"], "full": {"tasks": ["addition"], "architectures": ["gru"]}}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(preset_files, "FOLDER", tmp_path)
    (tmp_path / "table-1.yaml").write_text(yaml.safe_dump(FILE))
    (tmp_path / "table-10.yaml").write_text(yaml.safe_dump({**FILE, "unlike": ["It differs."], "sources": ["A", "B"]}))
    (tmp_path / "table-2.yaml").write_text(yaml.safe_dump(FILE))
    return tmp_path


def test_a_file_is_read_as_it_says(folder):
    assert preset_files.preset_names() == ("table-1", "table-2", "table-10")
    loaded = preset_files.load_preset("table-10")
    assert (loaded.name, loaded.title, loaded.unlike, loaded.sources) == (
        "table-10", "A table", ("It differs.",), ("A", "B"),
    )  # fmt: skip
    assert [measure.text for measure in loaded.measures] == ["test/loss"]
    assert loaded.settings("small") == FILE["full"]


@pytest.mark.parametrize("name", ["tabel-1", "Table-1"])
def test_an_unknown_name_is_refused_with_a_near_one(name, folder):
    with pytest.raises(UserError, match=rf"unknown preset '{name}'; did you mean 'table-1'"):
        preset_files.load_preset(name)


@pytest.mark.parametrize("name", ["zzz", "../table-1", ""])
def test_a_name_that_none_is_near_is_refused(name, folder):
    with pytest.raises(UserError, match=f"unknown preset '{name}'"):
        preset_files.load_preset(name)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mesures": []}, "has no key 'mesures'; did you mean 'measures'"),
        ({"name": "other"}, "has no key 'name'"),
        ({"measures": ["loss < 0.1"]}, "not 'loss < 0.1'"),
        ({"measures": ["train/loss < 1, 2 times"]}, "only the first training batch that meets a bound"),
        ({"measures": 3}, "measures must be a list of texts, not 3"),
        ({"sources": "RDA"}, "sources must be a list of texts, not 'RDA'"),
        ({"title": 1}, "needs a title"),
        ({1: 2}, "has no key 1"),
        ({"full": {}}, "full must name one task"),
        ({"full": {"tasks": ["addition", "copy"]}}, "full must name one task"),
        ({"small": []}, "small must be a mapping"),
    ],
)
def test_what_no_preset_says_is_refused(changes, message, folder):
    (folder / "table-2.yaml").write_text(yaml.safe_dump({**FILE, **changes}))
    with pytest.raises(UserError, match=message):
        preset_files.load_preset("table-2")
    assert preset_files.load_preset("table-1").title == "A table"


@pytest.mark.parametrize("content", ["- a\n- b\n", "title: [", ""])
def test_what_is_no_mapping_is_refused(content, folder):
    (folder / "table-2.yaml").write_text(content)
    with pytest.raises(UserError, match=r"table-2.yaml (does not hold a YAML mapping|is not readable YAML)"):
        preset_files.load_preset("table-2")


def test_settings_over_others_key_by_key_and_each_as_a_whole():
    full = {"a": 1, "task": {"x": {"p": 1, "q": 2}}, "names": [1, 2], "each": {"gru": {"c": 1}, "rwa": {"c": 2}}}
    changes = {"a": 2, "task": {"x": {"p": 3}}, "names": [3], "each": {"gru": {"d": 4}}, "new": 5}
    merged = overlay(full, changes)
    assert merged == {
        "a": 2,
        "task": {"x": {"p": 3, "q": 2}},
        "names": [3],
        "each": {"gru": {"d": 4}},
        "new": 5,
    }
    # The original settings are unchanged.
    assert full["task"] == {"x": {"p": 1, "q": 2}}
    assert full["each"] == {"gru": {"c": 1}, "rwa": {"c": 2}}


def test_an_architecture_may_have_settings_of_its_own_and_the_others_have_not():
    example = known_tables.example_preset(
        full={
            "learning_rate": 0.01,
            "architecture": {"gru": {"num_layers": 2}},
            "each": {"rwa": {"learning_rate": 0.1, "optimizer": "sgd", "architecture": {"rwa": {"hidden_size": 3}}}},
        },
        small={"each": {"rwa": {"clip": "none"}}},
    )
    runs = {run.architecture.name: run for run in example.experiments("full", 1)}
    assert (runs["gru"].optimization.learning_rate, runs["gru"].optimization.optimizer) == (0.01, "adam")
    assert (runs["rwa"].optimization.learning_rate, runs["rwa"].optimization.optimizer) == (0.1, "sgd")
    assert runs["gru"].architecture.options["num_layers"] == 2
    assert [runs[name].architecture.options["hidden_size"] for name in ("gru", "rwa")] == [5, 3]
    small = {run.architecture.name: run for run in example.experiments("small", 1)}
    assert (small["rwa"].optimization.learning_rate, small["rwa"].optimization.clip) == (0.01, "none")
    assert small["rwa"].architecture.options["hidden_size"] == 5
    assert small["gru"].optimization.clip == "value"


def test_variants_are_the_values_of_one_option_of_the_task():
    example = known_tables.example_preset(
        full={"over": {"length": [8, 6, 4]}, "seeds": 2}, small={"over": {"length": [3, 2, 5]}}
    )
    assert example.variants("full") == [{"length": 8}, {"length": 6}, {"length": 4}]
    assert example.variants("small") == [{"length": 3}, {"length": 2}, {"length": 5}]
    assert known_tables.example_preset().variants("full") == [{}]
    assert [(run.seed, run.task.options["length"], run.architecture.name) for run in example.experiments("small")] == [
        (seed, length, name) for seed in (0, 1) for length in (3, 2, 5) for name in ("gru", "rwa")
    ]


def test_a_setting_that_cannot_be_is_one_line():
    with pytest.raises(UserError, match="learning_rat"):
        known_tables.example_preset(full={"learning_rat": 1}).experiments("full")
    with pytest.raises(UserError, match="lenght"):
        known_tables.example_preset(small={"task": {"addition": {"lenght": 3}}}).experiments("small")

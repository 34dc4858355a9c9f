"""Earlier comparisons in a folder of results: kept as numbered files."""

import yaml

from workbench.comparison import Comparison
from workbench.comparison_file import write_comparison
from workbench.files import read_yaml


def comparison(tasks="addition", **rest):
    return Comparison(tasks=(tasks,), architectures=("gru",), **rest)


def read_files(out):
    return {path.name: read_yaml(path) for path in sorted(out.glob("*.yaml"))}


def test_another_comparison_leaves_the_one_before(tmp_path):
    first, second = comparison(architecture={"gru": {"hidden_size": 3}}), comparison("copy")
    write_comparison(tmp_path, first)
    write_comparison(tmp_path, second)
    assert read_files(tmp_path) == {"comparison-1.yaml": first.to_dict(), "comparison.yaml": second.to_dict()}
    assert Comparison.from_dict(read_yaml(tmp_path / "comparison-1.yaml")) == first


def test_more_seeds_are_the_same_comparison(tmp_path):
    for seeds in (2, 5, 3):
        write_comparison(tmp_path, comparison(seeds=seeds))
    assert read_files(tmp_path) == {"comparison.yaml": comparison(seeds=3).to_dict()}


def test_what_has_a_number_gets_no_other(tmp_path):
    for tasks in ("addition", "copy", "addition", "copy", "digits"):
        write_comparison(tmp_path, comparison(tasks))
    tasks_by_file = {name: values["tasks"] for name, values in read_files(tmp_path).items()}
    assert tasks_by_file == {
        "comparison-1.yaml": ["addition"],
        "comparison-2.yaml": ["copy"],
        "comparison.yaml": ["digits"],
    }


def test_a_file_of_the_user_stays(tmp_path):
    (tmp_path / "comparison.yaml").write_text("tasks: [half a fi")
    (tmp_path / "comparison-7.yaml").write_text("mine: true")
    write_comparison(tmp_path, comparison())
    assert (tmp_path / "comparison-8.yaml").read_text() == "tasks: [half a fi"
    assert (tmp_path / "comparison-7.yaml").read_text() == "mine: true"
    assert yaml.safe_load((tmp_path / "comparison.yaml").read_text()) == comparison().to_dict()

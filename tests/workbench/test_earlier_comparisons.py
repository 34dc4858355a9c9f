"""What is left in a folder of results of what was asked for there."""

import yaml

from workbench.cli.compare import keep_earlier
from workbench.comparison import Comparison
from workbench.files import read_yaml


def comparison(tasks="addition", **rest):
    return Comparison(tasks=(tasks,), architectures=("gru",), **rest)


def kept(out):
    return {path.name: read_yaml(path) for path in sorted(out.glob("*.yaml"))}


def test_another_comparison_leaves_the_one_before(tmp_path):
    first, second = comparison(architecture={"gru": {"hidden_size": 3}}), comparison("copy")
    keep_earlier(tmp_path, first)
    keep_earlier(tmp_path, second)
    assert kept(tmp_path) == {"comparison-1.yaml": first.to_dict(), "comparison.yaml": second.to_dict()}
    assert Comparison.from_dict(read_yaml(tmp_path / "comparison-1.yaml")) == first


def test_more_seeds_are_the_same_comparison(tmp_path):
    for seeds in (2, 5, 3):
        keep_earlier(tmp_path, comparison(seeds=seeds))
    assert kept(tmp_path) == {"comparison.yaml": comparison(seeds=3).to_dict()}


def test_what_has_a_number_gets_no_other(tmp_path):
    for tasks in ("addition", "copy", "addition", "copy", "digits"):
        keep_earlier(tmp_path, comparison(tasks))
    found = {name: each["tasks"] for name, each in kept(tmp_path).items()}
    assert found == {"comparison-1.yaml": ["addition"], "comparison-2.yaml": ["copy"], "comparison.yaml": ["digits"]}


def test_a_file_of_ones_own_stays(tmp_path):
    (tmp_path / "comparison.yaml").write_text("tasks: [half a fi")
    (tmp_path / "comparison-7.yaml").write_text("mine: true")
    keep_earlier(tmp_path, comparison())
    assert (tmp_path / "comparison-8.yaml").read_text() == "tasks: [half a fi"
    assert (tmp_path / "comparison-7.yaml").read_text() == "mine: true"
    assert yaml.safe_load((tmp_path / "comparison.yaml").read_text()) == comparison().to_dict()

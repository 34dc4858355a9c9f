"""Earlier comparisons in a folder of results: kept as numbered files."""

from concurrent.futures import ThreadPoolExecutor

import yaml

from workbench import comparison_file, files
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


def test_of_several_commands_at_a_time_no_comparison_is_lost(tmp_path):
    comparisons = [comparison(architecture={"gru": {"hidden_size": size}}) for size in range(1, 9)]
    with ThreadPoolExecutor(len(comparisons)) as threads:
        list(threads.map(lambda each: write_comparison(tmp_path, each), comparisons * 2))
    found = read_files(tmp_path)
    sizes = sorted(values["architecture"]["gru"]["hidden_size"] for values in found.values())
    assert sorted({*sizes}) == list(range(1, 9))
    # The last one may have a number, too, from a time when it was not the last.
    assert len(found) in (8, 9)


def test_the_number_that_another_machine_takes_is_not_taken_again(tmp_path, monkeypatch):
    """Where locks are not shared, both may find it free."""
    first = comparison()
    write_comparison(tmp_path, first)
    create_whole = files.create_whole

    def create_late(path, content):
        if path.name == "comparison-1.yaml" and not path.exists():
            path.write_text("mine: true")
        return create_whole(path, content)

    monkeypatch.setattr(comparison_file, "create_whole", create_late)
    write_comparison(tmp_path, comparison("copy"))
    found = read_files(tmp_path)
    assert found["comparison-1.yaml"] == {"mine": True}
    assert found["comparison-2.yaml"] == first.to_dict()

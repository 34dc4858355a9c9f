"""The runs of a comparison in a file, and the files of configurations."""

import json
import os
from pathlib import Path

import pytest
import yaml

from tests.analysis.report_runs import experiment
from workbench import experiment_file
from workbench.comparison import Comparison
from workbench.comparison_file import COMPARISON_FILE, write_comparison
from workbench.config import Experiment
from workbench.errors import UserError
from workbench.experiment_file import read_experiment
from workbench.files import read_yaml, write_yaml
from workbench.planned_runs import PLAN_FILE, read_planned_runs


def comparison(seeds: int = 2, hidden_size: int = 4) -> Comparison:
    return Comparison(tasks=("addition", "copy"), architectures=("gru", "tcn"), seeds=seeds, hidden_size=hidden_size)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A folder in which a comparison was started."""
    write_comparison(tmp_path, comparison(), comparison().experiments())
    return tmp_path


def read(out: Path, asked: Comparison) -> list[Experiment] | None:
    return read_planned_runs(out, out / COMPARISON_FILE, asked)


def test_they_are_those_of_the_comparison_with_the_same_identities(out: Path) -> None:
    planned = read(out, comparison())
    assert planned is not None
    assert [run.with_seed(seed) for seed in range(2) for run in planned] == comparison().experiments()
    again = [Experiment.from_dict(run.to_dict()) for run in planned]
    assert [run.identity for run in planned] == [run.identity for run in again]


def test_they_are_replaced_with_the_comparison(out: Path) -> None:
    more = comparison(seeds=3, hidden_size=5)
    write_comparison(out, more, more.experiments())
    assert read(out, more) == comparison(seeds=1, hidden_size=5).experiments()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"comparison": "DIGEST"}',
        '{"comparison": "DIGEST", "configurations": [{}, {}, {}, {}]}',
        '{"comparison": "DIGEST", "configurations": []}',
        '{"comparison": "DIGEST", "configurations": [{"task": ' + '{"a": ' * 900 + "1" + "}" * 900 + "}, 1, 1, 1]}",
    ],
)
def test_what_is_damaged_is_as_if_there_were_none(out: Path, text: str) -> None:
    digest = json.loads((out / PLAN_FILE).read_text())["comparison"]
    (out / PLAN_FILE).write_text(text.replace("DIGEST", digest))
    assert read(out, comparison()) is None


def test_only_a_regular_file_is_read(out: Path) -> None:
    (out / PLAN_FILE).rename(out / "elsewhere.json")
    os.mkfifo(out / PLAN_FILE)
    assert read(out, comparison()) is None
    (out / PLAN_FILE).unlink()
    (out / PLAN_FILE).symlink_to(out / "elsewhere.json")
    assert read(out, comparison()) is None


def test_those_of_another_comparison_are_as_if_there_were_none(out: Path) -> None:
    write_yaml(out / COMPARISON_FILE, {**read_yaml(out / COMPARISON_FILE), "hidden_size": 5})
    assert read(out, comparison(hidden_size=5)) is None
    (out / PLAN_FILE).unlink()
    assert read(out, comparison(hidden_size=5)) is None


def test_configurations_of_many_seeds_are_parsed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment_file._parse.cache_clear()
    runs = [Experiment.from_dict(experiment("lstm", seed=seed).to_dict()) for seed in (0, 3, 41, 2**62)]
    for run in runs:
        write_yaml(tmp_path / f"{run.seed}.yaml", run.to_config())
    read = [read_experiment(tmp_path / f"{run.seed}.yaml") for run in runs]
    assert read == runs
    assert {run.identity for run in read} == {run.identity for run in runs} == {read[0].identity}
    assert experiment_file._parse.cache_info().misses == 1


def test_whatever_else_a_configuration_holds_is_read_as_before(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    written = yaml.safe_dump(experiment("lstm", seed=7).to_config())
    for text in (written, written.replace("seed: 7", "seed:  7"), written.replace("seed: 7", "'seed': 7")):
        path.write_text(text)
        assert read_experiment(path).seed == 7
    for text, message in (
        (f"{written}seed: 8\n", f"{path} is not readable YAML: .*seed"),
        (written.replace("seed: 7", f"seed: {2**63}"), "seed"),
        (written.replace("schema: 1", "schema: 9"), "schema 9"),
        ("seed: 7\n", "schema"),
        ("- 7", f"{path} does not hold a YAML mapping"),
    ):
        path.write_text(text)
        with pytest.raises(UserError, match=message):
            read_experiment(path)
    path.unlink()
    with pytest.raises(UserError, match=f"there is no file {path}"):
        read_experiment(path)

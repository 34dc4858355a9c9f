"""Offline records, as W&B's own viewer reads them, equal the files of results, read here without the package."""

import csv
import hashlib
import json
import math

import pytest
import yaml

from tests.analysis.dashboards.wandb_reader import LoggedRecord

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:wandb", "ignore::ResourceWarning")


@pytest.fixture(scope="module")
def logged(mirrored):
    """The record of every run, by the run's folder."""
    records = {}
    for path in sorted(mirrored.glob("runs/*/*/*/seed-*/wandb.json")):
        records[path.parent] = LoggedRecord(mirrored / json.loads(path.read_text())["folder"])
    return records


@pytest.fixture(scope="module")
def comparison(mirrored):
    return LoggedRecord(mirrored / json.loads((mirrored / "wandb/comparison.json").read_text())["folder"])


def read_json(path):
    return json.loads(path.read_text())


def read_csv(path):
    """Returns the rows of a CSV file of numbers, without empty cells."""
    with path.open() as file:
        return [{key: float(value) for key, value in row.items() if value != ""} for row in csv.DictReader(file)]


def is_trial(folder):
    return folder.name == "seed-1000000"


def trials_by_identity(mirrored):
    study = read_json(mirrored / "sweep/addition/rnn.json")
    return {trial["identity"]: trial for trial in study["trials"]}


def test_every_run_and_every_trial_has_one_record_and_there_are_no_others(mirrored, logged):
    runs = {path.parent for path in mirrored.glob("runs/*/*/*/seed-*/config.yaml")}
    assert {*logged} == runs
    folders = {path.name for path in (mirrored / "wandb").glob("offline-run-*")}
    assert len(folders) == len(runs) + 1
    assert sum(map(is_trial, runs)) == 3


def test_metrics_are_those_of_the_file_and_the_summary_keeps_the_best(logged):
    for folder, record in logged.items():
        rows = [
            {"train/learning_rate" if key == "learning_rate" else key: value for key, value in row.items()}
            for row in read_csv(folder / "metrics.csv")
        ]
        assert record.rows == rows, folder
        assert record.summary["val/loss"] == {"min": min(row["val/loss"] for row in rows)}
        assert record.metrics["val/loss"]["step_metric"] == "step"
        (others,) = [metric for metric in record.records_of("metric") if metric.get("glob_name") == "*"]
        assert others["step_metric"] == "step"


def test_the_configuration_is_nested_as_in_the_yaml(logged):
    for folder, record in logged.items():
        assert record.config == yaml.safe_load((folder / "config.yaml").read_text())


def test_group_job_type_and_tags_say_what_a_run_is(mirrored, logged):
    trials = trials_by_identity(mirrored)
    for folder, record in logged.items():
        *_, task, architecture, identity, seed = folder.parts
        run = record.run
        assert run["job_type"] == task
        assert run["run_id"] == f"{identity}-{seed.removeprefix('seed-')}"
        if is_trial(folder):
            assert run["run_group"] == "addition/rnn"
            assert run["tags"] == [task, architecture, trials[identity]["state"], "trial"]
        else:
            assert run["run_group"] == identity
            assert run["tags"] == [task, architecture, read_json(folder / "result.json")["status"]]


def test_every_number_of_the_result_is_in_the_summary(logged):
    for folder, record in logged.items():
        if not (folder / "result.json").exists():
            continue
        result, timing = read_json(folder / "result.json"), read_json(folder / "timing.json")
        for metric, value in (result.pop("test") or {}).items():
            assert record.summary[f"test/{metric}"] == value
        for metric, value in result.pop("validation").items():
            assert record.summary[f"result/validation/{metric}"] == value
        for name, floor in result.pop("floors").items():
            assert record.summary[f"result/floors/{name.replace(' ', '_')}/loss"] == floor["loss"]
        for key, value in result.items():
            part = "cost" if key in ("parameters", "state_size") else "result"
            assert record.summary[f"{part}/{key}"] == value, key
        for key, value in timing.items():
            part = "cost" if key.startswith("seconds") else "machine"
            assert record.summary[f"{part}/{key}"] == value, key
        assert record.summary["result/phase"] == ("trial" if is_trial(folder) else "run")


def test_a_trial_says_which_it_is_and_what_came_of_it(mirrored, logged):
    trials = trials_by_identity(mirrored)
    assert len(trials) == 3
    for folder, record in logged.items():
        if not is_trial(folder):
            assert not any(name.startswith("trial/") for name in record.names)
            continue
        trial = trials[folder.parent.name]
        summary = record.summary
        assert summary["trial/study"] == "addition/rnn"
        assert (summary["trial/number"], summary["trial/state"]) == (trial["number"], trial["state"])
        assert (summary["trial/place"], summary["trial/default"]) == (trial["place"], trial["default"])
        assert [summary.get("trial/loss")] == (trial["values"] or [None])
        prefix = "trial/params/"
        params = {name.removeprefix(prefix): value for name, value in summary.items() if name.startswith(prefix)}
        assert params == trial["params"]


def test_every_number_and_word_of_the_probes_is_in_the_summary(logged):
    probed = {folder: record for folder, record in logged.items() if (folder / "analysis.json").exists()}
    assert len(probed) == 2
    for folder, record in probed.items():
        expected = {}
        for probe, result in read_json(folder / "analysis.json")["probes"].items():
            for name, number in result["numbers"].items():
                expected[f"probe/{probe}/{name}"] = number["value"]
                for end in ("low", "high"):
                    if number[end] is not None:
                        expected[f"probe/{probe}/{name}/{end}"] = number[end]
                if number["at_least"]:
                    expected[f"probe/{probe}/{name}/at_least"] = True
            expected |= {f"word/{probe}/{name}": text for name, text in result["words"].items()}
        summary = {name: value for name, value in record.summary.items() if name.startswith(("probe/", "word/"))}
        assert summary == expected
        assert len(expected) > 10


def test_every_curve_of_the_probes_is_in_a_table(logged):
    curves = 0
    for folder, record in logged.items():
        if not (folder / "analysis.json").exists():
            continue
        *_, task, architecture, _, _ = folder.parts
        for probe, result in read_json(folder / "analysis.json")["probes"].items():
            for name, curve in result["curves"].items():
                (table,) = [
                    rows
                    for key in record.media
                    if key.startswith(f"curve/{probe}/") and name in (rows := record.table(key))[0]
                ]
                assert {(row["task"], row["architecture"], row["seed"]) for row in table} == {(task, architecture, 0)}
                rows_by_x = {row["x"]: row for row in table}
                for index, x in enumerate(curve["x"]):
                    assert rows_by_x[x][name] == curve["y"][index]
                    if curve["low"] is not None:
                        assert (rows_by_x[x][f"{name}_low"], rows_by_x[x][f"{name}_high"]) == (
                            curve["low"][index],
                            curve["high"][index],
                        )
                assert [x for x, row in rows_by_x.items() if row[name] is not None and x not in curve["x"]] == []
                curves += 1
    assert curves > 10


def test_the_comparison_has_every_figure_table_and_the_report_itself(mirrored, comparison):
    figures = {f"figure/{path.stem}": path for path in (mirrored / "figures").glob("*.png")}
    assert len(figures) > 3
    for name, path in figures.items():
        assert file_hash(comparison.file(name)) == file_hash(path)
    assert file_hash(comparison.file("report/page")) == file_hash(mirrored / "report.html")
    for name in ("comparison", "analysis", "tuning"):
        with (mirrored / f"{name}.csv").open() as file:
            rows = list(csv.DictReader(file))
        assert [[format_cell(value) for value in row.values()] for row in comparison.table(f"table/{name}")] == [
            [format_cell(parse_cell(value)) for value in row.values()] for row in rows
        ]
    assert {*comparison.media} == {*figures, "report/page", "table/comparison", "table/analysis", "table/tuning"}
    assert comparison.config == {
        name: yaml.safe_load((mirrored / f"{name}.yaml").read_text()) for name in ("comparison", "sweep")
    }
    assert (comparison.run["job_type"], comparison.run["tags"]) == ("comparison", ["comparison", "addition"])


def parse_cell(value):
    try:
        return float(value)
    except ValueError:
        return value


def format_cell(value):
    """Formats a cell so that 1, 1.0 and "1" compare as equal, and `None` as the empty text."""
    if isinstance(value, bool) or value is None:
        return "" if value is None else str(value)
    return f"{value:.12g}" if isinstance(value, int | float) and math.isfinite(value) else str(value)


def file_hash(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()

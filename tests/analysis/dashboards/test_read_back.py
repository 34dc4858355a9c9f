"""What W&B's own viewer reads in the offline records equals the files of the results, read here without the package."""

import csv
import hashlib
import json
import math

import pytest
import yaml

from tests.analysis.dashboards.wandb_reader import Logged

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:wandb", "ignore::ResourceWarning")


@pytest.fixture(scope="module")
def logged(mirrored):
    """Every run's folder with its record, and the comparison's record."""
    found = {}
    for path in sorted(mirrored.glob("runs/*/*/*/seed-*/wandb.json")):
        found[path.parent] = Logged(mirrored / json.loads(path.read_text())["folder"])
    return found


@pytest.fixture(scope="module")
def whole(mirrored):
    return Logged(mirrored / json.loads((mirrored / "wandb/comparison.json").read_text())["folder"])


def read(path):
    return json.loads(path.read_text())


def numbers(path):
    """The rows of a CSV file, with numbers for what are numbers, and without what is empty."""
    with path.open() as file:
        return [{key: float(value) for key, value in row.items() if value != ""} for row in csv.DictReader(file)]


def tuned(folder):
    return folder.name == "seed-1000000"


def trials(mirrored):
    study = read(mirrored / "sweep/addition/rnn.json")
    return {trial["identity"]: trial for trial in study["trials"]}


def test_every_run_and_every_trial_has_one_record_and_there_are_no_others(mirrored, logged):
    runs = {path.parent for path in mirrored.glob("runs/*/*/*/seed-*/config.yaml")}
    assert {*logged} == runs
    folders = {path.name for path in (mirrored / "wandb").glob("offline-run-*")}
    assert len(folders) == len(runs) + 1
    assert sum(map(tuned, runs)) == 3


def test_metrics_are_those_of_the_file_and_the_summary_keeps_the_best(logged):
    for folder, record in logged.items():
        rows = [
            {"train/learning_rate" if key == "learning_rate" else key: value for key, value in row.items()}
            for row in numbers(folder / "metrics.csv")
        ]
        assert record.rows == rows, folder
        assert record.summary["val/loss"] == {"min": min(row["val/loss"] for row in rows)}
        assert record.metrics["val/loss"]["step_metric"] == "step"
        (others,) = [metric for metric in record.of("metric") if metric.get("glob_name") == "*"]
        assert others["step_metric"] == "step"


def test_the_configuration_is_nested_as_in_the_yaml(logged):
    for folder, record in logged.items():
        assert record.config == yaml.safe_load((folder / "config.yaml").read_text())


def test_group_job_type_and_tags_say_what_a_run_is(mirrored, logged):
    tried = trials(mirrored)
    for folder, record in logged.items():
        *_, task, architecture, identity, seed = folder.parts
        run = record.run
        assert run["job_type"] == task
        assert run["run_id"] == f"{identity}-{seed.removeprefix('seed-')}"
        if tuned(folder):
            assert run["run_group"] == "addition/rnn"
            assert run["tags"] == [task, architecture, tried[identity]["state"], "trial"]
        else:
            assert run["run_group"] == identity
            assert run["tags"] == [task, architecture, read(folder / "result.json")["status"]]


def test_every_number_of_the_result_is_in_the_summary(logged):
    for folder, record in logged.items():
        if not (folder / "result.json").exists():
            continue
        result, timing = read(folder / "result.json"), read(folder / "timing.json")
        for metric, value in (result.pop("test") or {}).items():
            assert record.summary[f"test/{metric}"] == value
        for metric, value in result.pop("validation").items():
            assert record.summary[f"result/validation/{metric}"] == value
        for key, value in result.items():
            part = "cost" if key in ("parameters", "state_size") else "result"
            assert record.summary[f"{part}/{key}"] == value, key
        for key, value in timing.items():
            part = "cost" if key.startswith("seconds") else "machine"
            assert record.summary[f"{part}/{key}"] == value, key
        assert record.summary["result/phase"] == ("trial" if tuned(folder) else "run")


def test_a_trial_says_which_it_is_and_what_came_of_it(mirrored, logged):
    tried = trials(mirrored)
    assert len(tried) == 3
    for folder, record in logged.items():
        if not tuned(folder):
            assert not any(name.startswith("trial/") for name in record.names)
            continue
        trial = tried[folder.parent.name]
        summary = record.summary
        assert summary["trial/study"] == "addition/rnn"
        assert (summary["trial/number"], summary["trial/state"]) == (trial["number"], trial["state"])
        assert (summary["trial/place"], summary["trial/default"]) == (trial["place"], trial["default"])
        assert [summary.get("trial/loss")] == (trial["values"] or [None])
        prefix = "trial/params/"
        chosen = {name.removeprefix(prefix): value for name, value in summary.items() if name.startswith(prefix)}
        assert chosen == trial["params"]


def test_every_number_and_word_of_the_probes_is_in_the_summary(logged):
    probed = {folder: record for folder, record in logged.items() if (folder / "analysis.json").exists()}
    assert len(probed) == 2
    for folder, record in probed.items():
        expected = {}
        for probe, found in read(folder / "analysis.json")["probes"].items():
            for name, number in found["numbers"].items():
                expected[f"probe/{probe}/{name}"] = number["value"]
                for end in ("low", "high"):
                    if number[end] is not None:
                        expected[f"probe/{probe}/{name}/{end}"] = number[end]
                if number["at_least"]:
                    expected[f"probe/{probe}/{name}/at_least"] = True
            expected |= {f"word/{probe}/{name}": text for name, text in found["words"].items()}
        shown = {name: value for name, value in record.summary.items() if name.startswith(("probe/", "word/"))}
        assert shown == expected
        assert len(expected) > 10


def test_every_curve_of_the_probes_is_in_a_table(logged):
    curves = 0
    for folder, record in logged.items():
        if not (folder / "analysis.json").exists():
            continue
        *_, task, architecture, _, _ = folder.parts
        for probe, found in read(folder / "analysis.json")["probes"].items():
            for name, curve in found["curves"].items():
                (table,) = [
                    rows
                    for key in record.media
                    if key.startswith(f"curve/{probe}/") and name in (rows := record.table(key))[0]
                ]
                assert {(row["task"], row["architecture"], row["seed"]) for row in table} == {(task, architecture, 0)}
                places = {row["x"]: row for row in table}
                for index, x in enumerate(curve["x"]):
                    assert places[x][name] == curve["y"][index]
                    if curve["low"] is not None:
                        assert (places[x][f"{name}_low"], places[x][f"{name}_high"]) == (
                            curve["low"][index],
                            curve["high"][index],
                        )
                assert [x for x, row in places.items() if row[name] is not None and x not in curve["x"]] == []
                curves += 1
    assert curves > 10


def test_the_comparison_has_every_figure_table_and_the_report_itself(mirrored, whole):
    figures = {f"figure/{path.stem}": path for path in (mirrored / "figures").glob("*.png")}
    assert len(figures) > 3
    for name, path in figures.items():
        assert digest(whole.file(name)) == digest(path)
    assert digest(whole.file("report/page")) == digest(mirrored / "report.html")
    for name in ("comparison", "analysis", "tuning"):
        with (mirrored / f"{name}.csv").open() as file:
            rows = list(csv.DictReader(file))
        assert [[text(value) for value in row.values()] for row in whole.table(f"table/{name}")] == [
            [text(parsed(value)) for value in row.values()] for row in rows
        ]
    assert {*whole.media} == {*figures, "report/page", "table/comparison", "table/analysis", "table/tuning"}
    assert whole.config == {
        name: yaml.safe_load((mirrored / f"{name}.yaml").read_text()) for name in ("comparison", "sweep")
    }
    assert (whole.run["job_type"], whole.run["tags"]) == ("comparison", ["comparison", "addition"])


def parsed(value):
    try:
        return float(value)
    except ValueError:
        return value


def text(value):
    """A cell, so that 1, 1.0 and "1" compare as equal, and nothing as the empty text."""
    if isinstance(value, bool) or value is None:
        return "" if value is None else str(value)
    return f"{value:.12g}" if isinstance(value, int | float) and math.isfinite(value) else str(value)


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()

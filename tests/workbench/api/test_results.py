"""Results as DataFrames and figures: every value is that of the runs' own files."""

import csv
import json
import shutil
from dataclasses import asdict, fields
from typing import Any, get_type_hints

import matplotlib.pyplot as plt
import pandas as pd
import pytest
import torch
import yaml

import workbench
from tests.workbench.api.conftest import LENGTHS, TINY
from workbench.api.probing import ProbeKeywords
from workbench.api.profiling import ProfileKeywords
from workbench.api.settings import Settings
from workbench.comparison import Comparison
from workbench.config import Budget, Numerics, Optimization
from workbench.results import finished_runs


@pytest.fixture(autouse=True)
def no_figures_left():
    yield
    plt.close("all")


def test_there_is_a_row_for_each_run_with_the_values_of_its_result(compared):
    table = compared.runs
    assert len(table) == len(compared) == 8
    assert {tuple(row) for row in table[["task", "architecture", "seed"]].itertuples(index=False)} == {
        (task, name, seed) for task in ("addition", "copy") for name in ("rnn", "tcn") for seed in (0, 1)
    }
    for row, run in zip(table.to_dict("records"), compared.finished, strict=True):
        result = json.loads((run.folder / "result.json").read_text())
        assert row["identity"] == result["identity"] == run.folder.parent.name
        assert row["test/loss"] == result["test"]["loss"]
        assert row["parameters"] == result["parameters"]
        assert row["seconds"] == json.loads((run.folder / "timing.json").read_text())["seconds"]


def test_every_option_is_a_column_the_width_first(compared):
    table = compared.runs
    options = list(table.columns)[4:]
    assert list(table.columns)[:5] == ["task", "architecture", "identity", "seed", "hidden_size"]
    assert options[0] == "hidden_size"
    for row, run in zip(table.to_dict("records"), compared.finished, strict=True):
        config = yaml.safe_load((run.folder / "config.yaml").read_text())
        width = config["architecture"]["options"].pop("hidden_size")
        assert row["hidden_size"] == width == 4
        expected = {f"task/{key}": value for key, value in config["task"]["options"].items()}
        expected |= {f"architecture/{key}": value for key, value in config["architecture"]["options"].items()}
        for section in ("optimization", "budget"):
            expected |= {f"{section}/{key}": value for key, value in config[section].items()}
        # Defaults that a configuration leaves out are options, too.
        expected |= {f"numerics/{key}": value for key, value in asdict(Numerics()).items()}
        assert {key: None if pd.isna(row[key]) else row[key] for key in expected} == expected
    # What another architecture has is missing.
    assert table.loc[table["architecture"] == "rnn", "architecture/kernel_size"].isna().all()


def test_curves_in_long_form_equal_the_metrics(compared):
    curves = compared.curves
    assert list(curves.columns)[:6] == ["task", "architecture", "identity", "seed", "hidden_size", "step"]
    for run in compared.finished:
        own = curves[(curves["identity"] == run.experiment.identity) & (curves["seed"] == run.experiment.seed)]
        with (run.folder / "metrics.csv").open() as file:
            written = list(csv.DictReader(file))
        assert len(own) == len(written) == 3
        for key in written[0]:
            # Exactly, to the last digit.
            assert [float(value) for value in own[key]] == [float(row[key]) for row in written], key


def test_the_tables_are_written_beside_the_report(compared):
    for name, table in (("comparison.csv", compared.runs), ("curves.csv", compared.curves)):
        written = pd.read_csv(compared.folder / name)
        assert list(written.columns) == list(table.columns)
        numbers = [key for key in ("test/loss", "val/loss") if key in table]
        order = ["identity", "seed", *(["step"] if "step" in table else [])]
        for key in numbers:
            by_run = written.set_index(order)[key].astype(float)
            expected = table.set_index(order)[key].astype(float)
            assert by_run.sort_index().to_dict() == pytest.approx(expected.sort_index().to_dict(), rel=1e-15)
    assert (compared.folder / "report.html").exists()


def test_what_is_in_a_folder_is_loaded(compared):
    loaded = workbench.load(compared.folder)
    assert sorted(loaded.runs["test/loss"]) == sorted(compared.runs["test/loss"])
    assert loaded.failures == ()
    assert repr(loaded) == f"Results of 8 runs in {compared.folder}"
    with pytest.raises(workbench.UserError, match="there is no folder"):
        workbench.load(compared.folder / "nothing")


def test_the_summary_has_the_lowest_loss_of_each_task_first(compared):
    summary = compared.summary
    assert list(summary["variant"].unique()) == sorted(summary["variant"].unique())
    for _, rows in summary.groupby("variant"):
        assert list(rows["rank"]) == [1, 2]
        assert rows["loss"].is_monotonic_increasing
        assert set(rows["seeds"]) == {2}
    addition = compared.runs[(compared.runs["task"] == "addition") & (compared.runs["architecture"] == "rnn")]
    losses = [float(value) for value in addition["test/loss"]]
    # Two positive losses are averaged on a log scale.
    geometric = (losses[0] * losses[1]) ** 0.5
    (row,) = summary[(summary["variant"] == "addition, length=6") & (summary["architecture"] == "rnn")].to_dict(
        "records"
    )
    assert row["loss"] == pytest.approx(geometric, rel=1e-12)
    assert row["parameters"] == addition["parameters"].iloc[0]


def test_curves_are_drawn_on_axes(compared):
    _, axes = plt.subplots()
    assert compared.plot_curves(axes, task="copy") is axes
    assert axes.get_legend_handles_labels()[1] == ["rnn", "tcn"]
    first = [run for run in compared.finished if run.experiment.task.name == "copy"]
    mean = sum(run.metrics()["val/loss"] for run in first if run.experiment.architecture.name == "rnn") / 2
    assert any(list(line.get_ydata()) == pytest.approx(list(mean)) for line in axes.lines)
    assert compared.plot_curves(task="addition").figure is not axes.figure
    with pytest.raises(workbench.UserError, match="name the task: task= one of 'addition, length=6', 'copy, "):
        compared.plot_curves()
    with pytest.raises(workbench.UserError, match="has logged 'val/los'; did you mean 'val/loss'"):
        compared.plot_curves(metric="val/los", task="copy")


def test_results_are_drawn_on_axes(compared):
    _, axes = plt.subplots()
    assert compared.plot_results(axes, task="addition") is axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["rnn", "tcn"]
    dots = sorted(float(x) for line in axes.lines if line.get_linestyle() == "None" for x in line.get_xdata())
    assert set(compared.runs.loc[compared.runs["task"] == "addition", "test/loss"]) <= set(dots)
    with pytest.raises(workbench.UserError, match="has a test accuracy"):
        compared.plot_results(metric="accuracy", task="addition")


def test_a_notebook_shows_escaped_text_and_the_table(compared):
    shown = compared._repr_html_()
    assert shown.count("<tr") == 1 + len(compared.summary)
    assert "<b>addition, length=6</b>" in shown
    empty = workbench.Results(compared.folder, [], failures=["x <script>"])
    assert "&lt;script&gt;" in empty._repr_html_()


def test_a_trained_model_is_that_of_its_checkpoint(compared):
    model = compared.model(0)
    weights = torch.load(compared.finished[0].folder / "last.ckpt", weights_only=True)["state_dict"]
    assert all(torch.equal(value, weights[f"model.{key}"]) for key, value in model.state_dict().items())
    assert not model.training
    with pytest.raises(workbench.UserError, match="there is no row 8"):
        compared.model(8)


def test_a_report_is_written_again(compared, tmp_path):
    shutil.copytree(compared.folder, tmp_path / "out")
    (tmp_path / "out" / "report.html").unlink()
    path = workbench.report(tmp_path / "out", formats="svg", palette="grey")
    assert path == tmp_path / "out" / "report.html"
    assert path.exists()
    assert not list((tmp_path / "out" / "figures").glob("*.png"))
    assert workbench.load(tmp_path / "out").report() == path


def test_probes_are_measured_and_kept(compared, tmp_path):
    shutil.copytree(compared.folder, tmp_path / "out")
    loaded = workbench.load(tmp_path / "out")
    looked: dict[str, Any] = {"sequences": 2, "directions": 2, "workers": 1, "progress": False}
    table = workbench.analyze(loaded, probes=["gradient_decay"], **looked)
    assert set(table["probe"]) == {"gradient_decay"}
    assert len(set(zip(table["identity"], table["seed"], strict=True))) == 8
    for run in list(finished_runs(tmp_path / "out"))[:2]:
        kept = json.loads((run.folder / "analysis.json").read_text())
        text = json.dumps(kept)
        own = table[(table["identity"] == run.experiment.identity) & (table["seed"] == run.experiment.seed)]
        assert all(json.dumps(value) in text for value in own["value"].dropna())
    assert len(loaded.probes) == len(table)
    with pytest.raises(workbench.UserError, match="unknown probe 'gradient_dekay'"):
        workbench.analyze(loaded, probes="gradient_dekay")


def test_a_model_without_results_is_told_how_it_is_probed():
    for model in (workbench.build("gru", 2, 3), torch.nn.GRU(2, 3)):
        with pytest.raises(workbench.UserError, match=r"not 'GRU'; train the model first, .* analyze --untrained NAME"):
            workbench.analyze(model)  # type: ignore[arg-type]


def test_a_mistake_is_a_value_error_to_python(compared, tmp_path):
    with pytest.raises(ValueError, match="'adding'"):
        workbench.compare("adding", "gru", out=tmp_path / "out")
    with pytest.raises(ValueError, match="gradient_dekay"):
        workbench.analyze(compared, probes="gradient_dekay")


def test_keywords_are_those_of_the_settings():
    from analysis.probes.settings import ProbeSettings
    from analysis.profile.settings import ProfileSettings

    def types(*classes):
        return {name: hint for cls in classes for name, hint in get_type_hints(cls).items()}

    assert get_type_hints(Settings) == types(Budget, Optimization, Numerics) | {"embedding_size": int | None}
    assert get_type_hints(Comparison)["embedding_size"] == int | None
    assert get_type_hints(ProbeKeywords) == types(ProbeSettings)
    lists = ("architectures", "lengths", "architecture")
    profiled = {key: hint for key, hint in types(ProfileSettings).items() if key not in lists}
    assert get_type_hints(ProfileKeywords) == profiled
    assert set(profiled) | set(lists) == {item.name for item in fields(ProfileSettings)}


def test_a_profile_is_a_row_for_each_architecture(short_measurements, no_memory_peaks, tmp_path):
    table = workbench.profile(
        ["rnn", torch.nn.GRU], 5, hidden_size=4, batch_size=2, repeats=1, out=tmp_path / "p", progress=False, threads=1
    )
    assert list(table["architecture"])[1:] == ["rnn", "GRU"]
    parameters = sum(value.numel() for value in torch.nn.GRU(2, 4).parameters())
    assert table.set_index("architecture")["parameters"]["GRU"] == parameters
    written = pd.read_csv(tmp_path / "p" / "profile.csv")
    assert list(written.columns) == list(table.columns)


def test_the_same_call_reads_what_is_finished(compared, monkeypatch):
    from workbench.run_pool import RunPool

    monkeypatch.setattr(RunPool, "run", lambda self, experiments, listen: list(experiments) and pytest.fail("trained"))
    (one,) = workbench.train(
        "copy", "tcn", out=compared.folder, seed=1, hidden_size=4, task_options=LENGTHS["copy"], **TINY
    ).finished
    table = compared.runs.set_index(["task", "architecture", "seed"])
    assert one.test_metric("loss") == table.loc[("copy", "tcn", 1), "test/loss"]

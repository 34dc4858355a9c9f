"""The whole report: numbers against independently computed ones, and a page that is safe and self-contained."""

import base64
import hashlib
import json
import math
import re
import subprocess
import sys
import zlib
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest
from scipy import stats

from analysis.report import build
from analysis.report.output_files import MANIFEST
from tests.analysis.page import Page
from tests.analysis.report_runs import experiment, read_rows, write_run
from workbench.cli.main import main
from workbench.errors import UserError

LOSSES = {"lstm": [0.171, 0.162, 0.168], "rwa": [2.1e-4, 1.7e-4, 2.6e-4]}
ACCURACIES = {"lstm": [0.31, 0.32, 0.36], "rwa": [0.99, 0.995, 0.9996]}
LSTM_SECONDS = mean([0.010, 0.012, 0.014, 0.005])
"""Of four seeds: that which diverged has the default of `write_run`."""
SECONDS = {"lstm": [0.010, 0.012, 0.014], "rwa": [0.020, 0.021, 0.022]}
HOSTILE = "<script>alert(1)</script>:X"


@pytest.fixture(scope="module")
def out(all_default_formats: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A comparison of two architectures on one task, with a diverged seed, and of another on a second task."""
    folder = tmp_path_factory.mktemp("comparison")
    for architecture, losses in LOSSES.items():
        for seed, loss in enumerate(losses):
            write_run(
                folder,
                experiment(architecture, task_options={"length": 1000}, seed=seed, hidden_size=250),
                loss=loss,
                accuracy=ACCURACIES[architecture][seed],
                solved_at=[1735, None, 1801][seed] if architecture == "rwa" else None,
                solved_at_mean50=1900 if architecture == "rwa" and seed == 0 else None,
                parameters=191_501 if architecture == "rwa" else 254_251,
                losses=(0.2, loss),
                accuracies=(0.1, ACCURACIES[architecture][seed]),
                timing={"seconds_per_step": SECONDS[architecture][seed]},
                receptive_field=729 if architecture == "rwa" else None,
                time=1000,
            )
    diverged = experiment("lstm", task_options={"length": 1000}, seed=3, hidden_size=250)
    write_run(folder, diverged, loss=None, diverged_at=77, steps=77, losses=(), parameters=254_251, time=1000)
    write_run(folder, experiment(HOSTILE, task_options={"length": 200}), loss=0.1)
    build.write_report(folder)
    return folder


@pytest.fixture(scope="module")
def page(out: Path) -> Page:
    return Page((out / "report.html").read_text(encoding="utf-8"))


def mean_and_half_width(values: list[float]) -> tuple[float, float]:
    """Returns mean and half width of the 95 % interval, computed without the report's code."""
    low, high = stats.t.interval(0.95, len(values) - 1, loc=mean(values), scale=stdev(values) / math.sqrt(len(values)))
    return mean(values), (high - low) / 2


def test_the_results_are_those_of_the_runs(page: Page) -> None:
    rows = page.results("addition, length=1000")
    assert list(rows) == ["lstm", "rwa", "trivial baseline"]
    # The seed that diverged counts as the largest loss.
    centre, half = mean_and_half_width([math.log(loss) for loss in [*LOSSES["lstm"], max(LOSSES["lstm"])]])
    ends = math.exp(centre - half), math.exp(centre + half)
    assert rows["lstm"]["loss"] == f"{math.exp(centre):.3f} [{ends[0]:.3f}, {ends[1]:.3f}]"
    assert rows["rwa"]["loss"] == f"{1e4 * math.prod(LOSSES['rwa']) ** (1 / 3):.2f} \u00d7 10⁻⁴"
    # Three seeds have no interval, and the diverged one of four has no accuracy.
    assert rows["rwa"]["accuracy"] == f"{mean(ACCURACIES['rwa']):.4f}"
    assert rows["rwa"] | {"loss": "", "accuracy": ""} == {
        "hidden size": "250",
        "parameters": "191,501",
        "state": "128",
        "reach": "729",
        "steps": "2,000",
        "batch": "20",
        "s a step": f"{mean(SECONDS['rwa']):.4f}",
        "seeds": "3",
        "diverged": "0",
        "loss": "",
        "accuracy": "",
        "solved": "2 of 3",
        "first step": f"{median([1735, math.inf, 1801]):,.0f}",
        "mean of 50": "not reached",
        "published": "1,735 [a]\n1,600 [b]\n2,800 [c]",
    }
    assert (rows["lstm"]["seeds"], rows["lstm"]["diverged"], rows["lstm"]["reach"]) == ("4", "1", "all")
    assert (rows["lstm"]["solved"], rows["lstm"]["first step"]) == ("0 of 4", "\u2013")
    assert rows["trivial baseline"]["loss"] == "0.167"
    assert rows["trivial baseline"]["accuracy"] == ""


def test_the_lowest_loss_is_bold(out: Path) -> None:
    source = (out / "report.html").read_text(encoding="utf-8")
    assert re.findall(r"<td[^>]*><strong>(.*?)</strong>", source) == ["2.10 \u00d7 10⁻⁴"]


def test_one_seed_has_no_interval(page: Page) -> None:
    row = page.results("addition, length=200")[HOSTILE]
    assert row["loss"] == "0.100"
    assert "accuracy" not in row
    assert any(f"{HOSTILE} is the only row, with a test loss of 0.100" in text for text in page.paragraphs)


def test_published_figures_are_those_of_the_variant(page: Page) -> None:
    table = page.tables["Published figures on addition, length=1000"]
    assert table[1] == ["source", "measure", "lstm", "gru", "rwa", "rda-exp-tanh", "rda-sigmoid-id", "setting"]
    assert table[2][:5] == ["[a] RDA paper, table 1", "steps until loss < 0.001", "> 10,000", "2,036", "1,735"]
    assert "250 units, batch 100, Adam 0.001, gradients clipped" in table[2][-1]
    assert "Published figures on addition, length=200" not in page.tables
    assert page.paragraphs.count("Published figures: none for this variant.") == 1


def test_sentences_are_those_of_the_runs(page: Page) -> None:
    text = " ".join(page.paragraphs)
    assert "rwa has the lowest test loss, 2.10 \u00d7 10⁻⁴, 790 times below the best answer without memory" in text
    assert "No row solved it (loss < 0.001) with more than half of its seeds; rwa (1 of 3 seeds) did with some." in text
    assert "Not all rows were trained alike: seeds differ: lstm 0\u20133, rwa 0\u20132." in text
    assert "Cannot see the whole sequence: rwa 729 of 1,000 steps." in text
    assert "8 finished runs, 1 to 4 seeds of each configuration; 1 diverged." in text


def test_every_run_is_a_row_of_the_csv(out: Path) -> None:
    rows = read_rows(out / "comparison.csv")
    assert len(rows) == 8
    (row,) = [row for row in rows if row["architecture"] == "rwa" and row["seed"] == 1]
    run = experiment("rwa", task_options={"length": 1000}, seed=1, hidden_size=250)
    expected_values = {
        "task": "addition",
        "task_options": '{"length": 1000}',
        "architecture_options": '{"hidden_size": 250, "zoneout": 0.0}',
        "identity": run.identity,
        "status": "finished",
        "diverged_at": None,
        "steps": 2000,
        "parameters": 191_501,
        "receptive_field": 729,
        "time": 1000,
        "trivial_loss": pytest.approx(1 / 6),
        "solved_at": None,
        "test/loss": 1.7e-4,
        "test/accuracy": 0.995,
        "validation/loss": 1.7e-4,
        "seconds_per_step": 0.021,
        "device": "cpu",
        "optimization/learning_rate": 0.001,
        "budget/batch_size": 20,
    }
    assert {key: row[key] for key in expected_values} == expected_values
    (diverged,) = [row for row in rows if row["status"] == "diverged"]
    assert (diverged["diverged_at"], diverged["steps"], diverged["test/loss"]) == (77, 77, None)
    # Whole numbers stay whole although other rows have none.
    assert ",1735," in (out / "comparison.csv").read_text()


def test_the_same_runs_give_the_same_bytes(out: Path) -> None:
    def written() -> dict[str, bytes]:
        paths = [out / "report.html", out / "comparison.csv", *sorted((out / "figures").glob("*.svg"))]
        return {path.name: path.read_bytes() for path in paths}

    before = written()
    assert len(before) == 4
    build.write_report(out)
    assert written() == before
    # Another process has other hashes of strings.
    subprocess.run([sys.executable, "-m", "workbench", "report", str(out)], check=True, capture_output=True)
    assert written() == before
    assert not list(out.rglob("*.tmp"))


def test_names_are_text_and_never_elements(out: Path, page: Page) -> None:
    assert "script" not in page.tags
    assert len(page.scripts) == 4
    source = (out / "report.html").read_text(encoding="utf-8")
    assert "<script>alert" not in source
    data = read_data(source)
    assert HOSTILE in [row["label"] for screen in data["screens"] for row in screen["rows"]]
    assert HOSTILE in page.results("addition, length=200")
    svg = (out / "figures/addition-length-200-learning-curves.svg").read_text(encoding="utf-8")
    root = ElementTree.fromstring(svg)
    assert not [element for element in root.iter() if "script" in element.tag]
    assert HOSTILE in [element.text for element in root.iter()]
    assert "<script>" not in svg
    inline = re.search(r'<div class="card"><svg[^>]*role="img".*?</svg>', source, re.DOTALL)
    assert inline is not None


def read_data(source: str) -> dict[str, Any]:
    """Returns the data that the page's script reads."""
    found = re.search(r'<script type="application/json" id="report-data">(.*?)</script>', source, re.DOTALL)
    assert found is not None
    data: dict[str, Any] = json.loads(found[1])
    for screen in data["screens"]:
        screen["rows"] = [dict(zip(data["fields"], values, strict=True)) for values in screen["rows"]]
    return data


def test_the_page_stands_alone(out: Path, page: Page) -> None:
    source = (out / "report.html").read_text(encoding="utf-8")
    assert source.startswith("<!DOCTYPE html>")
    assert source.count("<!DOCTYPE") == 1
    assert "<?xml" not in source
    for tag in ("script", "iframe", "object", "embed", "img", "base"):
        assert tag not in page.tags
    for tag, name, value in page.attributes:
        assert not name.startswith("on"), (tag, name)
        if name in ("href", "src", "xlink:href"):
            inside = value.startswith("#") or value == "data:,"
            assert inside or (tag == "a" and (out / unquote(value)).exists()), (tag, value)
        assert not (tag == "script" and name == "src")
    assert "url(" not in source.replace("url(#", "")
    assert "@import" not in source
    # Nothing of this machine.
    assert str(out) not in source


def test_the_policy_allows_the_scripts_of_the_page_and_no_requests(out: Path, page: Page) -> None:
    (policy,) = [value for _, name, value in page.attributes if name == "content" and "default-src" in value]
    directives = {part.split()[0]: part.split()[1:] for part in policy.split(";")}
    assert directives["default-src"] == ["'none'"]
    assert directives["img-src"] == ["'self'", "data:", "blob:"]
    assert not {"connect-src", "frame-src", "font-src"} & directives.keys()
    source = (out / "report.html").read_text(encoding="utf-8")
    (script,) = re.findall(r"<script>(.*?)</script>", source, re.DOTALL)
    (packed,) = re.findall(r'<script type="text/plain" id="library">(.*?)</script>', source, re.DOTALL)
    (library,) = json.loads(zlib.decompress(base64.b64decode(packed), -zlib.MAX_WBITS))
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (library, script)]
    assert directives["script-src"] == [f"'sha256-{text}'" for text in hashes]
    assert "uPlot" in library
    assert "Permission is hereby granted" in source


def test_the_first_screen_has_the_numbers_of_the_runs(out: Path, page: Page) -> None:
    rows = {row[0]: row[1:] for row in page.tables["Every row on addition, length=1000, the lowest test loss first"]}
    assert list(rows)[1:3] == ["rwa", "lstm"]
    assert rows["rwa"][1:] == [
        "2.1e-4",
        "1 of 3",
        "\u2013",
        "191,501",
        f"{mean(SECONDS['rwa']) / LSTM_SECONDS:.1f} \u00d7",
    ]
    assert rows["lstm"][2] == "0 of 4"
    (screen,) = [
        screen
        for screen in read_data((out / "report.html").read_text(encoding="utf-8"))["screens"]
        if screen["anchor"] == "addition-length-1000"
    ]
    seeds = {row["label"]: [(loss, bool(rest)) for _, loss, *rest in row["seeds"]] for row in screen["rows"]}
    assert seeds == {
        "rwa": [(loss, False) for loss in LOSSES["rwa"]],
        "lstm": [*((loss, False) for loss in LOSSES["lstm"]), (max(LOSSES["lstm"]), True)],
    }
    assert screen["trivial"] == pytest.approx(1 / 6)


def test_identifiers_are_unique_and_found(page: Page) -> None:
    identifiers = [value for _, name, value in page.attributes if name == "id"]
    assert len(set(identifiers)) == len(identifiers)
    used = [value[1:] for _, name, value in page.attributes if name == "href" and value.startswith("#")]
    used += [target for *_, value in page.attributes for target in re.findall(r"url\(#([^)]*)\)", value)]
    used += [value for _, name, value in page.attributes if name == "aria-labelledby"]
    assert len(used) > 20
    assert set(used) <= set(identifiers)


def test_figures_are_images_with_a_description(page: Page) -> None:
    roles = [value for tag, name, value in page.attributes if (tag, name) == ("svg", "role")]
    labels = [value for tag, name, value in page.attributes if (tag, name) == ("svg", "aria-label")]
    # Two learning curves, two scatters, and the dots of each row.
    assert roles == ["img"] * len(labels) == ["img"] * (2 + 2 + 3)
    (curves,) = [label for label in labels if label.startswith("Learning curves on addition, length=1000.")]
    assert "At the end, validation loss" in curves
    assert "seed 0: 2.1e-4, seed 1: 1.7e-4, seed 2: 2.6e-4" in labels
    assert "seed 0: 0.171, seed 1: 0.162, seed 2: 0.168, seed 3: diverged" in labels


def test_the_configuration_of_each_row_is_there(page: Page) -> None:
    identity = experiment("rwa", task_options={"length": 1000}, hidden_size=250).identity
    assert f"rwa, seeds 0\u20132 {identity}" in page.text
    assert page.text.count("learning_rate: 0.001") == 2, "once for all rows of each task"
    assert page.tables["Machines that trained"][1] == ["some processor", "cpu", "2", "2.13.0", "8", "80.0"]


def test_figures_are_files_too(out: Path) -> None:
    assert sorted(path.name for path in (out / "figures").iterdir() if path.name != MANIFEST) == [
        "addition-length-1000-learning-curves.png",
        "addition-length-1000-learning-curves.svg",
        "addition-length-200-learning-curves.png",
        "addition-length-200-learning-curves.svg",
    ]


@pytest.mark.parametrize("exists", [True, False])
def test_no_finished_runs_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], exists: bool) -> None:
    folder = tmp_path / "out"
    if exists:
        folder.mkdir()
    with pytest.raises(UserError, match="no finished runs in") as error:
        build.write_report(folder)
    assert "\n" not in str(error.value)
    assert main(["report", str(folder)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert not list(tmp_path.rglob("*.*"))


def test_a_comparison_of_which_all_runs_diverged(tmp_path: Path) -> None:
    for seed in (0, 1):
        write_run(tmp_path, experiment("lstm", seed=seed), loss=None, losses=(0.5,), diverged_at=120, steps=120)
    page = Page(build.write_report(tmp_path).read_text(encoding="utf-8"))
    row = page.results("addition, length=100")["lstm"]
    assert (row["loss"], row["diverged"], row["seeds"], row["solved"]) == ("\u2013", "2", "2", "0 of 2")
    assert "No row has a test loss: every run diverged." in page.text
    assert {row.get("test/loss") for row in read_rows(tmp_path / "comparison.csv")} == {None}


def test_an_unfinished_run_is_no_part_of_it(tmp_path: Path) -> None:
    write_run(tmp_path, experiment("lstm", seed=0))
    (write_run(tmp_path, experiment("lstm", seed=1)) / "result.json").unlink()
    build.write_report(tmp_path)
    assert [row["seed"] for row in read_rows(tmp_path / "comparison.csv")] == [0]


def test_the_command_prints_the_path(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path, experiment("lstm"))
    assert main(["report", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'report.html'}\n"


def test_configurations_are_split_into_what_is_shared_and_what_is_not() -> None:
    first = {"task": {"name": "copy", "length": 10}, "rate": 0.1, "own": None}
    second = {"task": {"name": "copy", "length": 20}, "rate": 0.1}
    shared = build.shared_entries([first, second])
    assert shared == {"task": {"name": "copy"}, "rate": 0.1}
    assert build.remove_entries(first, shared) == {"task": {"length": 10}, "own": None}
    assert build.remove_entries(second, shared) == {"task": {"length": 20}}

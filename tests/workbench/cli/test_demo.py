"""`workbench demo`: what it runs, and the examples that come with the bench."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

from workbench.cli import compare, demo
from workbench.cli.main import main

ROOT = Path(__file__).parents[3]


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Arguments that `workbench compare` was given; nothing is trained."""
    given: list[list[str]] = []

    def note(arguments: Sequence[str]) -> int:
        given.append([*arguments])
        return 0

    monkeypatch.setattr(compare, "main", note)
    return given


def test_it_compares_by_the_configuration_that_comes_along(compared: list[list[str]]) -> None:
    assert main(["demo"]) == 0
    assert main(["demo", "--seeds", "5", "--out", "other"]) == 0
    config = str(ROOT / "examples/demo.yaml")
    assert compared == [
        ["--config", config, "--out", "demo"],
        ["--config", config, "--out", "demo", "--seeds", "5", "--out", "other"],
    ]


def test_later_options_win(tmp_path: Path) -> None:
    quick = ["--architectures", "rnn", "--task.needle.length", "3", "--seeds", "1", "--steps", "1", "--wandb", "off"]
    quick += ["--evaluation-size", "2", "--workers", "1", "--out", str(tmp_path / "out")]
    assert main(["demo", *quick]) == 0
    # The configuration has options for tasks that are not compared then; the same run is read.
    assert main(["demo", "--tasks", "needle", *quick]) == 0
    (config,) = tmp_path.glob("out/runs/needle/rnn/*/seed-0/config.yaml")
    values = yaml.safe_load(config.read_text())
    assert values["task"]["options"] == {"length": 3, "features": 2, "depth": None}
    assert values["optimization"]["learning_rate"] == 0.01
    assert values["budget"]["steps"] == 1


def test_the_examples_are_copied_but_never_over_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "new" / "examples"
    assert main(["demo", "--copy", str(folder)]) == 0
    names = sorted(path.name for path in (ROOT / "examples").iterdir())
    assert {"demo.yaml", "sweep.yaml"} <= {*names}
    assert capsys.readouterr().out.splitlines() == [str(folder / name) for name in names]
    for name in names:
        assert (folder / name).read_bytes() == (ROOT / "examples" / name).read_bytes()
    (folder / "sweep.yaml").unlink()
    (folder / "demo.yaml").write_text("mine")
    assert main(["demo", f"--copy={folder}"]) == 2
    assert "exists already" in capsys.readouterr().err
    assert (folder / "demo.yaml").read_text() == "mine"
    assert not (folder / "sweep.yaml").exists()


def test_the_help_says_what_it_does_and_how_long(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["demo", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    configuration = yaml.safe_load((ROOT / "examples/demo.yaml").read_text())
    runs = len(configuration["tasks"]) * len(configuration["architectures"]) * configuration["seeds"]
    assert f"{runs} runs" in said
    assert "minutes" in said


def test_an_installed_package_has_the_examples_inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "workbench"
    (package / "cli").mkdir(parents=True)
    monkeypatch.setattr(demo, "__file__", str(package / "cli" / "demo.py"))
    assert demo.examples_folder() == tmp_path / "examples"
    (package / "examples").mkdir()
    assert demo.examples_folder() == package / "examples"

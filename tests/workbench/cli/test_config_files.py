"""A file's options for tasks and architectures that the command line replaces are left out; others are refused."""

from pathlib import Path

import pytest

from workbench.cli.compare import build_parser
from workbench.cli.config_files import dropped_names, merge_options
from workbench.cli.main import main
from workbench.cli.parser import parse_arguments
from workbench.comparison import Comparison

FILE = """
tasks: [copy, parity, file:data/waves.csv]
architectures: lstm, gru
task: {copy: {length: 5}, parity: {length: 4}, waves: {target: label}}
architecture: {gru: {num_layers: 2}}
"""


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "comparison.yaml"
    path.write_text(FILE)
    return str(path)


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[Comparison]:
    """Comparisons that would be trained."""
    made: list[Comparison] = []

    def note(values: dict[str, object]) -> Comparison:
        made.append(from_dict(values))
        raise SystemExit(0)

    from_dict = Comparison.from_dict
    monkeypatch.setattr(Comparison, "from_dict", note)
    return made


def test_what_the_command_line_replaces_is_known(config: str) -> None:
    values, _ = parse_arguments(build_parser(), ["--config", config, "--tasks", "parity", "--out", "out"])
    assert dropped_names("task", values) == {"copy", "file:data/waves.csv"}
    assert dropped_names("architecture", values) == set()
    values, _ = parse_arguments(build_parser(), ["--config", config, "--architectures", "rwa,lstm", "--out", "out"])
    assert (dropped_names("task", values), dropped_names("architecture", values)) == (set(), {"gru"})
    values, _ = parse_arguments(build_parser(), ["--tasks", "parity", "--architectures", "lstm", "--out", "out"])
    assert dropped_names("task", values) == set()


def test_options_of_what_is_dropped_are_left_out_and_the_others_stay() -> None:
    file = {"copy": {"length": 5}, "parity": {"length": 4}, "waves": {"target": "label"}, "prity": {"length": 3}}
    merged = merge_options("task", file, {"parity": {"readout": "last"}}, {"copy", "file:data/waves.csv"})
    # What is misspelt is kept, to be refused.
    assert merged == {"parity": {"length": 4, "readout": "last"}, "prity": {"length": 3}}


def test_other_tasks_and_architectures_than_a_file_has(config: str, compared: list[Comparison], tmp_path: Path) -> None:
    arguments = ["compare", "--config", config, "--tasks", "parity", "--architectures", "lstm,rwa"]
    with pytest.raises(SystemExit):
        main([*arguments, "--out", str(tmp_path / "out")])
    (comparison,) = compared
    assert comparison.tasks == ("parity",)
    assert comparison.architectures == ("lstm", "rwa")
    assert comparison.task == {"parity": {"length": 4}}
    assert comparison.architecture == {}


@pytest.mark.parametrize("more", [["--task.copy.length", "3"], []])
def test_what_was_never_listed_is_refused(more: list[str], config: str, tmp_path: Path, capsys) -> None:
    if not more:
        Path(config).write_text(FILE.replace("parity: {", "prity: {"))
    assert main(["compare", "--config", config, "--tasks", "parity", *more, "--out", str(tmp_path / "out")]) == 2
    name = "copy" if more else "prity"
    assert f"options are given for task '{name}', which is not compared" in capsys.readouterr().err

"""`workbench report`: formats, palettes, and two folders side by side."""

from pathlib import Path

import matplotlib as mpl
import pytest

from tests.analysis.report_runs import experiment, write_run
from workbench.cli.main import main


@pytest.fixture
def folders(tmp_path: Path) -> list[str]:
    for name in ("before", "after"):
        write_run(tmp_path / name, experiment("lstm"), loss=0.01 if name == "before" else 0.02)
    return [str(tmp_path / "before"), str(tmp_path / "after")]


@pytest.mark.usefixtures("all_default_formats")
def test_formats_and_palette_are_those_of_this_report_alone(folders: list[str]) -> None:
    out = Path(folders[0])
    orange = mpl.colors.to_hex(mpl.color_sequences["tab10"][1])
    assert main(["report", str(out), "--format", "pdf", "--palette", "tab10"]) == 0
    names = [path.name for path in (out / "figures").iterdir() if not path.name.startswith(".")]
    assert names
    assert {Path(name).suffix for name in names} == {".pdf"}
    # The swatch of the table, and the figure.
    assert (out / "report.html").read_text(encoding="utf-8").count(orange) > 1
    assert main(["report", str(out)]) == 0
    suffixes = {path.suffix for path in (out / "figures").iterdir() if not path.name.startswith(".")}
    assert suffixes == {".svg", ".png"}
    assert orange not in (out / "report.html").read_text(encoding="utf-8")


def test_two_folders_give_a_table_and_a_page(folders: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", *folders]) == 0
    lines = capsys.readouterr().out.splitlines()
    page = Path(folders[1]) / "report-against-before.html"
    assert lines[:2] == [f"A: {folders[0]}", f"B: {folders[1]}"]
    assert lines[-1] == str(page)
    (row,) = [line.split() for line in lines if line.startswith("lstm ")]
    assert row[:6] == ["lstm", "1", "1", "0.0100", "0.0200", "2.00"]
    assert page.is_file()
    assert not list(Path(folders[0]).glob("*.html"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["A", "--palette", "colorblnd"], "did you mean 'colorblind'"),
        (["A", "--format", "gif"], "unknown format 'gif'"),
        (["A", "--out", "x.html"], "--out goes with two folders"),
        (["A", "A"], "are the same folder"),
        (["A", "B", "A"], "one folder, or two to set side by side, not 3"),
        (["A", "B", "--format", "pdf"], "--format goes with one folder"),
        (["A", "B", "--palette", "x"], "unknown palette 'x'"),
        (["A", "B", "--out", "A/report.html"], "is the report of one of the folders"),
        (["A", "absent"], "there is no folder"),
        (["A", "."], "there are no finished runs in"),
    ],
)
def test_mistakes_are_one_line(
    folders: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    names = {"A": folders[0], "B": folders[1], "A/report.html": f"{folders[0]}/report.html"}
    assert main(["report", *(names.get(argument, argument) for argument in arguments)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert message in captured.err
    assert not list(tmp_path.rglob("*.html"))

"""`workbench reproduce`: a table trained in one sitting or in many, and the statements on its page."""

import json
import signal
import time
from pathlib import Path

import pytest
import yaml

from analysis.formatting import ABSENT
from analysis.papers import preset_files
from workbench.cli.execution import OUT_OF_TIME, stop_on_interrupt
from workbench.cli.main import main

TINY = {
    "title": "Addition, very short",
    "sources": ["RWA author's logs"],
    "measures": ["val/loss < 0.01, 3 times", "test/loss"],
    "full": {
        "tasks": ["addition"],
        "architectures": ["rwa", "lstm"],
        "seeds": 2,
        "hidden_size": 8,
        "batch_size": 4,
        "steps": 40,
        "log_every": 10,
        "evaluation_size": 20,
        "task": {"addition": {"length": 100}},
    },
    "long": {"steps": 20, "task": {"addition": {"length": 10}}},
    "unlike": ["It is a test."],
}


@pytest.fixture
def presets(tmp_path, monkeypatch):
    folder = tmp_path / "presets"
    folder.mkdir()
    (folder / "tiny.yaml").write_text(yaml.safe_dump(TINY))
    (folder / "curves.yaml").write_text(yaml.safe_dump({"title": "Curves", "of": ["tiny"]}))
    monkeypatch.setattr(preset_files, "FOLDER", folder)
    return folder


def results(out: Path) -> dict[str, tuple[bytes, bytes]]:
    """Returns the result and the metrics of every run, by its folder."""
    return {
        str(path.parent.relative_to(out)): (path.read_bytes(), (path.parent / "metrics.csv").read_bytes())
        for path in sorted(out.rglob("result.json"))
    }


def test_time_that_is_up_before_anything_is_done_says_so_everywhere(presets, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["reproduce", "tiny", "--out", str(out), "--time-limit", "0.01s"]) == OUT_OF_TIME
    captured = capsys.readouterr()
    assert "the time is up: 0 of 4 runs are finished; run the same command again to resume" in captured.err
    page = (out / "results/tiny-long.md").read_text()
    assert "**Not finished**: 0 of 4 runs, 0 % of the way." in page
    assert "partial, 0 of 4 runs (0 %)" in (out / "results/README.md").read_text()

    assert main(["reproduce", "tiny", "--out", str(out)]) == 0
    page = (out / "results/tiny-long.md").read_text()
    assert "Not finished" not in page
    assert "**This is not the paper's setting.**" in page
    assert "steps 20 instead of 40 (1/2); length 10 instead of 100 (1/10)" in page
    for path in out.rglob("result.json"):
        result = json.loads(path.read_text())
        assert result["steps"] == 20
    index = (out / "results/README.md").read_text()
    assert "| not run | [done](tiny-long.md)" in index

    before = results(out)
    capsys.readouterr()
    assert main(["reproduce", "tiny", "--out", str(out)]) == 0
    assert "4 of 4 runs are finished already and are read" in capsys.readouterr().err
    assert results(out) == before
    assert len(before) == 4

    # A figure made of other tables' runs trains nothing again.
    assert main(["reproduce", "curves", "--out", str(out), "--pages", str(tmp_path / "pages")]) == 0
    assert results(out) == before
    page = (tmp_path / "pages/curves-long.md").read_text()
    (figure,) = (tmp_path / "pages/figures").glob("curves-long-*.svg")
    assert f"](figures/{figure.name})" in page


def test_what_is_computed_otherwise_has_runs_and_a_page_of_its_own(presets, tmp_path, capsys):
    out = tmp_path / "out"
    command = ["reproduce", "tiny", "--seeds", "1", "--out", str(out)]
    assert main(command) == 0
    usual = (out / "results/tiny-long.md").read_bytes()
    before = results(out)
    assert len(before) == 2
    assert main([*command, "--precision", "bf16", "--draw", "device"]) == 0
    name = "tiny-long-bf16-drawn-on-device"
    assert capsys.readouterr().out.splitlines()[-1].startswith(f"{out / 'results' / name}.md: ")
    assert (out / "results/tiny-long.md").read_bytes() == usual
    after = results(out)
    assert {key: after[key] for key in before} == before
    assert len(after) == 4
    page = (out / f"results/{name}.md").read_text()
    assert "> Computed in mixed precision, products in bfloat16; the usual page is in float32." in page
    assert "> Training data that has to be drawn is drawn on the device that trains." in page
    assert "> **This is not the paper's setting.** It is its task at its length, by its criterion" in page
    assert "made cheaper: steps 20 instead of 40 (1/2); length 10 instead of 100 (1/10).\n" in page
    assert "`workbench reproduce tiny --scale long --seeds 1 --precision bf16 --draw device`" in page
    # No paper says it.
    assert f"| precision | {ABSENT} | bf16 |" in page
    assert f"| draw | {ABSENT} | device |" in page
    index = (out / "results/README.md").read_text()
    assert "[done](tiny-long.md)" in index
    assert f"<br>[done, bf16 drawn on device]({name}.md)" in index


def test_a_figure_is_made_of_runs_that_are_computed_alike(presets, tmp_path):
    out = tmp_path / "out"
    assert main(["reproduce", "curves", "--seeds", "1", "--out", str(out), "--draw", "device"]) == 0
    assert len(results(out)) == 2
    assert "2 of 2 runs finished" in (out / "results/curves-long-drawn-on-device.md").read_text()
    assert list((out / "results/figures").glob("curves-long-drawn-on-device-*.svg"))


def test_rates_are_tried_first_and_the_best_trains_all_seeds(presets, tmp_path):
    grid = {**TINY, "long": {**TINY["long"], "each": {"lstm": {"rates": [0.001, 0.01], "rate_seeds": 1}}}}  # type: ignore[dict-item]
    (presets / "tiny.yaml").write_text(yaml.safe_dump(grid))
    out = tmp_path / "out"
    command = ["reproduce", "tiny", "--seeds", "1", "--out", str(out)]
    assert main([*command, "--time-limit", "0.01s"]) == OUT_OF_TIME
    assert "**Not finished**: 0 of 4 runs" in (out / "results/tiny-long.md").read_text()
    assert main(command) == 0
    runs = list(out.rglob("result.json"))
    assert sorted(path.parent.name for path in runs) == ["seed-0", "seed-0", "seed-1000000", "seed-1000000"]
    page = (out / "results/tiny-long.md").read_text()
    assert "4 of 4 runs finished" in page
    assert page.count("| lstm | ") == 4  # of two metrics, the rates, and the budget
    before = results(out)
    assert main(command) == 0
    assert results(out) == before


def test_claims_are_written_with_every_page_and_alone(presets, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["reproduce", "--claims", "--out", str(out)]) == 2
    assert f"{out / 'results'} is not a folder of pages; name one as --pages" in capsys.readouterr().err
    assert main(["reproduce", "tiny", "--seeds", "1", "--out", str(out), "--time-limit", "0.01s"]) == OUT_OF_TIME
    written = (out / "results/claims.md").read_bytes()
    assert b"The LSTM does not learn to add two numbers" in written
    (out / "results/claims.md").unlink()
    assert main(["reproduce", "--claims", "--pages", str(out / "results")]) == 0
    assert (out / "results/claims.md").read_bytes() == written
    assert main(["reproduce", "tiny", "--claims", "--pages", str(out / "results")]) == 2
    assert "--claims is about every preset; leave out tiny" in capsys.readouterr().err


def test_the_time_is_up_once_and_not_after_the_end():
    class Pool:
        stopping = False
        stops = 0

        def stop(self):
            self.stopping, self.stops = True, self.stops + 1

        def kill(self):
            raise AssertionError

    pool = Pool()
    with stop_on_interrupt(pool, deadline=time.monotonic() + 0.05) as reason:
        assert not reason.timed_out
        time.sleep(0.2)
        assert reason.timed_out
    assert pool.stops == 1
    other = Pool()
    with stop_on_interrupt(other, deadline=time.monotonic() + 0.1) as reason:
        pass
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    time.sleep(0.2)
    assert (other.stops, reason.timed_out) == (0, False)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name a preset: workbench reproduce PRESET (--list shows them)"),
        (["tinny"], "unknown preset 'tinny'; did you mean 'tiny'?; workbench reproduce --list shows them"),
        (["tiny", "--time-limit", "9"], "--time-limit 9: say the unit, as in 9s, 9m or 9h"),
        (["tiny", "--time-limit", "soon"], "--time-limit must be a time such as 90s, 9m or 1h30m, not 'soon'"),
        (["tiny", "--scale", "tiny"], "--scale 'tiny' is unknown; known: full, long, small"),
        (["tiny", "--precision", "16"], "--precision '16' is unknown; known: float32, bf16"),
        (["tiny", "--seeds", "0"], "seeds must be at least 1, not 0"),
        (["tiny", "--device", "cuda"], "--device cuda: PyTorch finds no CUDA device here"),
        (["tiny", "--out", "presets/tiny.yaml"], "is a file; --out names a folder for the results"),
        (["tiny", "--pages", "presets/tiny.yaml"], "presets/tiny.yaml is a file; --pages names a folder"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(arguments, message, presets, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["reproduce", *arguments]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert not list(tmp_path.rglob("runs/*"))


@pytest.mark.parametrize("name", ["README.md", "tiny-long.md", "tiny-full.json"])
def test_what_somebody_else_wrote_is_not_overwritten(name, presets, tmp_path, capsys):
    pages = tmp_path / "pages"
    pages.mkdir()
    (pages / name).write_text("# Mine\n")
    assert main(["reproduce", "tiny", "--out", str(tmp_path / "out"), "--pages", str(pages)]) == 2
    errors = capsys.readouterr().err
    assert str(pages / name) in errors
    assert errors.count("\n") == 1
    assert (pages / name).read_text() == "# Mine\n"
    assert not list(tmp_path.rglob("runs/*"))


def test_a_page_of_more_runs_stays_until_there_are_as_many(presets, tmp_path, capsys):
    pages, command = tmp_path / "pages", ["reproduce", "tiny", "--seeds", "1", "--pages", str(tmp_path / "pages")]
    assert main([*command, "--out", str(tmp_path / "out")]) == 0
    pages_before = {path: path.read_bytes() for path in pages.iterdir() if path.is_file()}
    capsys.readouterr()
    assert main([*command, "--out", str(tmp_path / "other"), "--time-limit", "0.01s"]) == OUT_OF_TIME
    captured = capsys.readouterr()
    assert "tiny-long.md stays as it is: it is made of 2 finished runs, and" in captured.err
    assert captured.out == ""
    assert {path: path.read_bytes() for path in pages.iterdir() if path.is_file()} == pages_before
    assert main([*command, "--out", str(tmp_path / "other")]) == 0
    assert "tiny-long.md: " in capsys.readouterr().out


def test_pages_that_cannot_be_made_are_refused_before_anything_is_trained(presets, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    command = ["reproduce", "tiny", "--out", str(tmp_path / "out"), "--pages", str(tmp_path / "file" / "sub")]
    assert main(command) == 2
    assert f"cannot write to {tmp_path / 'file' / 'sub'}: Not a directory" in capsys.readouterr().err
    assert not list(tmp_path.rglob("runs/*"))


def test_every_preset_is_listed(presets, capsys):
    assert main(["reproduce", "--list"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "curves               Curves",
        "tiny                 Addition, very short",
    ]


@pytest.mark.slow
def test_stopped_and_continued_five_times_it_equals_one_that_never_was(presets, tmp_path):
    full = {**TINY["full"], "seeds": 1, "hidden_size": 64, "steps": 40_000, "log_every": 2000}  # type: ignore[dict-item]
    (presets / "tiny.yaml").write_text(yaml.safe_dump({**TINY, "full": full}))
    command = ["reproduce", "tiny", "--scale", "full"]
    parts, whole = tmp_path / "parts", tmp_path / "whole"
    shares = []
    for _ in range(5):
        assert main([*command, "--out", str(parts), "--time-limit", "8s"]) == OUT_OF_TIME
        shares.append(json.loads((parts / "results/tiny-full.json").read_text())["share"])
    assert shares == sorted(shares)
    assert 0 < shares[-1] < 1
    assert main([*command, "--out", str(parts)]) == 0
    assert main([*command, "--out", str(whole)]) == 0
    assert results(parts) == results(whole)
    assert len(results(parts)) == 2

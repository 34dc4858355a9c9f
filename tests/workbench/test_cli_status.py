"""`workbench status`: what has become of the runs of a folder."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.analysis.dashboards.server_runs import write_comparison, write_unfinished_run
from tests.analysis.report_runs import experiment, write_run
from tests.analysis.tuning_studies import study, trial
from workbench.cli.main import main
from workbench.comparison import Comparison
from workbench.comparison_file import write_comparison as write_planned
from workbench.config import TUNING_SEED
from workbench.files import read_yaml, write_yaml
from workbench.run_folder import run_folder, run_lock, run_path
from workbench.study_files import write_study


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A comparison of four runs: one is under way, one has failed, one is finished, and one waits; and another run."""
    first, second, third, _ = write_comparison(tmp_path)
    write_unfinished_run(tmp_path, first, [0.3, 0.25, 0.2])
    failed = write_unfinished_run(tmp_path, second, [0.3])
    (failed / "error.log").write_text("Traceback (most recent call last):\n  here\nValueError: it \x1b[31mbroke\n\n")
    write_run(tmp_path, third, steps=1000, timing={"seconds": 600.0})
    write_run(tmp_path, experiment("rnn", task="copy"), loss=None, diverged_at=120, steps=120)
    return tmp_path


def status(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["status", *arguments]) == 0
    return capsys.readouterr().out


def status_json(capsys: pytest.CaptureFixture[str], out: Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(status(capsys, str(out), "--json"))
    return values


def test_it_says_what_is_done_what_is_under_way_and_what_went_wrong(
    out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = next(out.glob("runs/addition/lstm/*/seed-0"))
    with run_lock(folder):
        text = status(capsys, str(out))
    lines = text.splitlines()
    assert lines[0] == "2 of 5 runs finished; 1 of them not in comparison.yaml"
    assert lines[2].split() == ["task", "finished", "diverged", "running", "failed", "waiting"]
    assert lines[3].split() == ["addition", "1", "0", "1", "1", "1"]
    assert lines[4].split() == ["copy", "0", "1", "0", "0", "0"]
    running = lines[lines.index("running:") + 1]
    assert running.startswith("  lstm on addition, seed 0: step 300 of 1,000, process ")
    failed = lines[lines.index("failed:") + 1]
    assert failed.startswith("  gru on addition, seed 0: step 100 of 1,000; ValueError: it ")
    assert "\x1b" not in text
    assert failed.endswith(f"({next(out.resolve().glob('runs/addition/gru/*/seed-0'))})")


def test_what_is_left_is_estimated_from_what_has_finished(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status_json(capsys, out)["seconds_left"] is None, "no gru has finished"
    folder = next(out.glob("runs/addition/gru/*"))
    write_run(out, experiment_of(folder / "seed-0", seed=1), steps=1000, timing={"seconds": 100.0})
    # 700 of the 1,000 steps of an lstm that takes 600 s, and 900 of those of a gru that takes 100 s.
    values = status_json(capsys, out)
    assert values["seconds_left"] == pytest.approx(0.7 * 600 + 0.9 * 100)
    assert "one process would need about 8 min for the rest" in status(capsys, str(out))


def experiment_of(folder: Path, seed: int) -> Any:
    from workbench.config import Experiment

    return Experiment.from_dict({**read_yaml(folder / "config.yaml"), "seed": seed})


def test_runs_of_other_settings_do_not_stand_for_those_of_the_comparison(
    out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = status_json(capsys, out)
    assert (before["planned"], before["not_in_comparison"]) == (4, 1)
    write_run(out, experiment("gru", task_options={"length": 10}, hidden_size=4, steps=77, seed=1))
    after = status_json(capsys, out)
    assert (after["planned"], after["not_in_comparison"]) == (4, 2)
    assert after["tasks"]["addition"]["waiting"] == before["tasks"]["addition"]["waiting"] == 1


def test_trials_of_sweeps_are_not_runs(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nor are those that only choose a learning rate, of which a suite has hours before its first run."""
    before = status_json(capsys, out)
    assert before["learning_rate_runs"] == {"finished": 0, "unfinished": 0}
    write_run(out, experiment("gru", seed=TUNING_SEED))
    assert status_json(capsys, out) == {**before, "learning_rate_runs": {"finished": 1, "unfinished": 0}}
    assert "; of the runs that only choose a learning rate 1 finished, 0 begun" in status(capsys, str(out))


def test_before_the_first_run_the_choice_of_rates_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From the first step on, and where a study is damaged, too."""
    start = "no run that a table counts has begun; of the runs that only choose a learning rate"
    write_unfinished_run(tmp_path, experiment("gru", seed=TUNING_SEED), [0.3])
    assert status(capsys, str(tmp_path)) == f"{start} 0 finished, 1 begun\n"
    for number in range(1, 3):
        write_run(tmp_path, experiment("gru", seed=TUNING_SEED + number))
    assert status(capsys, str(tmp_path)) == f"{start} 2 finished, 1 begun\n"
    (tmp_path / "sweep").mkdir()
    (tmp_path / "sweep" / "lstm.json").write_text("{")
    assert main(["status", str(tmp_path)]) == 0
    captured = capsys.readouterr()
    assert captured.out == f"{start} 2 finished, 1 begun\n"
    assert "the studies cannot be read, and their trials not told apart: " in captured.err


def test_trials_of_a_sweep_choose_no_rates(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sweep = study(trials=[trial(0, 0.1), trial(1, 0.2)])
    write_study(tmp_path, sweep)
    for one in sweep.trials:
        assert one.identity is not None
        folder = run_path(tmp_path, sweep.task, sweep.architecture, one.identity, TUNING_SEED)
        folder.mkdir(parents=True)
        for name in ("config.yaml", "result.json"):
            (folder / name).write_text("{}")
    values = status_json(capsys, tmp_path)
    assert (values["trials"], values["learning_rate_runs"]) == (2, {"finished": 0, "unfinished": 0})


def test_a_folder_without_a_comparison_has_what_has_begun(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (out / "comparison.yaml").unlink()
    values = status_json(capsys, out)
    assert (values["planned"], values["finished"]) == (None, 2)
    assert {run["state"] for run in values["runs"]} == {"failed", "interrupted"}
    assert status(capsys, str(out)).startswith("2 of 4 runs finished")


def damage_result(out: Path) -> None:
    next(out.glob("runs/addition/lstm/*/seed-1/result.json")).write_text("{")


def damage_plan(out: Path) -> None:
    (out / "comparison.yaml").write_text("tasks: [")


def name_custom_code(out: Path) -> None:
    """What is not there, and would leave a trace if it were imported."""
    values = read_yaml(out / "comparison.yaml")
    write_yaml(out / "comparison.yaml", {**values, "architectures": ["nowhere:Encoder", "lstm"]})


@pytest.mark.parametrize(
    ("damage", "output", "error"),
    [
        (damage_result, "unreadable:\n  lstm on addition, seed 1: step 300 of 1,000; result.json is not readable", ""),
        (damage_plan, "2 of 4 runs finished", "comparison.yaml cannot be read: "),
        (name_custom_code, "2 of 6 runs finished; 2 of them not in comparison.yaml", ""),
    ],
)
def test_what_cannot_be_read_does_not_hide_the_rest(
    out: Path, capsys: pytest.CaptureFixture[str], damage: Callable[[Path], None], output: str, error: str
) -> None:
    damage(out)
    assert main(["status", str(out)]) == 0
    captured = capsys.readouterr()
    assert output in captured.out
    assert error in captured.err
    assert captured.err.count("\n") == bool(error)


def test_an_empty_folder_has_no_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status(capsys, str(tmp_path)) == "no run has begun here\n"
    assert main(["status", str(tmp_path / "absent")]) == 2


def test_it_writes_nothing_and_needs_no_torch(out: Path) -> None:
    before = sorted((path, path.stat().st_mtime_ns) for path in out.rglob("*"))
    code = (
        "import sys; from workbench.cli.main import main; status = main(['status', sys.argv[1]])\n"
        "heavy = {'torch', 'lightning', 'matplotlib', 'scipy', 'optuna'} & set(sys.modules)\n"
        "assert not heavy, heavy; sys.exit(status)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(out)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "2 of 5 runs finished" in done.stdout
    assert sorted((path, path.stat().st_mtime_ns) for path in out.rglob("*")) == before


@pytest.mark.parametrize("started_here", [True, False])
def test_a_file_of_ones_own_is_one_task_wherever_it_lies(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], started_here: bool
) -> None:
    data = tmp_path / "my waves.csv"
    data.write_text("a,b,y\n" + "".join(f"{i},{i % 3},{i % 2}\n" for i in range(60)))
    comparison = Comparison.from_dict(
        {"tasks": [f"file:{data}"], "architectures": ["gru"], "seeds": 3, "steps": 4, "hidden_size": 3}
        | {"task": {f"file:{data}": {"target": "y", "rows": "sequences"}}}
    )
    experiments = comparison.experiments()
    out = tmp_path / "out"
    out.mkdir()
    write_planned(out, comparison, experiments if started_here else ())
    folder = run_folder(out, experiments[0])
    folder.parent.mkdir(parents=True)
    write_run(tmp_path / "elsewhere", experiments[0], timing={"seconds": 60.0}).rename(folder)
    values = status_json(capsys, out)
    assert (values["planned"], values["not_in_comparison"], values["seconds_left"]) == (3, 0, 120.0)
    assert list(values["tasks"].values()) == [{"finished": 1, "waiting": 2}]


@pytest.mark.parametrize(
    ("name", "old", "new", "finished"),
    [
        # Such a result is no run's; without its time a run is as finished as with it.
        ("result.json", '"steps": 1000', '"steps": Infinity', 1),
        ("timing.json", '"seconds": 600.0', '"seconds": NaN', 2),
    ],
)
def test_numbers_that_are_none_end_nothing(
    out: Path, capsys: pytest.CaptureFixture[str], name: str, old: str, new: str, finished: int
) -> None:
    path = next(out.glob(f"runs/addition/lstm/*/seed-1/{name}"))
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    assert status(capsys, str(out)).startswith(f"{finished} of 5 runs finished")
    assert "NaN" not in status(capsys, str(out), "--json")


def test_a_number_of_seeds_that_nobody_can_run_is_counted_at_once(
    out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_yaml(out / "comparison.yaml", {**read_yaml(out / "comparison.yaml"), "seeds": 1_000_000})
    assert status(capsys, str(out)).startswith("2 of 2,000,001 runs finished")


def test_names_of_folders_are_text(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (out / "runs" / "copy").rename(out / "runs" / "co\x1b[31mpy")
    assert "\x1b" not in status(capsys, str(out))

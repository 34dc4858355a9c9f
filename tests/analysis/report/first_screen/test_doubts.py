"""What to distrust, for runs with known faults."""

from pathlib import Path
from typing import Any

from analysis.comparison.losses import compare_losses
from analysis.figures.histories import load_histories
from analysis.grouping import build_sections
from analysis.report.first_screen.doubts import Doubt, doubts_of_all, find_doubts
from tests.analysis.report_runs import experiment, write_run
from workbench.results import finished_runs

FLAT = (0.2, 0.1, *[0.05] * 8)


def doubts(out: Path) -> list[Doubt]:
    (section,) = build_sections(finished_runs(out))
    return list(find_doubts(section, compare_losses(section), load_histories(section)))


def write(out: Path, architecture: str, seeds: int, losses: tuple[float, ...] = FLAT, **fields: Any) -> None:
    fields = {"loss": 0.05, **fields}
    loss = fields.pop("loss")
    for seed in range(seeds):
        factor = 1 + 0.02 * seed
        write_run(out, experiment(architecture, seed=seed), losses=losses, loss=loss and loss * factor, **fields)


def test_sound_runs_leave_one_doubt(tmp_path: Path) -> None:
    write(tmp_path, "lstm", 5)
    write(tmp_path, "gru", 5, loss=0.001)
    (doubt,) = doubts(tmp_path)
    assert (doubt.text, doubt.option) == ("one learning rate, 0.001, for all", "workbench sweep run")
    assert doubt.command == (
        "workbench sweep run --tasks addition --task.addition.length 100 --architectures lstm,gru --steps 2000 "
        "--out ../tuned"
    )


def test_few_seeds(tmp_path: Path) -> None:
    write(tmp_path, "lstm", 2)
    write(tmp_path, "gru", 1, loss=0.001)
    first = doubts(tmp_path)[0]
    assert first.text == "1\u20132 seeds: indicative only"
    assert first.option == "--seeds 5"
    # 3 and 4 seeds of 10 s each.
    assert first.cost == "about 1 minute"
    assert first.command == "workbench compare --config comparison.yaml --seeds 5 --out ."


def test_unequal_sizes(tmp_path: Path) -> None:
    write(tmp_path, "lstm", 5, parameters=1_000)
    write(tmp_path, "gru", 5, loss=0.001, parameters=45_000)
    assert doubts(tmp_path)[0] == Doubt(
        kind="parameters",
        text="parameters: the most is 45 times the least (lstm 1,000, gru 45,000)",
        option="--match parameters",
        command="workbench compare --config comparison.yaml --match parameters --out ../matched",
    )


def test_sizes_within_a_factor_of_two_are_equal_enough(tmp_path: Path) -> None:
    write(tmp_path, "lstm", 5, parameters=1_000)
    write(tmp_path, "gru", 5, loss=0.001, parameters=2_000)
    assert not [doubt for doubt in doubts(tmp_path) if "times the least" in doubt.text]


def test_diverged_seeds(tmp_path: Path) -> None:
    write(tmp_path, "lstm", 4, loss=0.001)
    write(tmp_path, "gru", 3)
    write_run(tmp_path, experiment("gru", seed=3), loss=None, diverged_at=9, losses=FLAT[:2])
    first = doubts(tmp_path)[0]
    assert (first.text, first.option) == ("diverged seeds: gru 1 of 4", "--learning-rate 0.0005")


def test_a_loss_that_still_falls(tmp_path: Path) -> None:
    write(tmp_path, "lstm", 4, losses=tuple(0.5**step for step in range(12)))
    # 10 % from quarter to quarter, which is just not enough.
    write(tmp_path, "gru", 4, losses=tuple(0.905 ** (step // 3) for step in range(12)), loss=0.001)
    write(tmp_path, "rda", 4, losses=(0.3, 0.2, 0.1), loss=0.2)
    last = doubts(tmp_path)[-1]
    assert (last.text, last.option) == ("loss still falling at the end: lstm", "--steps 4000")


def test_other_rules_and_short_reach(tmp_path: Path) -> None:
    write(tmp_path, "lstm", 4, loss=0.001)
    for seed in range(4):
        write_run(
            tmp_path,
            experiment("tcn", seed=seed, batch_size=50),
            losses=FLAT,
            loss=0.1 + 0.01 * seed,
            receptive_field=31,
        )
    texts = [doubt.text for doubt in doubts(tmp_path)]
    assert "not all rows were trained alike: batch size differs" in texts
    assert "cannot see the whole sequence: tcn 31 of 100 steps" in texts


def test_names_are_quoted_in_commands(tmp_path: Path) -> None:
    write(tmp_path, "lstm", 4)
    write(tmp_path, "$(touch x):X", 4, loss=0.001)
    (command,) = [doubt.command for doubt in doubts(tmp_path) if doubt.option == "workbench sweep run"]
    assert "--architectures 'lstm,$(touch x):X' " in command


def test_of_several_tasks_each_kind_of_doubt_is_said_once() -> None:
    def doubt(kind: str, text: str, option: str = "") -> Doubt:
        return Doubt(kind=kind, text=text, option=option, command="a command of one task")

    found = doubts_of_all(
        {
            "a": [doubt("seeds", "3 seeds", "--seeds 5"), doubt("state", "twice", "--match state")],
            "b": [doubt("seeds", "3 seeds", "--seeds 12"), doubt("state", "thrice", "--match state")],
            "c": [doubt("seeds", "3 seeds"), doubt("reach", "too short"), doubt("budget", "short", "--steps 10")],
            "d": [doubt("seeds", "3 seeds"), doubt("budget", "short", "--clip norm")],
        }
    )
    assert [(each.text, each.option, each.command) for each in found] == [
        ("3 seeds", "--seeds 12", ""),
        ("twice, on a, and likewise on 1 other task", "--match state", ""),
        ("too short, on c", "", ""),
        ("short, on c and d", "", ""),
    ]

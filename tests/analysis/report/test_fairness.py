"""Fairness sentences, for runs with known differences."""

from pathlib import Path
from typing import Any

from analysis.grouping import Section, build_sections
from analysis.report.fairness import check_fairness
from tests.analysis.report_runs import experiment, write_run
from workbench.results import finished_runs


def read_section(out: Path) -> Section:
    (section,) = build_sections(finished_runs(out))
    return section


def check_two_rows(out: Path, lstm: dict[str, Any], rda: dict[str, Any], **run_fields: Any) -> tuple[bool, str]:
    write_run(out, experiment("lstm", **lstm), **run_fields)
    write_run(out, experiment("rda", **rda))
    fair, sentences = check_fairness(read_section(out))
    return fair, " ".join(sentences)


def test_alike(tmp_path: Path) -> None:
    for seed in (0, 1, 2):
        for architecture, parameters in (("lstm", 1000), ("rda", 1500)):
            write_run(tmp_path, experiment(architecture, seed=seed), parameters=parameters)
    assert check_fairness(read_section(tmp_path)) == (
        True,
        (
            "All rows had the same steps (2000), batch size (20), optimiser settings (adam, learning rate 0.001, "
            "gradients clipped by value at 1) and seeds (0\u20132).",
            "Widths are equal (hidden size 64); parameters from 1,000 to 1,500, a spread of 50 %.",
        ),
    )


def test_steps_differ(tmp_path: Path) -> None:
    fair, text = check_two_rows(tmp_path, {"steps": 2000}, {"steps": 500})
    assert not fair
    assert "steps differ: lstm 2000, rda 500." in text
    assert "batch size" not in text


def test_several_things_differ(tmp_path: Path) -> None:
    fair, text = check_two_rows(tmp_path, {"batch_size": 50, "learning_rate": 0.01}, {"clip": "norm", "seed": 3})
    assert not fair
    assert (
        "Not all rows were trained alike: batch size differs: lstm 50, rda 20; clip differs: lstm value, rda norm; "
        "learning rate differs: lstm 0.01, rda 0.001; seeds differ: lstm 0, rda 3."
    ) in text
    assert "steps" not in text


def test_other_numerics_are_named_with_the_usual_ones(tmp_path: Path) -> None:
    """Configurations do not mention the usual numerics."""
    fair, text = check_two_rows(tmp_path, {"precision": "bf16"}, {"draw": "device"})
    assert not fair
    assert "draw differs: lstm cpu, rda device; precision differs: lstm bf16, rda float32." in text


def test_steps_are_those_made_and_a_diverged_run_breaks_no_rule(tmp_path: Path) -> None:
    write_run(tmp_path, experiment("lstm", seed=0))
    write_run(tmp_path, experiment("lstm", seed=1), loss=None, diverged_at=70, steps=70)
    write_run(tmp_path, experiment("gru", seed=0))
    write_run(tmp_path, experiment("gru", seed=1))
    assert check_fairness(read_section(tmp_path))[0]


def test_a_limit_on_time_is_named(tmp_path: Path) -> None:
    fair, text = check_two_rows(tmp_path, {"seconds": 60.0}, {"seconds": 60.0}, steps=900)
    assert not fair
    assert "steps differ: lstm 900, rda 2000." in text
    assert "The limit on training time was 60.0 s a run" in text


def test_runs_that_end_at_a_goal_differ_in_steps_on_purpose(tmp_path: Path) -> None:
    goal: dict[str, Any] = {"until": "val/loss < 0.1"}
    write_run(tmp_path, experiment("lstm", **goal), steps=700)
    write_run(tmp_path, experiment("rda", **goal), steps=300)
    fair, sentences = check_fairness(read_section(tmp_path))
    assert fair
    assert "All rows had the same budget of steps (2000), batch size (20)" in sentences[0]
    assert sentences[1] == (
        "A run ended at the first row of metrics by which its goal was met (val/loss < 0.1): compare the steps "
        "made, not the losses at the end."
    )


def test_other_goals_and_other_budgets_are_named(tmp_path: Path) -> None:
    goal: dict[str, Any] = {"until": "val/loss < 0.1"}
    fair, text = check_two_rows(tmp_path, {**goal, "steps": 500}, {"steps": 900, "until": "val/loss < 0.2"})
    assert not fair
    assert "budgets of steps differ: lstm 500, rda 900" in text
    assert "until differs: lstm val/loss < 0.1, rda val/loss < 0.2" in text
    assert "A run ended" not in text


def test_many_that_agree_are_all_others(tmp_path: Path) -> None:
    for architecture in ("rnn", "lstm", "gru", "rwa"):
        write_run(tmp_path, experiment(architecture))
    write_run(tmp_path, experiment("rda", steps=500))
    assert "steps differ: rda 500, all others 2000." in " ".join(check_fairness(read_section(tmp_path))[1])


def test_matched_parameters(tmp_path: Path) -> None:
    write_run(tmp_path, experiment("lstm", hidden_size=50), parameters=10_000)
    write_run(tmp_path, experiment("gru", hidden_size=58), parameters=10_123)
    assert (
        "Parameters are matched, from 10,000 to 10,123, a spread of 1.2 %; widths differ."
        in check_fairness(read_section(tmp_path))[1]
    )


def test_neither_widths_nor_parameters(tmp_path: Path) -> None:
    write_run(tmp_path, experiment("lstm", hidden_size=200), parameters=10_000, state_size=400)
    write_run(tmp_path, experiment("gru", hidden_size=58), parameters=20_000)
    assert "Neither widths nor parameters are equal: hidden size 58, 200; parameters from 10,000 to 20,000" in " ".join(
        check_fairness(read_section(tmp_path))[1]
    )


def test_other_machines_and_short_reach(tmp_path: Path) -> None:
    write_run(tmp_path, experiment("lstm"), timing={"device": "cuda"})
    write_run(tmp_path, experiment("tcn"), receptive_field=31)
    write_run(tmp_path, experiment("han"), receptive_field=100)
    fair, sentences = check_fairness(read_section(tmp_path))
    assert fair
    assert "Cannot see the whole sequence: tcn 31 of 100 steps." in sentences
    assert "Seconds a step cannot be compared: device differs: lstm cuda, tcn cpu, han cpu." in sentences


def test_other_data(tmp_path: Path) -> None:
    write_run(tmp_path, experiment("lstm"), trivial_loss=0.5)
    write_run(tmp_path, experiment("gru"), trivial_loss=0.5 + 1e-15)
    assert read_section(tmp_path).trivial_loss == 0.5
    assert check_fairness(read_section(tmp_path))[0]
    write_run(tmp_path, experiment("rda"), trivial_loss=0.25)
    assert read_section(tmp_path).trivial_loss is None
    assert "trivial loss differs: lstm 0.5, gru 0.5, rda 0.25." in check_fairness(read_section(tmp_path))[1][0]


def test_one_row(tmp_path: Path) -> None:
    write_run(tmp_path, experiment("lstm"))
    assert check_fairness(read_section(tmp_path)) == (True, ("There is one row, and nothing to compare it with.",))


def test_equal_states_are_told(tmp_path: Path) -> None:
    write_run(tmp_path, experiment("lstm", hidden_size=64), parameters=30_000)
    write_run(tmp_path, experiment("gru", hidden_size=128), parameters=50_000)
    sentences = check_fairness(read_section(tmp_path))[1]
    assert any(
        sentence.startswith("States are matched, from 128 to 128 numbers; widths differ, and parameters from 30,000")
        for sentence in sentences
    )


def test_unequal_sizes_are_a_fault(tmp_path: Path) -> None:
    write_run(tmp_path, experiment("lstm"), parameters=1_000)
    write_run(tmp_path, experiment("gru"), parameters=1_900)
    assert check_fairness(read_section(tmp_path))[0]
    write_run(tmp_path, experiment("han"), parameters=45_000)
    fair, sentences = check_fairness(read_section(tmp_path))
    assert not fair
    assert (
        "Unequal sizes: the numbers of parameters differ by a factor of 45.0 (lstm 1,000, han 45,000); "
        "--match parameters makes them equal."
    ) in sentences

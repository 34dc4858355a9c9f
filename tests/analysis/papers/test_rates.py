"""Learning rates from a grid: tried with seeds of their own, chosen on validation alone."""

from dataclasses import replace

import pytest

from analysis.papers import page
from analysis.papers.page_data import dump_tables
from analysis.papers.tables import build_tables
from analysis.presets.rates import load_progress, plan_trials
from tests.analysis.papers.known_tables import example_preset
from tests.analysis.report_runs import write_run
from workbench.config import TUNING_SEED
from workbench.errors import UserError

RATES = [0.01, 0.1]


def grid_preset(**rest):
    """Returns a preset whose row gru has a grid of two rates, with two seeds each, and whose row rwa has none."""
    return example_preset(full={"each": {"gru": {"rates": RATES, "rate_seeds": 2}}, "over": {"length": [8, 6]}}, **rest)


def write_trials(out, preset, losses, **values):
    """Writes the trials of a preset, with a validation loss for each rate and number of a seed."""
    trials = plan_trials(preset.plan("full"))
    for trial in trials:
        key = trial.experiment.optimization.learning_rate, trial.experiment.seed - TUNING_SEED
        write_run(out, trial.experiment, loss=losses[key], **values)
    return trials


def test_every_rate_is_tried_with_seeds_that_no_table_has_seed_by_seed():
    trials = plan_trials(grid_preset().plan("full"))
    assert [
        (each.experiment.seed - TUNING_SEED, each.variant, each.row, each.experiment.optimization.learning_rate)
        for each in trials
    ] == [(seed, variant, "gru", rate) for seed in (0, 1) for variant in (0, 1) for rate in RATES]
    assert plan_trials(example_preset().plan("full")) == []


def test_the_lowest_geometric_mean_of_the_validation_loss_is_chosen_once_all_trials_are_there(tmp_path):
    preset = grid_preset(measures=("test/loss",))
    plan = preset.plan("full")
    # Arithmetic means would choose the other rate: 0.105 and 0.09; geometric ones are 0.045 and 0.09.
    losses = {(0.01, 0): 0.01, (0.01, 1): 0.2, (0.1, 0): 0.09, (0.1, 1): 0.09}
    before = load_progress(tmp_path, preset, plan)
    assert [choice.chosen for choice in before.choices] == [None, None]
    assert {experiment.architecture.name for experiment in before.decided} == {"rwa"}
    assert (len(before.status.experiments), before.status.progress) == (8 + 8, 0)
    write_trials(tmp_path, preset, losses)
    after = load_progress(tmp_path, preset, plan)
    assert [(choice.row, choice.variant, choice.chosen) for choice in after.choices] == [
        ("gru", 0, 0.01),
        ("gru", 1, 0.01),
    ]
    rates = {(run.row, run.experiment.optimization.learning_rate) for run in after.planned}
    assert rates == {("gru", 0.01), ("rwa", 0.001)}
    assert {run.experiment.seed for run in after.planned} == {0, 1}
    assert after.status.progress == 0.5
    # Trials are no results.
    assert after.runs == ()


def test_a_goal_on_validation_comes_before_the_loss_and_one_on_training_does_not(tmp_path):
    losses = {(0.01, 0): 0.01, (0.01, 1): 0.01, (0.1, 0): 0.02, (0.1, 1): 0.02}
    for measure, chosen in (("val/loss < 0.15", 0.1), ("train/loss < 0.001", 0.01)):
        preset, out = grid_preset(measures=(measure,)), tmp_path / measure[:3]
        for trial in plan_trials(preset.plan("full")):
            rate = trial.experiment.optimization.learning_rate
            key = rate, trial.experiment.seed - TUNING_SEED
            # The larger rate is under the bound in the first row of metrics already.
            write_run(out, trial.experiment, loss=losses[key], losses=(0.2, 0.1) if rate == 0.01 else (0.1, 0.1))
        assert load_progress(out, preset, preset.plan("full")).choices[0].chosen == chosen


def test_a_rate_that_diverges_is_not_chosen_and_the_page_says_so(tmp_path):
    preset = grid_preset(measures=("test/loss",))
    write_trials(tmp_path, preset, {(0.01, 0): 0.5, (0.01, 1): 0.5, (0.1, 0): 0.25, (0.1, 1): None})
    progress = load_progress(tmp_path, preset, preset.plan("full"))
    assert progress.choices[0].chosen == 0.01
    for experiment in progress.decided:
        write_run(tmp_path, experiment)
    text = page.write_page(preset, "full", tmp_path, tmp_path / "pages").path.read_text()
    assert "Each rate was tried with 2 seeds of its own" in text
    assert "### learning rates, length 6\n\n| architecture | 0.01 | 0.1 |" in text
    assert text.count("| gru | **0.500, 0.500** | 0.250, diverged |") == 2
    assert "16 of 16 runs finished" in text


def test_rates_need_not_be_decided_for_a_row_to_have_its_line(tmp_path):
    preset = grid_preset()
    text = page.write_page(preset, "full", tmp_path, tmp_path / "pages").path.read_text()
    assert "| gru | \u2013 | \u2013 | 0 |" in text


def test_a_second_row_of_an_architecture_has_options_that_follow_the_variant():
    preset = example_preset(
        full={
            "architectures": ["lstm", "chrono"],
            "over": {"length": [8, 6]},
            "each": {"chrono": {"base": "lstm", "over": {"chrono": [12, 9]}}},
        }
    )
    planned = {(run.row, run.variant): run.experiment.architecture for run in preset.plan("full", 1)}
    assert {key: (part.name, part.options["chrono"]) for key, part in planned.items()} == {
        ("lstm", 0): ("lstm", None),
        ("chrono", 0): ("lstm", 12),
        ("lstm", 1): ("lstm", None),
        ("chrono", 1): ("lstm", 9),
    }


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rates": 0.1}, "rates must be a list of different learning rates, not 0.1"),
        ({"rates": [0.1, 0.1]}, "rates must be a list of different learning rates"),
        ({"rates": [0.1, 0]}, "rates must be above 0"),
        ({"rates": [0.1], "rate_seeds": 0}, "rate_seeds must be at least 1"),
    ],
)
def test_a_grid_that_cannot_be_is_one_line(settings, message):
    with pytest.raises(UserError, match=message):
        example_preset(full=settings).plan("full")


def test_other_settings_are_as_they_were():
    """A grid changes no identity but by the rate itself."""
    plain, grid = example_preset().plan("full"), example_preset(full={"rates": RATES}).plan("full")
    assert [run.experiment for run in plain] == [run.experiment for run in grid]
    chosen = replace(plain[0].experiment.optimization, learning_rate=0.1)
    trial = next(each for each in plan_trials(grid) if each.experiment.optimization.learning_rate == 0.1)
    assert trial.experiment == replace(plain[0].experiment, optimization=chosen, seed=TUNING_SEED)


def test_a_rate_at_the_end_of_its_grid_is_noted_for_the_claims(tmp_path):
    """Of two rates either is at an end; of three, the one in the middle is not; a single one is no grid."""
    for rates, edge in ((RATES, ["gru"]), ([0.001, 0.01, 0.1], []), ([0.01], [])):
        preset = example_preset(full={"each": {"gru": {"rates": rates, "rate_seeds": 1}}}, measures=("test/loss",))
        out = tmp_path / str(len(rates))
        write_trials(out, preset, {(rate, 0): 0.01 if rate == 0.01 else 0.5 for rate in rates})
        progress = load_progress(out, preset, preset.plan("full"))
        (table,) = build_tables(preset, "full", progress.planned, progress.runs, progress.choices)
        assert list(table.edge_rates) == edge
        assert dump_tables([table])[0]["edge_rates"] == edge

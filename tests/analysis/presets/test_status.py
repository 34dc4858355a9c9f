"""Status of a preset's runs, by its folder of results."""

from dataclasses import replace

import pytest

from analysis.presets.status import load_runs_status
from tests.analysis.papers.known_tables import example_preset
from tests.analysis.report_runs import write_run
from tests.workbench.experiments import finish
from tests.workbench.test_run import stop_after
from workbench.errors import UserError
from workbench.run import run
from workbench.run_folder import run_folder


@pytest.fixture
def experiments():
    """Four runs of 20 steps."""
    return example_preset().experiments("full")


def test_nothing_is_there(experiments, tmp_path):
    status = load_runs_status(tmp_path / "gone", experiments)
    assert (status.experiments, status.runs, status.under_way) == (tuple(experiments), (), ())
    assert (status.progress, status.complete) == (0.0, False)
    # Begun, and with no row yet.
    run_folder(tmp_path, experiments[0]).mkdir(parents=True)
    assert load_runs_status(tmp_path, experiments).progress == 0.0


def test_runs_that_are_finished_and_one_under_way(experiments, tmp_path):
    finish(experiments[1], tmp_path)
    # Stopped behind its third row, of step 15.
    assert run(experiments[2], tmp_path, stop=stop_after(17)) is None
    status = load_runs_status(tmp_path, experiments)
    assert [experiment.experiment for experiment in status.runs] == [experiments[1]]
    assert status.under_way == ((experiments[2], 15),)
    assert status.progress == pytest.approx((20 + 15) / 80)
    assert not status.complete
    for experiment in experiments:
        finish(experiment, tmp_path)
    status = load_runs_status(tmp_path, experiments)
    assert (status.progress, status.complete, status.under_way) == (1.0, True, ())
    assert [experiment.experiment for experiment in status.runs] == experiments


def test_a_run_that_reached_its_goal_or_diverged_is_whole(experiments, tmp_path):
    aimed = [
        replace(experiment, budget=replace(experiment.budget, until="val/loss < 1000")) for experiment in experiments
    ]
    assert finish(aimed[0], tmp_path).result["steps"] == 5
    assert load_runs_status(tmp_path, aimed).progress == 0.25
    write_run(tmp_path, aimed[1], loss=None, diverged_at=3, steps=3)
    assert load_runs_status(tmp_path, aimed).progress == 0.5


def test_longer_runs_are_more_of_it(experiments, tmp_path):
    longer = replace(experiments[0], budget=replace(experiments[0].budget, steps=180))
    write_run(tmp_path, experiments[1])
    assert load_runs_status(tmp_path, [longer, experiments[1]]).progress == pytest.approx(20 / 200)


def test_results_of_something_else_are_refused(experiments, tmp_path):
    folder = write_run(tmp_path, experiments[0])
    (folder / "config.yaml").write_text((write_run(tmp_path, experiments[1]) / "config.yaml").read_text())
    with pytest.raises(UserError, match=r"config\.yaml was changed"):
        load_runs_status(tmp_path, experiments)

"""How far a table is, by what lies in its folder of results."""

from dataclasses import replace

import pytest

from analysis.papers.status import runs_status
from tests.analysis.papers.known_tables import preset
from tests.analysis.report_runs import write_run
from tests.workbench.experiments import finish
from tests.workbench.test_run import stop_after
from workbench.errors import UserError
from workbench.run import run
from workbench.run_folder import run_folder


@pytest.fixture
def asked():
    """Four runs of 20 steps."""
    return preset().experiments("full")


def test_nothing_is_there(asked, tmp_path):
    found = runs_status(tmp_path / "gone", asked)
    assert (found.experiments, found.runs, found.under_way) == (tuple(asked), (), ())
    assert (found.share, found.complete) == (0.0, False)
    # Begun, and with no row yet.
    run_folder(tmp_path, asked[0]).mkdir(parents=True)
    assert runs_status(tmp_path, asked).share == 0.0


def test_runs_that_are_finished_and_one_under_way(asked, tmp_path):
    finish(asked[1], tmp_path)
    # Stopped behind its third row, of step 15.
    assert run(asked[2], tmp_path, stop=stop_after(17)) is None
    found = runs_status(tmp_path, asked)
    assert [each.experiment for each in found.runs] == [asked[1]]
    assert found.under_way == ((asked[2], 15),)
    assert found.share == pytest.approx((20 + 15) / 80)
    assert not found.complete
    for each in asked:
        finish(each, tmp_path)
    found = runs_status(tmp_path, asked)
    assert (found.share, found.complete, found.under_way) == (1.0, True, ())
    assert [each.experiment for each in found.runs] == asked


def test_a_run_that_reached_its_goal_or_diverged_is_whole(asked, tmp_path):
    aimed = [replace(each, budget=replace(each.budget, until="val/loss < 1000")) for each in asked]
    assert finish(aimed[0], tmp_path).result["steps"] == 5
    assert runs_status(tmp_path, aimed).share == 0.25
    write_run(tmp_path, aimed[1], loss=None, diverged_at=3, steps=3)
    assert runs_status(tmp_path, aimed).share == 0.5


def test_longer_runs_are_more_of_it(asked, tmp_path):
    longer = replace(asked[0], budget=replace(asked[0].budget, steps=180))
    write_run(tmp_path, asked[1])
    assert runs_status(tmp_path, [longer, asked[1]]).share == pytest.approx(20 / 200)


def test_results_of_something_else_are_refused(asked, tmp_path):
    folder = write_run(tmp_path, asked[0])
    (folder / "config.yaml").write_text((write_run(tmp_path, asked[1]) / "config.yaml").read_text())
    with pytest.raises(UserError, match=r"config\.yaml was changed"):
        runs_status(tmp_path, asked)

"""What is pushed to W&B: the same view and report each time, and a report that says what was found."""

import json
import re

import pytest

pytest.importorskip("wandb_workspaces", reason="pip install 'sequence-workbench[workspaces]'")

from analysis.dashboards.workspace import push as pushing
from analysis.dashboards.workspace import report
from analysis.dashboards.workspace.content import content
from analysis.dashboards.workspace.panels import library, panel_title
from analysis.dashboards.workspace.push import push
from analysis.grouping import sections
from analysis.report.summary import summary
from analysis.style import LINE_STYLES
from tests.analysis.dashboards.panel_names import metrics_of_panel
from tests.analysis.dashboards.workspace_runs import write_results
from tests.analysis.report_runs import experiment, write_run
from workbench import study_files
from workbench.errors import UserError
from workbench.results import finished


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    return write_results(tmp_path_factory.mktemp("pushed") / "results")


@pytest.fixture
def sent(monkeypatch):
    """What would have been sent: (kind, object's id as sent, object)."""
    kept = []

    def workspace(space):
        kept.append(("workspace", space._internal_name, space))
        if not space._internal_name:
            space._internal_name, space._internal_id = f"nw-{len(kept)}-v", f"id{len(kept)}"
        return f"https://w.example/{space._internal_name}"

    def made(what):
        kept.append(("report", what.id, what))
        what.id = what.id or f"report{len(kept)}"
        return f"https://w.example/{what.id}"

    monkeypatch.setattr(pushing, "save_workspace", workspace)
    monkeypatch.setattr(pushing, "save_report", made)
    return kept


@pytest.fixture
def small(tmp_path):
    write_run(tmp_path, experiment("lstm"))
    write_run(tmp_path, experiment("lstm", task="copy", task_options={"length": 20}))
    return tmp_path


def text_of(block):
    """The words of a block."""
    given = getattr(block, "items", None) or getattr(block, "text", "")
    parts = given if isinstance(given, list) else [given]
    return " ".join(str(getattr(part, "text", part)) for part in parts)


def blocks_of(out, *tasks):
    return report.blocks(content(out, tasks), entity="me", project="p")


def grids(blocks):
    return [block for block in blocks if type(block).__name__ == "PanelGrid"]


def test_the_report_says_what_was_found(out):
    said = [text_of(block) for block in blocks_of(out)]
    whole = "\n".join(said)
    for section in sections(finished(out), study_files.read(out)):
        assert section.title in said
        for sentence in summary(section):
            assert sentence in whole
    assert "Who is best at what" in said
    assert "Who holds most of a random past?" in said
    assert sum(each.startswith("Fairness") for each in said) == 2
    assert out.name in whole
    assert str(out.resolve().parent) not in whole, "whoever reads it need not know where"
    assert "6 finished runs" in said[0]


def test_rankings_are_said_only_where_something_was_probed(small):
    said = [text_of(block) for block in blocks_of(small)]
    assert "Who is best at what" not in said
    assert any("lstm is the only row with a test loss" in each for each in said)


def test_the_reports_grids_show_the_runs_of_one_task_in_the_colours_of_the_report(out):
    found = {grid.runsets[0].name: grid for grid in grids(blocks_of(out))}
    assert {name.partition(": ")[2] for name in found} == {"Learning", "Cost", "Memory length", ""}
    grid = found["addition, length=100: Learning"]
    identities = {run.experiment.identity for run in finished(out) if run.experiment.task.name == "addition"}
    assert set(re.findall(r"'([0-9a-f]{12})'", grid.runsets[0].filters)) == identities
    assert "Metric(\"JobType\") in ['addition']" in grid.runsets[0].filters
    colours = {next(key.value for key in group.keys): colour for group, colour in grid.custom_run_colors.items()}
    assert colours == {"lstm": LINE_STYLES["lstm"].colour, "rda": LINE_STYLES["rda"].colour}
    assert all(runs.color in colours.values() for runs in grid.runsets[0].run_settings.values())
    assert "Test loss at the end" in [panel_title(panel) for panel in grid.panels]
    # Accuracy belongs to the other task alone.
    names = {name for panel in grid.panels for name in metrics_of_panel(panel)}
    assert "val/loss" in names
    assert "val/accuracy" not in names


def test_the_reports_figures_are_those_of_the_comparisons_own_run(out):
    grid = grids(blocks_of(out))[-1]
    assert grid.runsets[0].filters == "Metric(\"JobType\") in ['comparison']"
    assert {key for panel in grid.panels for key in panel.media_keys} == {
        *(f"figure/{path.stem}" for path in (out / "figures").glob("*.png")),
        "report/page",
    }


def test_the_report_of_one_task_says_nothing_of_the_other(out):
    said = "\n".join(text_of(block) for block in blocks_of(out, "copy"))
    assert "copy, length=20" in said
    assert "addition" not in said


def test_a_sweep_without_fresh_runs_has_a_report(tmp_path):
    from tests.analysis.tuning_studies import study, trial
    from workbench.config import TUNING_SEED

    made = experiment("gru", seed=TUNING_SEED)
    write_run(tmp_path, made)
    study_files.write(tmp_path, study("gru", [trial(0, 0.1, identity=made.identity)]))
    blocks = blocks_of(tmp_path)
    assert "No run on fresh seeds has finished yet." in text_of(blocks[0])
    assert [grid.runsets[0].name for grid in grids(blocks)] == ["trials"]


def test_the_report_is_what_the_library_can_send(out, monkeypatch):
    import wandb_workspaces.reports.v2.interface as interface

    # The only thing that a report asks W&B for before it is saved: the number of the project.
    monkeypatch.setattr(interface, "_get_api", lambda: None)
    monkeypatch.setattr(interface, "execute_graphql", lambda *given: {"project": {"internalId": "17"}})
    made = pushing.report_of(content(out), {}, entity="me", project="p")
    plain = json.loads(made._to_model().spec.model_dump_json(by_alias=True, exclude_none=True))
    kinds = [block["type"] for block in plain["blocks"]]
    assert kinds.count("panel-grid") == len(grids(made.blocks))
    # Learning, cost and memory of each of the two tasks; the trials; the figures.
    assert kinds.count("panel-grid") == 3 * 2 + 1 + 1
    panels = [
        panel
        for block in plain["blocks"]
        if block["type"] == "panel-grid"
        for panel in block["metadata"]["panelBankSectionConfig"]["panels"]
    ]
    ids = [panel["__id__"] for panel in panels]
    assert len(ids) == len(set(ids)) > 20


def test_pushing_again_updates_the_same_view_and_report(small, sent):
    first = push(small, entity="me", project="p")
    again = push(small, entity="me", project="p")
    assert first == again
    assert [(kind, before) for kind, before, _ in sent] == [
        ("workspace", ""),
        ("report", ""),
        ("workspace", "nw-1-v"),
        ("report", "report2"),
    ]
    assert sent[2][2]._internal_id == "id1"
    assert (sent[0][2].entity, sent[0][2].project, sent[1][2].entity, sent[1][2].project) == ("me", "p", "me", "p")
    kept = json.loads((small / "wandb" / "dashboard.json").read_text())
    assert kept["me/p"]["workspace"] == {"name": "nw-1-v", "id": "id1", "url": first.workspace}
    assert kept["me/p"]["report"] == {"id": "report2", "url": first.report}


def test_another_project_or_another_choice_of_tasks_is_another_view(small, sent):
    push(small, entity="me", project="p")
    push(small, entity="me", project="q")
    push(small, entity="me", project="p", tasks=("copy",))
    assert [before for kind, before, _ in sent if kind == "workspace"] == ["", "", ""]
    push(small, entity="me", project="p")
    assert sent[-1][1] == "report2"


def test_a_view_is_remembered_although_the_report_fails(small, sent, monkeypatch):
    def refused(made):
        raise ValueError("Run set 'trials' project 'me/p' not found.\nPlease verify")

    with monkeypatch.context() as failing:
        failing.setattr(pushing, "save_report", refused)
        with pytest.raises(UserError, match=r"W&B did not take the report: .*not found. Please verify") as told:
            push(small, entity="me", project="p")
    assert "\n" not in str(told.value)
    push(small, entity="me", project="p")
    assert [before for kind, before, _ in sent if kind == "workspace"] == ["", "nw-1-v"]


def test_what_the_server_says_is_one_line_and_nothing_else_is_printed(small, monkeypatch, capsys):
    import wandb

    def refused(space):
        wandb.termlog("something on the way")
        raise wandb.errors.CommError("permission\n denied " + "x" * 2000)

    monkeypatch.setattr(pushing, "save_workspace", refused)
    with pytest.raises(UserError, match="W&B did not take the workspace: permission denied") as told:
        push(small, entity="me", project="p")
    assert "\n" not in str(told.value)
    assert len(str(told.value)) < 600
    assert capsys.readouterr() == ("", "")
    assert not (small / "wandb" / "dashboard.json").exists()


@pytest.mark.parametrize(
    "text", ["[]", "nothing", '{"me/p": 1}', '{"me/p": {"workspace": 1}}', '{"me/p": {"report": {"id": 3, "url": ""}}}']
)
def test_a_damaged_memory_is_refused_before_anything_is_sent(small, sent, text):
    path = small / "wandb" / "dashboard.json"
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(UserError):
        push(small, entity="me", project="p")
    assert not sent
    assert path.read_text() == text


def test_a_folder_that_cannot_be_written_to_is_noticed_before_anything_is_sent(small, sent):
    (small / "wandb").write_text("in the way")
    with pytest.raises(UserError, match="cannot write"):
        push(small, entity="me", project="p")
    assert not sent


def test_the_workspace_is_sent_by_the_librarys_own_save(small, monkeypatch):
    space = pushing.workspace_of(content(small), {"name": "nw-old-v", "id": "V1"}, entity="me", project="p")
    asked = []

    def upsert(view):
        asked.append((view.entity, view.project, view.name, view.id))
        return {"upsertView": {"view": {"name": view.name, "id": view.id}}}

    monkeypatch.setattr("wandb_workspaces.workspaces.internal.upsert_view2", upsert)
    monkeypatch.setattr("wandb_workspaces.workspaces.interface.get_app_url", lambda api: "https://w.example")
    monkeypatch.setattr("wandb.Api", lambda: None)
    assert pushing.ask("workspace", small, lambda: pushing.save_workspace(space)) == "https://w.example/me/p?nw=old"
    assert asked == [("me", "p", "nw-old-v", "V1")]
    assert library().workspaces.Workspace is type(space)

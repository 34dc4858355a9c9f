"""Workspace and report as pushed to W&B: each push updates the same two, and the report states the findings."""

import json
import re

import pytest

pytest.importorskip("wandb_workspaces", reason="pip install 'sequence-workbench[workspaces]'")

from analysis.dashboards.workspace import push as pushing
from analysis.dashboards.workspace import report
from analysis.dashboards.workspace.content import load_content
from analysis.dashboards.workspace.panels import load_library, panel_title
from analysis.dashboards.workspace.push import push
from analysis.grouping import build_sections
from analysis.report.summary import summary
from analysis.style import LINE_STYLES
from tests.analysis.dashboards.panel_names import metrics_of_panel
from tests.analysis.dashboards.workspace_runs import write_results
from tests.analysis.report_runs import experiment, write_run
from workbench import study_files
from workbench.errors import UserError
from workbench.results import finished_runs


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    return write_results(tmp_path_factory.mktemp("pushed") / "results")


@pytest.fixture
def sent_objects(monkeypatch):
    """Records what would be sent: (kind, id as sent, object)."""
    objects = []

    def save_workspace(space):
        objects.append(("workspace", space._internal_name, space))
        if not space._internal_name:
            space._internal_name, space._internal_id = f"nw-{len(objects)}-v", f"id{len(objects)}"
        return f"https://w.example/{space._internal_name}"

    def save_report(report):
        objects.append(("report", report.id, report))
        report.id = report.id or f"report{len(objects)}"
        return f"https://w.example/{report.id}"

    monkeypatch.setattr(pushing, "save_workspace", save_workspace)
    monkeypatch.setattr(pushing, "save_report", save_report)
    return objects


@pytest.fixture
def small_results(tmp_path):
    write_run(tmp_path, experiment("lstm"))
    write_run(tmp_path, experiment("lstm", task="copy", task_options={"length": 20}))
    return tmp_path


def text_of(block):
    """Returns the text of a block."""
    text = getattr(block, "items", None) or getattr(block, "text", "")
    parts = text if isinstance(text, list) else [text]
    return " ".join(str(getattr(part, "text", part)) for part in parts)


def blocks_of(out, *tasks):
    return report.report_blocks(load_content(out, tasks), entity="me", project="p")


def panel_grids(blocks):
    return [block for block in blocks if type(block).__name__ == "PanelGrid"]


def test_the_report_says_what_was_found(out):
    texts = [text_of(block) for block in blocks_of(out)]
    full_text = "\n".join(texts)
    for section in build_sections(finished_runs(out), study_files.read_studies(out)):
        assert section.title in texts
        for sentence in summary(section):
            assert sentence in full_text
    assert "Who is best at what" in texts
    assert "Who holds most of a random past?" in texts
    assert sum(text.startswith("Fairness") for text in texts) == 2
    assert out.name in full_text
    assert str(out.resolve().parent) not in full_text, "whoever reads it need not know where"
    assert "6 finished runs" in texts[0]


def test_rankings_are_said_only_where_something_was_probed(small_results):
    texts = [text_of(block) for block in blocks_of(small_results)]
    assert "Who is best at what" not in texts
    assert any("lstm is the only row, with a test loss of" in text for text in texts)


def test_the_reports_grids_show_the_runs_of_one_task_in_the_colors_of_the_report(out):
    grids = {grid.runsets[0].name: grid for grid in panel_grids(blocks_of(out))}
    assert {name.partition(": ")[2] for name in grids} == {"Learning", "Cost", "Memory length", ""}
    grid = grids["addition, length=100: Learning"]
    identities = {run.experiment.identity for run in finished_runs(out) if run.experiment.task.name == "addition"}
    assert set(re.findall(r"'([0-9a-f]{12})'", grid.runsets[0].filters)) == identities
    assert "Metric(\"JobType\") in ['addition']" in grid.runsets[0].filters
    colors = {next(key.value for key in group.keys): color for group, color in grid.custom_run_colors.items()}
    assert colors == {"lstm": LINE_STYLES["lstm"].color, "rda": LINE_STYLES["rda"].color}
    assert all(runs.color in colors.values() for runs in grid.runsets[0].run_settings.values())
    assert "Test loss at the end" in [panel_title(panel) for panel in grid.panels]
    # Accuracy belongs to the other task alone.
    names = {name for panel in grid.panels for name in metrics_of_panel(panel)}
    assert "val/loss" in names
    assert "val/accuracy" not in names


def test_the_reports_figures_are_those_of_the_comparisons_own_run(out):
    grid = panel_grids(blocks_of(out))[-1]
    assert grid.runsets[0].filters == "Metric(\"JobType\") in ['comparison']"
    assert {key for panel in grid.panels for key in panel.media_keys} == {
        *(f"figure/{path.stem}" for path in (out / "figures").glob("*.png")),
        "report/page",
    }


def test_the_report_of_one_task_says_nothing_of_the_other(out):
    texts = "\n".join(text_of(block) for block in blocks_of(out, "copy"))
    assert "copy, length=20" in texts
    assert "addition" not in texts


def test_a_sweep_without_fresh_runs_has_a_report(tmp_path):
    from tests.analysis.tuning_studies import study, trial
    from workbench.config import TUNING_SEED

    run_config = experiment("gru", seed=TUNING_SEED)
    write_run(tmp_path, run_config)
    study_files.write_study(tmp_path, study("gru", [trial(0, 0.1, identity=run_config.identity)]))
    blocks = blocks_of(tmp_path)
    assert "No run on fresh seeds has finished yet." in text_of(blocks[0])
    assert [grid.runsets[0].name for grid in panel_grids(blocks)] == ["trials"]


def test_the_report_is_what_the_library_can_send(out, monkeypatch):
    # Imports the library, whose own use of others is warned of.
    load_library()
    import wandb_workspaces.reports.v2.interface as interface

    # The only thing that a report asks W&B for before it is saved: the number of the project.
    monkeypatch.setattr(interface, "_get_api", lambda: None)
    monkeypatch.setattr(interface, "execute_graphql", lambda *given: {"project": {"internalId": "17"}})
    wandb_report = pushing.prepare_report(load_content(out), {}, entity="me", project="p")
    plain = json.loads(wandb_report._to_model().spec.model_dump_json(by_alias=True, exclude_none=True))
    kinds = [block["type"] for block in plain["blocks"]]
    assert kinds.count("panel-grid") == len(panel_grids(wandb_report.blocks))
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


def test_pushing_again_updates_the_same_view_and_report(small_results, sent_objects):
    first = push(small_results, entity="me", project="p")
    again = push(small_results, entity="me", project="p")
    assert first == again
    assert [(kind, before) for kind, before, _ in sent_objects] == [
        ("workspace", ""),
        ("report", ""),
        ("workspace", "nw-1-v"),
        ("report", "report2"),
    ]
    assert sent_objects[2][2]._internal_id == "id1"
    assert (
        sent_objects[0][2].entity,
        sent_objects[0][2].project,
        sent_objects[1][2].entity,
        sent_objects[1][2].project,
    ) == ("me", "p", "me", "p")
    entries = json.loads((small_results / "wandb" / "dashboard.json").read_text())
    assert entries["me/p"]["workspace"] == {"name": "nw-1-v", "id": "id1", "url": first.workspace}
    assert entries["me/p"]["report"] == {"id": "report2", "url": first.report}


def test_another_project_or_another_choice_of_tasks_is_another_view(small_results, sent_objects):
    push(small_results, entity="me", project="p")
    push(small_results, entity="me", project="q")
    push(small_results, entity="me", project="p", tasks=("copy",))
    assert [before for kind, before, _ in sent_objects if kind == "workspace"] == ["", "", ""]
    push(small_results, entity="me", project="p")
    assert sent_objects[-1][1] == "report2"


def test_a_view_is_remembered_although_the_report_fails(small_results, sent_objects, monkeypatch):
    def refused(report):
        raise ValueError("Run set 'trials' project 'me/p' not found.\nPlease verify")

    with monkeypatch.context() as failing:
        failing.setattr(pushing, "save_report", refused)
        with pytest.raises(UserError, match=r"W&B did not take the report: .*not found. Please verify") as caught:
            push(small_results, entity="me", project="p")
    assert "\n" not in str(caught.value)
    push(small_results, entity="me", project="p")
    assert [before for kind, before, _ in sent_objects if kind == "workspace"] == ["", "nw-1-v"]


def test_what_the_server_says_is_one_line_and_nothing_else_is_printed(small_results, monkeypatch, capsys):
    import wandb

    def refused(space):
        wandb.termlog("something on the way")
        raise wandb.errors.CommError("permission\n denied " + "x" * 2000)

    monkeypatch.setattr(pushing, "save_workspace", refused)
    with pytest.raises(UserError, match="W&B did not take the workspace: permission denied") as caught:
        push(small_results, entity="me", project="p")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600
    assert capsys.readouterr() == ("", "")
    assert not (small_results / "wandb" / "dashboard.json").exists()


@pytest.mark.parametrize(
    "text", ["[]", "nothing", '{"me/p": 1}', '{"me/p": {"workspace": 1}}', '{"me/p": {"report": {"id": 3, "url": ""}}}']
)
def test_a_damaged_memory_is_refused_before_anything_is_sent(small_results, sent_objects, text):
    path = small_results / "wandb" / "dashboard.json"
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(UserError):
        push(small_results, entity="me", project="p")
    assert not sent_objects
    assert path.read_text() == text


def test_a_folder_that_cannot_be_written_to_is_noticed_before_anything_is_sent(small_results, sent_objects):
    (small_results / "wandb").write_text("in the way")
    with pytest.raises(UserError, match="cannot write"):
        push(small_results, entity="me", project="p")
    assert not sent_objects


def test_the_workspace_is_sent_by_the_librarys_own_save(small_results, monkeypatch):
    space = pushing.prepare_workspace(
        load_content(small_results), {"name": "nw-old-v", "id": "V1"}, entity="me", project="p"
    )
    calls = []

    def upsert(view):
        calls.append((view.entity, view.project, view.name, view.id))
        return {"upsertView": {"view": {"name": view.name, "id": view.id}}}

    monkeypatch.setattr("wandb_workspaces.workspaces.internal.upsert_view2", upsert)
    monkeypatch.setattr("wandb_workspaces.workspaces.interface.get_app_url", lambda api: "https://w.example")
    monkeypatch.setattr("wandb.Api", lambda: None)
    assert (
        pushing.call_wandb("workspace", small_results, lambda: pushing.save_workspace(space))
        == "https://w.example/me/p?nw=old"
    )
    assert calls == [("me", "p", "nw-old-v", "V1")]
    assert load_library().workspaces.Workspace is type(space)

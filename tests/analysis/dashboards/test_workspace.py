"""Workspace built from files: its panels, runs, groups and colors, and its JSON file."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("wandb_workspaces", reason="pip install 'sequence-workbench[workspaces]'")

from analysis.dashboards.mirror import sources
from analysis.dashboards.mirror.record import Record, comparison_record, run_record
from analysis.dashboards.workspace import build, serialization
from analysis.dashboards.workspace.panels import panel_title
from analysis.dashboards.workspace.titles import place_figures
from analysis.style import LINE_STYLES, line_styles
from tests.analysis.dashboards.panel_names import metrics_of_panel, named_metrics
from tests.analysis.dashboards.workspace_runs import write_probe_result, write_results
from tests.analysis.report_runs import experiment, write_run
from workbench.errors import UserError


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """Neither network nor account."""

    def refused(*arguments, **options):
        raise AssertionError("W&B must not be called")

    monkeypatch.setattr("wandb.Api", refused)
    monkeypatch.setattr("socket.socket.connect", refused)
    monkeypatch.delenv("WANDB_API_KEY", raising=False)


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    return write_results(tmp_path_factory.mktemp("shown") / "results")


@pytest.fixture(scope="module")
def workspace(out):
    return build.build_workspace(out)


def panels_of(workspace, section):
    return next((list(part.panels) for part in workspace.sections if part.name == section), [])


def panel_titles(workspace, section):
    return [panel_title(panel) for panel in panels_of(workspace, section)]


def load_records(out):
    return [run_record(run, trial_info) for run, trial_info in sources.load_runs(out)]


def logged_names(out):
    """Returns every name that a panel may refer to, from the records themselves."""
    every = [*load_records(out), comparison_record(out, "any")]
    best = {f"{name}.{which}" for record in every for name, which in record.best.items()}
    return {name for record in every for name in record.names} | best


def config_entry(config, key):
    """Returns an entry of a configuration; raises if it is missing."""
    for part in key.split("."):
        config = config[part]
    return config


def test_sections_stand_in_the_order_of_the_report_and_only_those_of_what_is_logged(workspace):
    assert [section.name for section in workspace.sections] == [
        *("At a glance", "Learning", "Memory length", "Cost", "Sweeps", "Report")
    ]
    assert all(section.panels for section in workspace.sections)


def test_the_first_section_says_on_one_page_who_learns_best_at_what_cost_and_it_alone_is_open(workspace):
    assert [section.name for section in workspace.sections if section.is_open] == ["At a glance"]
    first = workspace.sections[0]
    assert [set(metrics_of_panel(panel)) - {"step"} for panel in first.panels] == [
        {"figure/addition-learning-curves", "figure/copy-learning-curves"},
        *({"val/loss"}, {"val/accuracy"}, {"test/loss"}, {"test/accuracy"}, {"probe/memory_length/horizon"}),
        *({"cost/parameters"}, {"cost/seconds_per_step"}, {"cost/parameters", "test/loss"}),
    ]
    assert len(first.panels) <= first.layout_settings.columns * first.layout_settings.rows
    # All of them are in their own sections, too.
    rest = {panel_title(panel) for section in workspace.sections[1:] for panel in section.panels}
    assert {panel_title(panel) for panel in first.panels} <= rest


def test_more_tasks_do_not_make_more_panels_of_figures(out):
    titles = {
        task: panel_titles(build.build_workspace(out, tasks=(task,)), "Learning") for task in ("addition", "copy")
    }
    all_tasks = panel_titles(build.build_workspace(out), "Learning")
    figures = [title for title in all_tasks if title.startswith("Learning curves")]
    assert figures == ["Learning curves, with 95 % intervals: each task"]
    assert len(all_tasks) == max(map(len, titles.values()))


def test_every_panel_names_what_is_logged_and_nothing_else(out, workspace):
    names = named_metrics(workspace)
    configured = {name for name in names if name.startswith("config.")}
    assert configured == {"config.architecture.name"}
    for record in load_records(out):
        assert config_entry(record.config, "architecture.name") in ("lstm", "rda", "gru")
    assert names - configured <= logged_names(out)
    # What a reader looks for is there, by the names of the scheme.
    assert {
        *("step", "val/loss", "val/accuracy", "train/loss", "test/loss", "val/loss.min", "val/accuracy.max"),
        *("probe/memory_length/horizon", "curve/memory_length/by-steps", "cost/parameters", "cost/state_size"),
        *("cost/seconds_per_step", "trial/loss", "trial/params/learning_rate", "table/comparison", "report/page"),
    } <= names


def test_every_figure_of_the_report_is_shown_once(out, workspace):
    sections = workspace.sections[1:]
    media_keys = [key for section in sections for panel in section.panels for key in getattr(panel, "media_keys", ())]
    files = {f"figure/{path.stem}" for path in (out / "figures").glob("*.png")}
    assert len(files) > 3
    assert sorted(media_keys) == sorted({*files, "report/page"})


def test_figures_stand_in_their_sections(workspace):
    where = {
        key: section.name
        for section in workspace.sections[1:]
        for panel in section.panels
        for key in getattr(panel, "media_keys", ())
    }
    assert where["figure/addition-learning-curves"] == "Learning"
    assert where["figure/memory-length-copy-capacity"] == "Memory length"
    assert {section for key, section in where.items() if key.startswith("figure/tuning-")} == {"Sweeps"}


def test_a_figure_of_a_task_that_is_named_as_another_begins_goes_to_its_own(out, tmp_path):
    from analysis.grouping import build_sections
    from workbench.results import finished_runs

    for options in ({"length": 2}, {"length": 2, "items": 3}):
        write_run(tmp_path, experiment("lstm", task="copy", task_options=options))
    sections = build_sections(finished_runs(tmp_path))
    names = [
        "figure/memory-length-copy-items-3-recall",
        "figure/memory-length-copy-recall",
        "figure/own",
    ]
    assert [figure.title for figure in place_figures(names, sections, ())] == [
        "Recall against lag (steps): copy, length=2, items=3",
        "Recall against lag (steps): copy, length=2",
        "Own",
    ]
    assert place_figures(names, sections, ())[2].section == "Report"


def test_charts_name_columns_that_their_tables_have(out, workspace):
    charts = [
        panel for section in workspace.sections for panel in section.panels if type(panel).__name__ == "CustomChart"
    ]
    tables = {name: table.columns for record in load_records(out) for name, table in record.tables.items()}
    assert charts
    for chart in charts:
        columns = {*tables[chart.query["summaryTable"]["tableKey"]], *(chart.query.keys() - {"summaryTable"})}
        assert set(chart.chart_fields.values()) <= columns
        assert chart.chart_name == "wandb/line/v0"


def test_every_panel_has_a_title_that_none_of_its_neighbours_has(workspace):
    for section in workspace.sections:
        titles = panel_titles(workspace, section.name)
        assert all(len(title) > 8 for title in titles)
        assert len(titles) == len(set(titles))
        # A panel that W&B gives no heading has a note before it.
        for before, panel in zip([None, *section.panels], section.panels, strict=False):
            if type(panel).__name__ in ("ParameterImportancePlot", "WeavePanelSummaryTable"):
                assert type(before).__name__ == "MarkdownPanel"


def test_titles_name_units(workspace):
    assert "Recall horizon (steps)" in panel_titles(workspace, "Memory length")
    assert "Time of a training step (seconds)" in panel_titles(workspace, "Cost")


def test_lines_are_against_steps_with_mean_and_spread(workspace):
    lines = [panel for panel in panels_of(workspace, "Learning") if type(panel).__name__ == "LinePlot"]
    assert [line.y for line in lines] == [["val/loss"], ["val/accuracy"], ["train/loss"]]
    for line in lines:
        config = line._to_model().model_dump(by_alias=True, exclude_none=True)["config"]
        assert (config["xAxis"], config["groupAgg"], config["groupArea"]) == ("step", "mean", "stddev")


def test_runs_are_grouped_so_that_no_mean_is_over_different_things(out, workspace):
    spec = json.loads(json.dumps(serialization.serialize(workspace)))["spec"]["section"]
    keys = [(key["section"], key["name"]) for key in spec["runSets"][0]["grouping"]]
    assert keys == [
        ("run", "jobType"),
        ("summary", "result/phase"),
        ("config", "architecture.value.name"),
        ("run", "group"),
    ]
    # Records of one group differ in nothing but their seed, or are trials of one study.
    groups: dict[tuple[str, ...], list[Record]] = {}
    for record in load_records(out):
        phase, name = record.summary["result/phase"], record.config["architecture"]["name"]
        groups.setdefault((record.job_type, phase, name, record.group), []).append(record)
    for (_, phase, _, _), same in groups.items():
        if phase == "run":
            assert len({json.dumps({**record.config, "seed": 0}, sort_keys=True) for record in same}) == 1


def test_groups_and_runs_have_the_colors_of_the_report(out, workspace):
    settings = workspace.runset_settings
    colors = {path.segments: color for path, color in settings.group_colors.items()}
    assert {(path[0], path[1], path[2]): color for path, color in colors.items()} == {
        ("addition", "run", "lstm"): LINE_STYLES["lstm"].color,
        ("addition", "run", "rda"): LINE_STYLES["rda"].color,
        ("addition", "trial", "gru"): LINE_STYLES["gru"].color,
        ("copy", "run", "lstm"): LINE_STYLES["lstm"].color,
    }
    for record in load_records(out):
        assert settings.run_settings[record.id].color == LINE_STYLES[record.config["architecture"]["name"]].color


def test_an_architecture_of_the_users_own_has_the_same_color_whatever_is_shown(tmp_path):
    for name, task in (("leaky:Leaky", "addition"), ("own:Other", "copy"), ("lstm", "copy")):
        write_run(tmp_path, experiment(name, task=task))
    expected = {
        name: line_style.color for name, line_style in line_styles(["leaky:Leaky", "own:Other", "lstm"]).items()
    }
    for tasks in ((), ("addition",), ("copy",)):
        colors = build.build_workspace(tmp_path, tasks=tasks).runset_settings.group_colors
        assert {path.segments[2]: color for path, color in colors.items()}.items() <= expected.items()


def test_all_groups_are_shown_not_the_first_ten(tmp_path):
    for width in range(12):
        write_run(tmp_path, experiment("lstm", hidden_size=8 + width))
    workspace = build.build_workspace(tmp_path)
    assert workspace.settings.max_runs == 12
    assert panels_of(workspace, "Learning")[0].max_runs_to_show == 12


def test_a_task_that_is_chosen_is_filtered_by_and_keeps_the_comparisons_figures(out):
    workspace = build.build_workspace(out, tasks=("copy",))
    spec = serialization.serialize(workspace)["spec"]["section"]["runSets"][0]["filters"]
    assert [(term["key"]["name"], term["op"], term["value"]) for term in spec["filters"]] == [
        ("jobType", "IN", ["copy", "comparison"])
    ]
    names = named_metrics(workspace)
    assert "figure/copy-learning-curves" in names
    assert not any("addition" in name for name in names)
    # Nothing was tuned on it.
    assert "Sweeps" not in [section.name for section in workspace.sections]
    assert "Learning curves, with 95 % intervals: copy, length=20" in panel_titles(workspace, "Learning")


def test_numbers_that_no_run_has_are_not_shown(out):
    # On addition nothing is recalled, so the horizon is there and is nothing.
    workspace = build.build_workspace(out, tasks=("addition",))
    assert "probe/memory_length/horizon" not in named_metrics(workspace)
    assert "probe/memory_length/memory_capacity" in named_metrics(workspace)


def test_an_unknown_task_is_told_the_near_ones(out):
    with pytest.raises(UserError, match=r"no run in .* is on a task 'copi'; did you mean 'copy'\?"):
        build.build_workspace(out, tasks=("copi",))


def test_sweeps_show_parameters_against_the_loss_on_the_axes_that_they_were_drawn_on(workspace):
    parallel = next(
        panel for panel in panels_of(workspace, "Sweeps") if type(panel).__name__ == "ParallelCoordinatesPlot"
    )
    axes = [(getattr(column.metric, "name", None), column.display_name, column.log) for column in parallel.columns]
    assert axes == [
        ("architecture.name", "architecture", None),
        ("trial/params/learning_rate", "learning rate", True),
        ("trial/loss", "validation loss", None),
    ]
    importance = [p for p in panels_of(workspace, "Sweeps") if type(p).__name__ == "ParameterImportancePlot"]
    assert [panel.with_respect_to for panel in importance] == ["trial/loss"]


def test_a_metric_of_the_users_own_is_shown(tmp_path):
    run_config = experiment("lstm")
    folder = write_run(tmp_path, run_config, criterion="f1 > 0.9")
    table = (folder / "metrics.csv").read_text().replace("train/loss", "val/f1", 1)
    (folder / "metrics.csv").write_text(table)
    workspace = build.build_workspace(tmp_path)
    assert {"val/f1", "val/f1.max"} <= named_metrics(workspace)
    assert "train/loss" not in named_metrics(workspace)
    assert "Highest validation f1" in panel_titles(workspace, "Learning")


def test_a_probe_that_nothing_is_known_of_is_shown_with_all_its_numbers(tmp_path, monkeypatch):
    from analysis.probes import registry
    from analysis.probes.result import Metric, ProbeResult

    monkeypatch.setattr(registry, "PROBES", {**registry.PROBES, "own_probe": "something else"})
    number = Metric(value=1.0, unit="steps", what="something")
    write_probe_result(write_run(tmp_path, experiment("lstm")), "own_probe", ProbeResult(metrics={"how_far": number}))
    workspace = build.build_workspace(tmp_path)
    assert panel_titles(workspace, "Own probe") == ["How far (as in analysis.json)"]
    assert "probe/own_probe/how_far" in named_metrics(workspace)


def test_reading_and_writing_again_gives_the_same_bytes(workspace, tmp_path):
    path, again = tmp_path / "dashboard.json", tmp_path / "again.json"
    serialization.write_workspace(workspace, path)
    read = serialization.read_workspace(path)
    serialization.write_workspace(read, again)
    assert again.read_bytes() == path.read_bytes()
    assert named_metrics(read) == named_metrics(workspace)
    assert [section.name for section in read.sections] == [section.name for section in workspace.sections]


@pytest.mark.slow
def test_the_same_files_give_the_same_bytes_in_another_process(out, workspace, tmp_path):
    path, other = tmp_path / "one.json", tmp_path / "other.json"
    serialization.write_workspace(workspace, path)
    code = (
        "import sys; from pathlib import Path; from analysis.dashboards.workspace import build, serialization; "
        "serialization.write_workspace(build.build_workspace(Path(sys.argv[1])), Path(sys.argv[2]))"
    )
    subprocess.run([sys.executable, "-c", code, str(out), str(other)], check=True, cwd=Path(__file__).parents[3])
    assert other.read_bytes() == path.read_bytes()
    ids = re.findall(r'"__id__": "([0-9a-f]+)"', path.read_text())
    assert len(ids) == len(set(ids)) == sum(len(section.panels) for section in workspace.sections)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda plain: [], "does not hold a JSON object"),
        (lambda plain: {**plain, "format": "else"}, "not a dashboard of this version"),
        (lambda plain: {**plain, "spec": {"section": 1}}, "not a dashboard that W&B would understand"),
        (lambda plain: {**plain, "spec": None}, "not a dashboard that W&B would understand"),
        (lambda plain: {**plain, "more": 1}, "has been changed"),
    ],
)
def test_another_file_is_refused_in_one_line(workspace, tmp_path, change, why):
    path = tmp_path / "dashboard.json"
    path.write_text(json.dumps(change(serialization.serialize(workspace))))
    with pytest.raises(UserError, match=why) as caught:
        serialization.read_workspace(path)
    assert "\n" not in str(caught.value)


def test_a_panel_of_an_unknown_kind_is_refused(workspace, tmp_path, capsys):
    plain = json.loads(json.dumps(serialization.serialize(workspace)))
    bank = plain["spec"]["section"]["panelBankConfig"]
    bank["sections"][0]["panels"][0]["viewType"] = "Something"
    path = tmp_path / "dashboard.json"
    path.write_text(json.dumps(plain))
    with pytest.raises(UserError, match="has been changed"):
        serialization.read_workspace(path)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("text", ["{}", "not json", '{"format": "else"}', '{"format": 1}', "[" * 100_000])
def test_a_file_that_is_not_ours_is_left_as_it_is(workspace, tmp_path, text):
    path = tmp_path / "dashboard.json"
    path.write_text(text)
    with pytest.raises(UserError, match="left as it is"):
        serialization.write_workspace(workspace, path)
    assert path.read_text() == text


def test_our_own_file_is_written_again_even_if_it_is_of_another_version(workspace, tmp_path):
    path = tmp_path / "dashboard.json"
    path.write_text('{"format": "sequence-workbench/dashboard/0"}')
    serialization.write_workspace(workspace, path)
    assert json.loads(path.read_text())["format"] == serialization.FORMAT


@pytest.mark.parametrize("name", ["\N{ROCKET} runs", "a+b~c", "$$$", "\udce9t\udce9"])
def test_any_folder_has_a_workspace_with_a_name_that_wandb_takes(tmp_path, name):
    out = tmp_path / name
    write_run(out, experiment())
    workspace = build.build_workspace(out)
    # Only now, as the library is imported without its warnings by what was called.
    from wandb_workspaces.utils.validators import validate_no_emoji

    assert workspace.name.startswith("Sequence workbench: ")
    assert validate_no_emoji(workspace.name) == workspace.name
    serialization.write_workspace(workspace, tmp_path / "dashboard.json")


def test_hostile_names_are_kept_as_they_are(tmp_path):
    name = "own:A'\"; drop <b> ${x} \N{ROCKET}"
    write_run(tmp_path, experiment(name))
    workspace = build.build_workspace(tmp_path)
    path = tmp_path / "dashboard.json"
    serialization.write_workspace(workspace, path)
    assert [group.segments[2] for group in serialization.read_workspace(path).runset_settings.group_colors] == [name]


def test_without_the_extra_it_is_said_how_to_get_it(monkeypatch, out):
    from analysis.dashboards.workspace import panels

    panels.load_library.cache_clear()
    monkeypatch.setattr(panels, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'sequence-workbench\[workspaces\]'"):
        build.build_workspace(out)


def test_where_there_is_nothing_to_show_it_is_said(tmp_path):
    with pytest.raises(UserError, match="no finished runs"):
        build.build_workspace(tmp_path)
    with pytest.raises(UserError, match="no folder"):
        build.build_workspace(tmp_path / "none")


@pytest.mark.parametrize(("name", "text"), [("metrics.csv", ""), ("comparison.yaml", "- 5"), ("tuning.csv", "")])
def test_a_damaged_file_is_one_line(tmp_path, name, text):
    folder = write_run(tmp_path, experiment())
    (tmp_path / "report.html").write_text("")
    (folder / name if name == "metrics.csv" else tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=r"is not|does not hold|cannot be read") as caught:
        build.build_workspace(tmp_path)
    assert "\n" not in str(caught.value)

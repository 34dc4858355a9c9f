"""The workspace that is built from files: what it shows, of whom, in which colours, and that it can be read again."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("wandb_workspaces", reason="pip install 'sequence-workbench[workspaces]'")

from analysis.dashboards.mirror import sources
from analysis.dashboards.mirror.record import Record, run_record, whole_record
from analysis.dashboards.workspace import build, serialization
from analysis.dashboards.workspace.panels import panel_title
from analysis.dashboards.workspace.titles import place_figures
from analysis.style import LINE_STYLES, line_styles
from tests.analysis.dashboards.panel_names import metrics_of_panel, named_metrics
from tests.analysis.dashboards.workspace_runs import keep, write_results
from tests.analysis.report_runs import experiment, write_run
from workbench.errors import UserError


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    """No network, and no account."""

    def refused(*given, **told):
        raise AssertionError("nothing may be asked of W&B")

    monkeypatch.setattr("wandb.Api", refused)
    monkeypatch.setattr("socket.socket.connect", refused)
    monkeypatch.delenv("WANDB_API_KEY", raising=False)


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    return write_results(tmp_path_factory.mktemp("shown") / "results")


@pytest.fixture(scope="module")
def space(out):
    return build.workspace(out)


def panels_of(workspace, section):
    return next((list(each.panels) for each in workspace.sections if each.name == section), [])


def titles(workspace, section):
    return [panel_title(panel) for panel in panels_of(workspace, section)]


def records(out):
    return [run_record(run, tried) for run, tried in sources.runs(out)]


def logged(out):
    """Every name that a panel may have, from the records themselves."""
    every = [*records(out), whole_record(out, "any")]
    best = {f"{name}.{which}" for record in every for name, which in record.best.items()}
    return {name for record in every for name in record.names} | best


def reached(config, key):
    """An entry of a configuration; raises where there is none."""
    for part in key.split("."):
        config = config[part]
    return config


def test_sections_stand_in_the_order_of_the_report_and_only_those_of_what_is_logged(space):
    assert [section.name for section in space.sections] == [
        *("At a glance", "Learning", "Memory length", "Cost", "Sweeps", "Report")
    ]
    assert all(section.panels for section in space.sections)


def test_the_first_section_says_on_one_page_who_learns_best_at_what_cost_and_it_alone_is_open(space):
    assert [section.name for section in space.sections if section.is_open] == ["At a glance"]
    first = space.sections[0]
    assert [set(metrics_of_panel(panel)) - {"step"} for panel in first.panels] == [
        {"figure/addition-length-100", "figure/copy-length-20"},
        *({"val/loss"}, {"val/accuracy"}, {"test/loss"}, {"test/accuracy"}, {"probe/memory_length/horizon"}),
        *({"cost/parameters"}, {"cost/seconds_per_step"}, {"cost/parameters", "test/loss"}),
    ]
    assert len(first.panels) <= first.layout_settings.columns * first.layout_settings.rows
    # All of it is found again where it belongs.
    rest = {panel_title(panel) for section in space.sections[1:] for panel in section.panels}
    assert {panel_title(panel) for panel in first.panels} <= rest


def test_more_tasks_do_not_make_more_panels_of_figures(out):
    each = {task: titles(build.workspace(out, tasks=(task,)), "Learning") for task in ("addition", "copy")}
    both = titles(build.workspace(out), "Learning")
    figures = [said for said in both if said.startswith("Learning curves")]
    assert figures == ["Learning curves, with 95 % intervals: each task"]
    assert len(both) == max(map(len, each.values()))


def test_every_panel_names_what_is_logged_and_nothing_else(out, space):
    names = named_metrics(space)
    configured = {name for name in names if name.startswith("config.")}
    assert configured == {"config.architecture.name"}
    for record in records(out):
        assert reached(record.config, "architecture.name") in ("lstm", "rda", "gru")
    assert names - configured <= logged(out)
    # What a reader looks for is there, by the names of the scheme.
    assert {
        *("step", "val/loss", "val/accuracy", "train/loss", "test/loss", "val/loss.min", "val/accuracy.max"),
        *("probe/memory_length/horizon", "curve/memory_length/by-steps", "cost/parameters", "cost/state_size"),
        *("cost/seconds_per_step", "trial/loss", "trial/params/learning_rate", "table/comparison", "report/page"),
    } <= names


def test_every_figure_of_the_report_is_shown_once(out, space):
    sections = space.sections[1:]
    shown = [key for section in sections for panel in section.panels for key in getattr(panel, "media_keys", ())]
    files = {f"figure/{path.stem}" for path in (out / "figures").glob("*.png")}
    assert len(files) > 3
    assert sorted(shown) == sorted({*files, "report/page"})


def test_figures_stand_in_their_sections(space):
    where = {
        key: section.name
        for section in space.sections[1:]
        for panel in section.panels
        for key in getattr(panel, "media_keys", ())
    }
    assert where["figure/addition-length-100"] == "Learning"
    assert where["figure/memory-length-copy-length-20-capacity"] == "Memory length"
    assert {section for key, section in where.items() if key.startswith("figure/tuning-")} == {"Sweeps"}


def test_a_figure_of_a_task_that_is_named_as_another_begins_goes_to_its_own(out, tmp_path):
    from analysis.grouping import sections
    from workbench.results import finished

    for options in ({"length": 2}, {"length": 2, "items": 3}):
        write_run(tmp_path, experiment("lstm", task="copy", task_options=options))
    known = sections(finished(tmp_path))
    names = [
        "figure/memory-length-copy-length-2-items-3-recall",
        "figure/memory-length-copy-length-2-recall",
        "figure/own",
    ]
    assert [shown.title for shown in place_figures(names, known, ())] == [
        "Recall against lag (steps): copy, length=2, items=3",
        "Recall against lag (steps): copy, length=2",
        "Own",
    ]
    assert place_figures(names, known, ())[2].section == "Report"


def test_charts_name_columns_that_their_tables_have(out, space):
    charts = [panel for section in space.sections for panel in section.panels if type(panel).__name__ == "CustomChart"]
    tables = {name: table.columns for record in records(out) for name, table in record.tables.items()}
    assert charts
    for chart in charts:
        columns = {*tables[chart.query["summaryTable"]["tableKey"]], *(chart.query.keys() - {"summaryTable"})}
        assert set(chart.chart_fields.values()) <= columns
        assert chart.chart_name == "wandb/line/v0"


def test_every_panel_has_a_title_that_none_of_its_neighbours_has(space):
    for section in space.sections:
        said = titles(space, section.name)
        assert all(len(each) > 8 for each in said)
        assert len(said) == len(set(said))
        # A panel that W&B gives no heading has a note before it.
        for before, panel in zip([None, *section.panels], section.panels, strict=False):
            if type(panel).__name__ in ("ParameterImportancePlot", "WeavePanelSummaryTable"):
                assert type(before).__name__ == "MarkdownPanel"


def test_units_are_said(space):
    assert "Recall horizon (steps)" in titles(space, "Memory length")
    assert "Time of a training step (seconds)" in titles(space, "Cost")


def test_lines_are_against_steps_with_mean_and_spread(space):
    lines = [panel for panel in panels_of(space, "Learning") if type(panel).__name__ == "LinePlot"]
    assert [line.y for line in lines] == [["val/loss"], ["val/accuracy"], ["train/loss"]]
    for line in lines:
        config = line._to_model().model_dump(by_alias=True, exclude_none=True)["config"]
        assert (config["xAxis"], config["groupAgg"], config["groupArea"]) == ("step", "mean", "stddev")


def test_runs_are_grouped_so_that_no_mean_is_over_different_things(out, space):
    spec = json.loads(json.dumps(serialization.serialize(space)))["spec"]["section"]
    keys = [(key["section"], key["name"]) for key in spec["runSets"][0]["grouping"]]
    assert keys == [
        ("run", "jobType"),
        ("summary", "result/phase"),
        ("config", "architecture.value.name"),
        ("run", "group"),
    ]
    # Records of one group differ in nothing but their seed, or are trials of one study.
    groups: dict[tuple[str, ...], list[Record]] = {}
    for record in records(out):
        phase, name = record.summary["result/phase"], record.config["architecture"]["name"]
        groups.setdefault((record.job_type, phase, name, record.group), []).append(record)
    for (_, phase, _, _), same in groups.items():
        if phase == "run":
            assert len({json.dumps({**each.config, "seed": 0}, sort_keys=True) for each in same}) == 1


def test_groups_and_runs_have_the_colours_of_the_report(out, space):
    settings = space.runset_settings
    colours = {path.segments: colour for path, colour in settings.group_colors.items()}
    assert {(path[0], path[1], path[2]): colour for path, colour in colours.items()} == {
        ("addition", "run", "lstm"): LINE_STYLES["lstm"].colour,
        ("addition", "run", "rda"): LINE_STYLES["rda"].colour,
        ("addition", "trial", "gru"): LINE_STYLES["gru"].colour,
        ("copy", "run", "lstm"): LINE_STYLES["lstm"].colour,
    }
    for record in records(out):
        assert settings.run_settings[record.id].color == LINE_STYLES[record.config["architecture"]["name"]].colour


def test_an_architecture_of_the_users_own_has_the_same_colour_whatever_is_shown(tmp_path):
    for name, task in (("leaky:Leaky", "addition"), ("own:Other", "copy"), ("lstm", "copy")):
        write_run(tmp_path, experiment(name, task=task))
    expected = {name: look.colour for name, look in line_styles(["leaky:Leaky", "own:Other", "lstm"]).items()}
    for tasks in ((), ("addition",), ("copy",)):
        colours = build.workspace(tmp_path, tasks=tasks).runset_settings.group_colors
        assert {path.segments[2]: colour for path, colour in colours.items()}.items() <= expected.items()


def test_all_groups_are_shown_not_the_first_ten(tmp_path):
    for width in range(12):
        write_run(tmp_path, experiment("lstm", hidden_size=8 + width))
    space = build.workspace(tmp_path)
    assert space.settings.max_runs == 12
    assert panels_of(space, "Learning")[0].max_runs_to_show == 12


def test_a_task_that_is_chosen_is_filtered_by_and_keeps_the_comparisons_figures(out):
    space = build.workspace(out, tasks=("copy",))
    spec = serialization.serialize(space)["spec"]["section"]["runSets"][0]["filters"]
    assert [(each["key"]["name"], each["op"], each["value"]) for each in spec["filters"]] == [
        ("jobType", "IN", ["copy", "comparison"])
    ]
    names = named_metrics(space)
    assert "figure/copy-length-20" in names
    assert not any("addition" in name for name in names)
    # Nothing was tuned on it.
    assert "Sweeps" not in [section.name for section in space.sections]
    assert "Learning curves, with 95 % intervals: copy, length=20" in titles(space, "Learning")


def test_numbers_that_no_run_has_are_not_shown(out):
    # On addition nothing is recalled, so the horizon is there and is nothing.
    space = build.workspace(out, tasks=("addition",))
    assert "probe/memory_length/horizon" not in named_metrics(space)
    assert "probe/memory_length/memory_capacity" in named_metrics(space)


def test_an_unknown_task_is_told_the_near_ones(out):
    with pytest.raises(UserError, match=r"no run in .* is on a task 'copi'; did you mean 'copy'\?"):
        build.workspace(out, tasks=("copi",))


def test_sweeps_show_parameters_against_the_loss_on_the_axes_that_they_were_drawn_on(space):
    parallel = next(panel for panel in panels_of(space, "Sweeps") if type(panel).__name__ == "ParallelCoordinatesPlot")
    axes = [(getattr(column.metric, "name", None), column.display_name, column.log) for column in parallel.columns]
    assert axes == [
        ("architecture.name", "architecture", None),
        ("trial/params/learning_rate", "learning rate", True),
        ("trial/loss", "validation loss", None),
    ]
    importance = [p for p in panels_of(space, "Sweeps") if type(p).__name__ == "ParameterImportancePlot"]
    assert [panel.with_respect_to for panel in importance] == ["trial/loss"]


def test_a_metric_of_the_users_own_is_shown(tmp_path):
    made = experiment("lstm")
    folder = write_run(tmp_path, made, criterion="f1 > 0.9")
    table = (folder / "metrics.csv").read_text().replace("train/loss", "val/f1", 1)
    (folder / "metrics.csv").write_text(table)
    space = build.workspace(tmp_path)
    assert {"val/f1", "val/f1.max"} <= named_metrics(space)
    assert "train/loss" not in named_metrics(space)
    assert "Highest validation f1" in titles(space, "Learning")


def test_a_probe_that_nothing_is_known_of_is_shown_with_all_its_numbers(tmp_path, monkeypatch):
    from analysis.probes import registry
    from analysis.probes.result import Metric, ProbeResult

    monkeypatch.setattr(registry, "PROBES", {**registry.PROBES, "own_probe": "something else"})
    number = Metric(value=1.0, unit="steps", what="something")
    keep(write_run(tmp_path, experiment("lstm")), "own_probe", ProbeResult(metrics={"how_far": number}))
    space = build.workspace(tmp_path)
    assert titles(space, "Own probe") == ["How far (as in analysis.json)"]
    assert "probe/own_probe/how_far" in named_metrics(space)


def test_reading_and_writing_again_gives_the_same_bytes(space, tmp_path):
    path, again = tmp_path / "dashboard.json", tmp_path / "again.json"
    serialization.write(space, path)
    read = serialization.read(path)
    serialization.write(read, again)
    assert again.read_bytes() == path.read_bytes()
    assert named_metrics(read) == named_metrics(space)
    assert [section.name for section in read.sections] == [section.name for section in space.sections]


def test_the_same_files_give_the_same_bytes_in_another_process(out, space, tmp_path):
    path, other = tmp_path / "one.json", tmp_path / "other.json"
    serialization.write(space, path)
    code = (
        "import sys; from pathlib import Path; from analysis.dashboards.workspace import build, stored; "
        "stored.write(build.workspace(Path(sys.argv[1])), Path(sys.argv[2]))"
    )
    subprocess.run([sys.executable, "-c", code, str(out), str(other)], check=True, cwd=Path(__file__).parents[3])
    assert other.read_bytes() == path.read_bytes()
    ids = re.findall(r'"__id__": "([0-9a-f]+)"', path.read_text())
    assert len(ids) == len(set(ids)) == sum(len(section.panels) for section in space.sections)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda plain: [], "no JSON object"),
        (lambda plain: {**plain, "format": "else"}, "no dashboard of this version"),
        (lambda plain: {**plain, "spec": {"section": 1}}, "no dashboard that W&B would understand"),
        (lambda plain: {**plain, "spec": None}, "no dashboard that W&B would understand"),
        (lambda plain: {**plain, "more": 1}, "has been changed"),
    ],
)
def test_what_is_no_dashboard_is_refused_in_one_line(space, tmp_path, change, why):
    path = tmp_path / "dashboard.json"
    path.write_text(json.dumps(change(serialization.serialize(space))))
    with pytest.raises(UserError, match=why) as told:
        serialization.read(path)
    assert "\n" not in str(told.value)


def test_a_panel_of_an_unknown_kind_is_refused(space, tmp_path, capsys):
    plain = json.loads(json.dumps(serialization.serialize(space)))
    bank = plain["spec"]["section"]["panelBankConfig"]
    bank["sections"][0]["panels"][0]["viewType"] = "Something"
    path = tmp_path / "dashboard.json"
    path.write_text(json.dumps(plain))
    with pytest.raises(UserError, match="has been changed"):
        serialization.read(path)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("text", ["{}", "not json", '{"format": "else"}', '{"format": 1}', "[" * 100_000])
def test_a_file_that_is_not_ours_is_left_as_it_is(space, tmp_path, text):
    path = tmp_path / "dashboard.json"
    path.write_text(text)
    with pytest.raises(UserError, match="left as it is"):
        serialization.write(space, path)
    assert path.read_text() == text


def test_our_own_file_is_written_again_even_if_it_is_of_another_version(space, tmp_path):
    path = tmp_path / "dashboard.json"
    path.write_text('{"format": "sequence-workbench/dashboard/0"}')
    serialization.write(space, path)
    assert json.loads(path.read_text())["format"] == serialization.FORMAT


@pytest.mark.parametrize("name", ["\N{ROCKET} runs", "a+b~c", "$$$", "\udce9t\udce9"])
def test_any_folder_has_a_workspace_with_a_name_that_wandb_takes(tmp_path, name):
    from wandb_workspaces.utils.validators import validate_no_emoji

    out = tmp_path / name
    write_run(out, experiment())
    space = build.workspace(out)
    assert space.name.startswith("Sequence workbench: ")
    assert validate_no_emoji(space.name) == space.name
    serialization.write(space, tmp_path / "dashboard.json")


def test_hostile_names_are_kept_as_they_are(tmp_path):
    name = "own:A'\"; drop <b> ${x} \N{ROCKET}"
    write_run(tmp_path, experiment(name))
    space = build.workspace(tmp_path)
    path = tmp_path / "dashboard.json"
    serialization.write(space, path)
    assert [group.segments[2] for group in serialization.read(path).runset_settings.group_colors] == [name]


def test_without_the_extra_it_is_said_how_to_get_it(monkeypatch, out):
    from analysis.dashboards.workspace import panels

    panels.library.cache_clear()
    monkeypatch.setattr(panels, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'sequence-workbench\[workspaces\]'"):
        build.workspace(out)


def test_where_there_is_nothing_to_show_it_is_said(tmp_path):
    with pytest.raises(UserError, match="no finished runs"):
        build.workspace(tmp_path)
    with pytest.raises(UserError, match="no folder"):
        build.workspace(tmp_path / "none")


@pytest.mark.parametrize(("name", "text"), [("metrics.csv", ""), ("comparison.yaml", "- 5"), ("tuning.csv", "")])
def test_a_damaged_file_is_one_line(tmp_path, name, text):
    folder = write_run(tmp_path, experiment())
    (tmp_path / "report.html").write_text("")
    (folder / name if name == "metrics.csv" else tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=r"is no|holds no|cannot be read") as told:
        build.workspace(tmp_path)
    assert "\n" not in str(told.value)

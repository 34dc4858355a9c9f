"""Pages: the results of the runs, as text without any markup from outside."""

import json
import re
from dataclasses import replace

import pytest

from analysis.formatting import ABSENT
from analysis.papers import cells, page
from analysis.papers.preset_files import load_preset
from analysis.papers.tables import build_tables
from analysis.presets.preset import Preset
from tests.analysis.papers.known_tables import comparison_table, example_preset, our_result
from tests.analysis.report_runs import write_run
from workbench.errors import UserError
from workbench.results import read_run


def table_rows(text, heading):
    """Returns the cells of the table below a heading, by the first cell of each line."""
    below = re.split(r"\n##", text.split(f"### {heading}", 1)[1])[0]
    lines = [line for line in below.splitlines() if line.startswith("| ")]
    return {cells[0]: cells[1:] for line in lines[1:] if (cells := [cell.strip() for cell in line[1:-1].split("|")])}


def write_runs(out, preset, steps, losses, scale="full", **values):
    """Writes all runs of a preset, the k-th seed of an architecture with the k-th of its values."""
    for experiment in preset.experiments(scale):
        name, seed = experiment.architecture.name, experiment.seed
        write_run(out, experiment, solved_at=steps[name][seed], loss=losses[name][seed], **values)


@pytest.fixture
def published_preset():
    """A preset on a task with published figures."""
    return replace(
        example_preset(
            full={
                "tasks": ["addition"],
                "architectures": ["gru", "rwa", "lstm"],
                "seeds": 3,
                "task": {"addition": {"length": 1000}},
            },
            small={"task": {"addition": {"length": 10}}},
        ),
        sources=("RDA paper, table 1",),
    )


GRU = (2000, 2100, 1990)
STEPS = {"gru": GRU, "rwa": (900, 910, 905), "lstm": (None, None, None)}
LOSSES = {"gru": (0.01, 0.02, 0.06), "rwa": (0.001, 0.002, 0.003), "lstm": (0.17, 0.16, 0.15)}


def test_a_table_says_theirs_ours_how_many_seeds_and_whether_they_agree(published_preset, tmp_path):
    write_runs(tmp_path / "out", published_preset, STEPS, LOSSES, trivial_loss=1 / 6)
    written = page.write_page(published_preset, "full", tmp_path / "out", tmp_path / "pages")
    text = written.path.read_text()
    cells = table_rows(text, "steps until")
    assert cells["gru"][:3] == ["2,036", ", ".join(f"{step:,}" for step in GRU), "3 of 3"]
    assert cells["rwa"][:3] == ["1,735", "900, 910, 905", "3 of 3"]
    assert cells["rwa"][3].startswith("too few seeds to say: 0.522 times their figure")
    assert cells["lstm"][:3] == [r"\> 10,000", r"\> 20", "0 of 3"]
    losses = table_rows(text, "test loss")
    assert losses["gru"] == [
        "\u2013",
        ", ".join(f"{loss:.3g}".ljust(6, "0") for loss in LOSSES["gru"]),
        "3 of 3",
        "\u2013",
    ]
    assert losses["trivial baseline"] == ["", "0.167", "", ""]
    assert text.count("Trivial baseline: never. The best answer without memory has a loss of 0.167.") == 1
    assert "Published: RDA paper, table 1; arXiv 1705.08480, table 1." in text
    assert "This is not the paper's setting" not in text
    assert "Not finished" not in text
    content = json.loads((tmp_path / "pages/made-full.json").read_text())
    assert content["runs"] == {"finished": 9, "asked": 9}
    assert content["share"] == 1
    assert content["seconds"] == 90
    assert content["verdict"] == written.verdict
    # What other sources have of the same task stands apart.
    assert "RWA author's logs, length 1000, steps until test loss \\< 0.01: rwa 1,600, lstm 16,900" in text


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ((20, None, 10), "20, 10, never"),
        ((10, None, None), r"\> 20"),
        ((None, None, None), r"\> 20"),
        ((10, 12, 14), "10, 12, 14"),
    ],
)
def test_seeds_that_never_get_there_are_not_left_out(published_preset, tmp_path, steps, expected):
    """The mean of the others would look the better the more seeds fail."""
    write_runs(tmp_path / "out", published_preset, {**STEPS, "gru": steps}, LOSSES)
    text = page.write_page(published_preset, "full", tmp_path / "out", tmp_path / "pages").path.read_text()
    num_reached = sum(step is not None for step in steps)
    assert table_rows(text, "steps until")["gru"][1:3] == [expected, f"{num_reached} of 3"]


def test_a_small_page_says_what_is_smaller_and_does_not_judge_figures(published_preset, tmp_path):
    write_runs(tmp_path / "out", published_preset, STEPS, LOSSES, scale="small")
    text = page.write_page(published_preset, "small", tmp_path / "out", tmp_path / "pages").path.read_text()
    assert "> **This is not the paper's setting.**" in text
    assert "length 10 instead of 1000 (1/100)" in text
    assert table_rows(text, "steps until")["gru"][0] == "2,036"
    assert len(table_rows(text, "steps until")["gru"]) == 3
    assert "| task.addition.length | 1000 | 10 | 1/100 |" in text
    assert f"| seeds | {ABSENT} | 3 |  |" in text
    fewer = page.write_page(published_preset, "small", tmp_path / "out", tmp_path / "fewer", seeds=2).path.read_text()
    assert f"| seeds | {ABSENT} | 2 |  |" in fewer


def test_the_same_runs_give_the_same_bytes(published_preset, tmp_path):
    write_runs(tmp_path / "out", published_preset, STEPS, LOSSES)
    for pages in ("one", "other"):
        page.write_page(published_preset, "full", tmp_path / "out", tmp_path / pages)
    one, other = (
        {str(path.relative_to(tmp_path / pages)): path.read_bytes() for path in (tmp_path / pages).rglob("*.*")}
        for pages in ("one", "other")
    )
    assert one == other
    (figure,) = (name for name in one if name.endswith(".svg"))
    assert f"]({figure})" in one["made-full.md"].decode()


def test_half_of_the_runs_make_half_a_page(published_preset, tmp_path):
    experiments = published_preset.experiments("full")
    for experiment in experiments[:4]:
        write_run(tmp_path / "out", experiment, solved_at=7)
    text = page.write_page(published_preset, "full", tmp_path / "out", tmp_path / "pages").path.read_text()
    assert "> **Not finished**: 4 of 9 runs, 44 % of the way." in text
    assert table_rows(text, "steps until")["lstm"][2:] == ["1 of 1", "too few seeds to say: 1 of 1 seed by then"]


def test_nothing_is_markup(published_preset, tmp_path):
    hostile = replace(published_preset, title="<script>alert(1)</script> | `x`", unlike=("<b>bold</b> *and* |more|",))
    for experiment in hostile.experiments("full"):
        write_run(tmp_path / "out", experiment, timing={"processor": "<img src=x> | fast"})
    text = page.write_page(hostile, "full", tmp_path / "out", tmp_path / "pages").path.read_text()
    # Outside of code and of what is escaped, no tag is left but the page's own comment.
    bare = re.sub(r"`[^`\n]*`|\\.", "", text.replace("<!-- Made by", "", 1))
    assert not re.findall(r"<[a-zA-Z/!]", bare)


def test_a_figure_of_other_presets_runs_has_their_curves_and_no_table(tmp_path):
    preset = Preset(name="curves", title="Curves", of=("rda-table-1", "rda-table-2"))
    for name in preset.of:
        for experiment in load_preset(name).experiments("small", seeds=1):
            write_run(tmp_path / "out", experiment)
    written = page.write_page(preset, "small", tmp_path / "out", tmp_path / "pages", seeds=1)
    text = written.path.read_text()
    assert len(re.findall(r"^!\[Learning curves", text, re.MULTILINE)) == 2
    assert "Published and measured" not in text
    assert written.verdict == "learning curves"


def test_a_result_of_something_else_is_refused(published_preset, tmp_path):
    (experiment, *_) = published_preset.experiments("full")
    folder = write_run(tmp_path / "out", experiment)
    (folder / "result.json").write_text("{}")
    with pytest.raises(UserError, match="was not written by this bench"):
        page.write_page(published_preset, "full", tmp_path / "out", tmp_path / "pages")
    assert not (tmp_path / "pages" / "made-full.md").exists()


def test_from_four_seeds_on_the_middle_stands_for_all():
    steps, losses, shares = (comparison_table(of=of) for of in ("train/loss < 0.001", "test/loss", "test/accuracy"))
    assert cells.format_ours(our_result([30, 10, 20, 40]), steps) == "25"
    assert cells.format_ours(our_result([30, 10, 20, 40, 50]), steps) == "30 [10, 50]"
    assert cells.format_ours(our_result([10, 20, 30, 40], seeds=5), steps) == "30 [10, > 10,000]"
    # exp(mean of logs), and 3.182 * sd / sqrt(4) of the logs on either side.
    assert cells.format_ours(our_result([0.01, 0.02, 0.04, 0.08]), losses) == "0.0283 [0.00681, 0.117]"
    assert cells.format_ours(our_result([0.9, 0.9, 0.9, 0.9]), shares) == "0.900 [0.900, 0.900]"
    assert cells.format_ours(our_result([], seeds=5), steps) == "> 10,000"
    assert cells.format_ours(our_result([]), steps) == ABSENT


def test_a_batch_that_is_all_right_by_chance_is_no_solution(published_preset, tmp_path):
    """Two of the GRU's seeds meet the goal on one training batch and end near the trivial loss, 1/6.

    The first of them had had a validation loss of 0.1 in between.
    """
    rows = {0: (0.17, 0.16), 1: (0.2, 0.1, 0.16), 2: (0.17, 0.16)}
    for experiment in published_preset.experiments("full"):
        name, seed = experiment.architecture.name, experiment.seed
        steps = (None, 10, 12)[seed] if name == "gru" else STEPS[name][seed]
        write_run(tmp_path / "out", experiment, solved_at=steps, loss=0.16, losses=rows[seed], trivial_loss=1 / 6)
    text = page.write_page(published_preset, "full", tmp_path / "out", tmp_path / "pages").path.read_text()
    assert table_rows(text, "steps until")["gru"][1:3] == [r"\> 20", "1 of 3 (1 with nothing learned, not counted)"]
    assert "had learned nothing and has none" in text
    content = json.loads((tmp_path / "pages/made-full.json").read_text())
    row = content["tables"][0]["rows"][0]
    assert (row["values"], row["lucky"]) == ([None, 10.0, None], 1)
    assert (row["answers"], row["parameters"]) == (10, 17000)


def test_shares_have_the_interval_of_so_many_answers():
    """Wilson's of 500 answers, half of which are right: wider than that of four seeds that agree."""
    table = comparison_table(of="test/accuracy")
    ours = replace(our_result([0.5, 0.501, 0.499, 0.5]), answers=500)
    assert cells.format_ours(ours, table) == "0.500 [0.456, 0.544]"


def test_over_shorter_sequences_a_page_compares_no_order(published_preset, tmp_path):
    """At the full scale the lengths are the source's, at the small one they are 10 instead of 1,000."""
    for scale in ("full", "small"):
        write_runs(tmp_path / scale, published_preset, STEPS, LOSSES, scale, trivial_loss=1 / 6)
    texts = {
        scale: page.write_page(published_preset, scale, tmp_path / scale, tmp_path / "pages").path.read_text()
        for scale in ("full", "small")
    }
    assert "rank correlation" in texts["full"]
    assert "no order is compared" in texts["small"]
    assert "Numbers are not comparable with the published ones.\n" in texts["small"]
    assert "the order of the architectures may be" not in texts["small"]
    small = json.loads((tmp_path / "pages/made-small.json").read_text())
    assert small["tables"][0]["same_task"] is False
    assert small["verdict"] == "other sequences than the source's: no order is compared"
    plotted = replace(published_preset, sources=("TCN paper, figure 9",))
    text = page.write_page(plotted, "small", tmp_path / "small", tmp_path / "plots").path.read_text()
    assert "the order of the architectures may be" in text


def test_an_answer_is_one_step_or_one_sequence(tmp_path):
    """Of 10 test sequences: copies have an answer at each of their steps, and sums one at the last."""
    for task, options, share in (
        ("addition", {"length": 8}, 0.1),
        ("copy", {"length": 4, "items": 2, "categories": 3}, 1 / (10 * 8)),
    ):
        preset = example_preset(
            full={"tasks": [task], "task": {task: options}, "seeds": 1}, measures=("test/accuracy",)
        )
        plan = preset.plan("full")
        runs = [read_run(write_run(tmp_path / task, run.experiment, time=8)) for run in plan]
        (table,) = build_tables(preset, "full", plan, runs)
        assert [row.ours.resolution for row in table.rows] == [share, share]

"""Reports of folders with studies: reproducible, and robust against everything that a sweep can leave."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

from analysis.figures.labels import fit_text, text_width
from analysis.report import build
from analysis.report.tuning import optimization_history, parallel_coordinate, slice_plot, tuned_vs_default
from analysis.report.tuning.search_space import (
    Axis,
    Domain,
    domain_axis,
    format_domain,
    infer_domain,
    parse_domain,
    values_axis,
)
from analysis.report.tuning.tuned_tasks import tuned_tasks
from tests.analysis.page import Page
from tests.analysis.report_runs import TRIVIAL_LOSS, experiment, write_run
from tests.analysis.tuning_studies import (
    SPACE,
    read_results,
    searched_study,
    study,
    trial,
    trial_params,
    write_tuned_runs,
)
from workbench import study_files
from workbench.config import TUNING_SEED
from workbench.errors import UserError

HOSTILE = 'my.own:<script>alert("1")</script>&$x_1$'


def x_positions(axes: Axes) -> list[float]:
    """Returns the horizontal positions of all points."""
    return [float(x) for line in axes.lines for x in np.asarray(line.get_xdata())]


def report_files(out: Path) -> list[bytes]:
    paths = [out / "report.html", out / "tuning.csv", *sorted((out / "figures").glob("*.svg"))]
    return [path.read_bytes() for path in [*paths, *sorted((out / "tables").glob("*.tex"))]]


@pytest.mark.usefixtures("all_default_formats")
def test_the_whole_report(tmp_path: Path) -> None:
    write_tuned_runs(tmp_path, searched_study("lstm", 0.01), [0.3, 0.31], [0.02, 0.021])
    hostile, _, _ = write_tuned_runs(tmp_path, searched_study(HOSTILE, 0.02), [0.1, 0.11], None)
    write_run(tmp_path, experiment(HOSTILE, seed=TUNING_SEED), loss=123456.0)
    build.write_report(tmp_path)
    first = report_files(tmp_path)
    build.write_report(tmp_path)
    assert report_files(tmp_path) == first
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert "script" not in page.tags
    assert "Tuning: addition, length=100" in page.text
    assert "123,456" not in page.text
    assert "123456" not in page.text
    rows = page.tables["Tuned against default on addition, length=100"]
    assert [row[0].strip() for row in rows[2:]] == ["lstm", HOSTILE]
    assert (
        "6 finished runs, 2 seeds of each configuration; none diverged. 48 finished trials in 2 studies." in page.text
    )
    names = {path.name for path in (tmp_path / "figures").glob("tuning-*.svg")}
    slug = "my-own-script-alert-1-script-x-1"
    kinds = (
        *("compared", "history", "importance", "learning-rates"),
        *(f"{k}-{n}" for k in ("slices", "parallel") for n in ("lstm", slug)),
    )
    assert names == {f"tuning-addition-{kind}.svg" for kind in kinds}
    assert {path.stem for path in (tmp_path / "figures").glob("*.png")} >= {name[:-4] for name in names}
    assert (tmp_path / "tables" / "addition-tuned-against-default.tex").exists()
    assert hostile.winner_identity == hostile.default_identity


def test_a_report_without_studies_says_nothing_of_tuning(tmp_path: Path) -> None:
    write_run(tmp_path, experiment())
    build.write_report(tmp_path)
    text = Page((tmp_path / "report.html").read_text(encoding="utf-8")).text
    assert "trial" not in text
    assert not (tmp_path / "tuning.csv").exists()


def test_neither_runs_nor_studies(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there are no finished runs"):
        build.write_report(tmp_path)
    # As a suite has them that was stopped while it chose among learning rates.
    write_run(tmp_path, experiment(seed=TUNING_SEED))
    with pytest.raises(
        UserError, match=r"^the 1 finished run in .* only served to choose learning rates; the same command"
    ):
        build.write_report(tmp_path)


MANY_PARAMETERS: dict[str, Any] = {
    f"p{index}": {"low": 0.0, "high": 1.0} if index % 2 else ["a", "b", None, True, 1] for index in range(30)
}
AWKWARD_STUDIES: dict[str, Any] = {
    "none": study("none", [], asked=8),
    "one": study("one", [trial(0, 0.5)]),
    "two": study("two", [trial(0, 0.5), trial(1, state="pruned")]),
    "diverged": study(
        "diverged", [trial(number, state="diverged", params=trial_params(number)) for number in range(3)]
    ),
    "pruned": study("pruned", [trial(number, 0.5, state="pruned", params=trial_params(number)) for number in range(3)]),
    "failed": study("failed", [trial(0, state="failed"), trial(1, state="running")], asked=2),
    "many": study(
        "many",
        [
            trial(
                n,
                10.0 ** (n - 8),
                params={
                    name: n / 11 if int(name[1:]) % 2 else MANY_PARAMETERS[name][n % 5] for name in MANY_PARAMETERS
                },
            )
            for n in range(12)
        ],
        space=MANY_PARAMETERS,
        importances=dict.fromkeys(MANY_PARAMETERS, 1 / 30),
    ),
    "equal": study("equal", [trial(number, 0.25, params={"learning_rate": 1e-3}) for number in range(4)]),
    "zero": study("zero", [trial(0, 0.0, params={"x": 0}), trial(1, 0.0, params={"x": "no"})], space={"x": [0, "no"]}),
    "unknown": study("unknown", [trial(0, 0.1, params={"new": 3}), trial(1, 0.2, params={"new": "b"})], space={}),
    "empty": study("empty", [trial(0, 0.1, params={})], space={}),
    "costly": study("costly", [trial(0, 0.1, 9.0), trial(1, 0.2, 9.0)], objectives=("loss", "parameters")),
    HOSTILE: study(
        HOSTILE, [trial(0, 0.1, params={"<u>": 1}), trial(1, 0.2, params={"<u>": 2})], space={"<u>": [1, 2]}
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", AWKWARD_STUDIES)
def test_awkward_studies_without_runs(tmp_path: Path, name: str) -> None:
    study_files.write_study(tmp_path, AWKWARD_STUDIES[name])
    page = Page(build.write_report(tmp_path).read_text(encoding="utf-8"))
    assert "No run on fresh seeds has finished yet." in page.text
    assert "Tuning: addition, length=100" in page.text
    assert not {"u", "script"} & set(page.tags)
    assert not (tmp_path / "comparison.csv").exists()


def test_all_awkward_studies_together(tmp_path: Path) -> None:
    for awkward in AWKWARD_STUDIES.values():
        if awkward.architecture not in ("costly", "many"):
            study_files.write_study(tmp_path, awkward)
    write_tuned_runs(tmp_path, searched_study("lstm", 0.01), [0.3], [0.02])
    assert build.write_report(tmp_path).exists()


def test_the_curves_of_the_history() -> None:
    lstm = study(trials=[trial(0, state="diverged"), trial(1, 0.5), trial(2, 0.7), trial(3, 0.1)])
    (task,) = tuned_tasks([lstm, study("gru")], [])
    (line,) = optimization_history.history_lines(task)
    assert line.label == "lstm"
    assert line.x.tolist() == [1, 2, 3, 4]
    assert line.y.tolist()[1:] == [0.5, 0.5, 0.1]
    assert line.plot_keywords["drawstyle"] == "steps-post"
    assert optimization_history.draw_history(tuned_tasks([study("gru")], [])[0]) is None


def test_the_slices_have_a_point_for_each_trial() -> None:
    (task,) = tuned_tasks([searched_study("lstm", 0.01)], [])
    (architecture,) = task.architectures
    figure = slice_plot.draw_slices(architecture)
    assert figure is not None
    names = [axes.get_xlabel() for axes in figure.axes]
    assert names == [
        "learning_rate (log)",
        "hidden_size (log)",
        "num_layers",
        "dropout",
        "clip",
        "clip_at (log)",
        "learn_initial_state",
        "chrono",
    ]
    for axes, name in zip(figure.axes, [name.removesuffix(" (log)") for name in names], strict=True):
        num_trials = sum(name in trial.params for trial in architecture.study.finished_trials)
        assert len(x_positions(axes)) == num_trials
        assert all(0 <= x <= 1 for x in x_positions(axes))
    assert [label.get_text() for label in figure.axes[2].get_xticklabels()] == ["1", "2"]


def test_parallel_lines_run_through_the_values() -> None:
    params: list[dict[str, Any]] = [{"a": 0.0, "b": "x"}, {"a": 1.0}, {"a": 0.25, "b": "y"}]
    trials = [trial(number, loss, params=params[number]) for number, loss in enumerate((3.0, 1.0, 2.0))]
    tuned_study = study(trials=trials, space={"a": {"low": 0.0, "high": 1.0}, "b": ["x", "y"]})
    (architecture,) = tuned_tasks([tuned_study], [])[0].architectures
    figure = parallel_coordinate.draw_parallel(architecture)
    assert figure is not None
    (lines,) = [artist for artist in figure.axes[0].collections if isinstance(artist, LineCollection)]
    # Of the highest loss first, so that the lowest lies on top.
    assert [[float(x) for x in segment[:, 0]] for segment in lines.get_segments()] == [
        [0.0, 0.25, 1.0],
        [0.25, 0.75, 0.5],
        [1.0, parallel_coordinate.ABSENT_POSITION, 0.0],
    ]
    assert parallel_coordinate.draw_parallel(tuned_tasks([study(trials=trials[:1])], [])[0].architectures[0]) is None


def test_the_comparison_shows_every_finished_trial(tmp_path: Path) -> None:
    tuned_study, _, _ = write_tuned_runs(tmp_path, searched_study("lstm", 0.01), [0.3, 0.31], [0.02, 0.021])
    (task,) = tuned_tasks([tuned_study], [])
    figure = tuned_vs_default.draw_tuned_vs_default(task)
    assert figure is not None
    (panel,) = figure.axes
    assert len(x_positions(panel)) == 24
    assert tuned_vs_default.draw_tuned_vs_default(tuned_tasks([study()], [])[0]) is None


def test_the_comparison_shows_every_seed_and_intervals_of_four(tmp_path: Path) -> None:
    write_tuned_runs(tmp_path, searched_study("lstm", 0.01), [0.1, 0.11, None], [0.02, 0.021, 0.022, 0.023])
    _, task = read_results(tmp_path)
    figure = tuned_vs_default.draw_tuned_vs_default(task)
    assert figure is not None
    points = [(line.get_marker(), [float(x) for x in np.asarray(line.get_xdata())]) for line in figure.axes[0].lines]
    assert [x for marker, x in points if marker == "."] == [[0.1, 0.11], [0.02, 0.021, 0.022, 0.023]]
    # The seed that diverged is at the loss of the best answer without memory.
    assert [x for marker, x in points if marker == "x"] == [[TRIVIAL_LOSS]]
    default, tuned = [(0.1 * 0.11 * TRIVIAL_LOSS) ** (1 / 3), (0.02 * 0.021 * 0.022 * 0.023) ** (1 / 4)]
    assert [x for marker, x in points if marker == "s"] == [[pytest.approx(default)], [pytest.approx(tuned)]]
    interval = scipy.stats.ttest_1samp(np.log([0.02, 0.021, 0.022, 0.023]), 0).confidence_interval(0.95)
    ends = pytest.approx([float(end) for end in np.exp(interval)])
    assert [x for marker, x in points if marker == ""] == [pytest.approx([default, tuned]), ends]


def test_axes() -> None:
    log = domain_axis(Domain(name="a", low=1e-4, high=1e-2, log=True), [])
    assert [log.position(value) for value in (1e-4, 1e-3, 1e-2, -1, None, "x", True)] == pytest.approx(
        [0, 0.5, 1] + [float("nan")] * 4, nan_ok=True
    )
    assert [text for _, text in log.ticks()] == ["0.0001", "0.001", "0.01"]
    # The default may lie outside of what is searched.
    wider = domain_axis(Domain(name="a", low=1.0, high=2.0), [5.0, "x"])
    assert (wider.low, wider.high) == (1.0, 5.0)
    choice = domain_axis(Domain(name="a", choices=(1, True, None)), ["1", 7])
    assert choice.choices == ("1", "true", "null", "7")
    assert choice.position(True) == pytest.approx(1.5 / 4)
    assert values_axis([1.0, 9.0]).log is False
    assert values_axis([1.0, 11.0]).log is True
    assert values_axis([0.0, 11.0]).log is False
    assert Axis(low=3.0, high=3.0).position(3.0) == 0.5
    assert [text for _, text in Axis(low=1.0, high=2.0, integer=True).ticks(6)] == ["1", "2"]


def test_domains() -> None:
    assert parse_domain("a", {"low": "1e-4", "high": 1, "log": True}).low == 1e-4
    assert parse_domain("a", "adam").is_fixed
    assert parse_domain("a", [None]).is_fixed
    assert not parse_domain("a", {"choices": [1, 2]}).is_fixed
    assert infer_domain("a", [1, 3, 2]).high == 3
    assert infer_domain("a", [1, True, "x"]).choices == (1, True, "x")
    assert format_domain(parse_domain("a", {"low": 2, "high": 8, "when": {"b": True, "c": {"low": 1, "high": 4}}})) == (
        "2\u20138 (when b is true and c \u2265 1 and \u2264 4)"
    )


def test_texts_are_cut_to_their_room() -> None:
    assert fit_text("softplus", 1000) == "softplus"
    cut = fit_text("softplus", 30)
    assert cut.endswith("…")
    assert "softplus".startswith(cut[:-1])
    assert text_width(cut) <= 30
    assert fit_text("softplus", 2) == ""


def test_the_space_of_the_studies_is_all_drawn() -> None:
    assert set(SPACE) - {"optimizer"} == {name for number in range(12) for name in trial_params(number)}

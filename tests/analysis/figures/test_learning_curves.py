"""Learning curves: histories of logged values, scales, labels and alternative text."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes

from analysis.figures import learning_curves
from analysis.figures.axes import SHARE_SCALE, fit_scale
from analysis.figures.histories import SeedCurve, load_history
from analysis.grouping import Section, build_sections
from analysis.style import CUSTOM_FAMILY, FAMILIES, LINE_STYLES, REFERENCE_COLOR, line_styles
from tests.analysis.report_runs import experiment, write_run
from workbench.errors import UserError
from workbench.results import finished_runs


def load_section(out: Path) -> Section:
    (section,) = build_sections(finished_runs(out))
    return section


def test_mean_and_interval_over_seeds(tmp_path: Path) -> None:
    for seed, losses in enumerate([(0.2, 0.1), (0.3, 0.2), (0.4, 0.6)]):
        write_run(tmp_path, experiment(seed=seed, log_every=50), losses=losses)
    history = load_history(load_section(tmp_path).rows[0], "val/loss")
    assert history is not None
    assert history.step.tolist() == [50, 100]
    assert history.mean == pytest.approx([0.3, 0.3])
    # t(0.975; 2) / sqrt(3), times the standard deviations over n - 1.
    assert history.half_width == pytest.approx(4.302653 / np.sqrt(3) * np.array([0.1, np.sqrt(0.07)]), rel=1e-6)
    assert history.end == pytest.approx((100, 0.3))


def test_diverged_runs_stand_beside_the_mean(tmp_path: Path) -> None:
    write_run(tmp_path, experiment(seed=0), losses=(0.2, 0.1))
    write_run(tmp_path, experiment(seed=1), losses=(0.2, np.nan), loss=None, diverged_at=170)
    history = load_history(load_section(tmp_path).rows[0], "val/loss")
    assert history is not None
    assert history.mean.tolist() == [0.2, 0.1]
    (run,) = history.diverged
    assert (run.step.tolist(), run.value.tolist(), run.end) == ([100], [0.2], 170)


def test_a_seed_that_ended_stays_in_the_mean_with_its_last_value(tmp_path: Path) -> None:
    write_run(tmp_path, experiment(seed=0), losses=(0.2, 0.1, 0.05))
    write_run(tmp_path, experiment(seed=1), losses=(0.4, 0.3))
    write_run(tmp_path, experiment(seed=2), losses=(0.6,))
    history = load_history(load_section(tmp_path).rows[0], "val/loss")
    assert history is not None
    assert history.step.tolist() == [100, 200, 300]
    assert history.mean == pytest.approx([1.2 / 3, 1.0 / 3, 0.95 / 3])
    assert [seed.value.tolist() for seed in history.seeds] == [[0.2, 0.1, 0.05], [0.4, 0.3], [0.6]]
    assert history.early_ends == [(200, 0.3), (100, 0.6)]


def test_a_step_that_one_seed_has_passed_without_a_value_is_left_out(tmp_path: Path) -> None:
    write_run(tmp_path, experiment(seed=0), losses=(0.2, np.nan, 0.05, 0.04))
    # Ended between two rows, as its time was up.
    folder = write_run(tmp_path, experiment(seed=1), losses=(0.4, 0.3))
    (folder / "metrics.csv").write_text("step,val/loss\n100,0.4\n200,0.3\n230,0.2\n")
    history = load_history(load_section(tmp_path).rows[0], "val/loss")
    assert history is not None
    assert history.step.tolist() == [100, 300, 400]
    assert history.mean == pytest.approx([0.3, 0.125, 0.12])


def test_a_column_that_no_run_has(tmp_path: Path) -> None:
    write_run(tmp_path, experiment())
    assert load_history(load_section(tmp_path).rows[0], "val/accuracy") is None


@pytest.mark.parametrize("content", ["", "x: [\n", "step\n1\n2,3\n", "val/loss\n0.1\n", "step,val/loss\n1,x\n"])
def test_broken_metrics_are_one_line(tmp_path: Path, content: str) -> None:
    folder = write_run(tmp_path, experiment())
    (folder / "metrics.csv").write_text(content)
    with pytest.raises(UserError, match="is not a readable table of metrics") as error:
        load_history(load_section(tmp_path).rows[0], "val/loss")
    assert "\n" not in str(error.value)


def test_missing_metrics_are_one_line(tmp_path: Path) -> None:
    folder = write_run(tmp_path, experiment())
    (folder / "metrics.csv").unlink()
    with pytest.raises(UserError, match="is not a readable table of metrics"):
        load_history(load_section(tmp_path).rows[0], "val/loss")


def test_logarithmic_over_a_decade_only() -> None:
    assert not fit_scale([0.1, 0.9]).log
    assert fit_scale([0.1, 1.1]).log
    # Nothing to take a logarithm of.
    assert not fit_scale([0.0, 5.0]).log
    scale = fit_scale([0.0, 0.001, 0.5])
    assert scale.log
    assert scale.low > 0
    assert scale.clip([0.0])[0] == scale.low
    assert fit_scale([]).low < fit_scale([]).high
    assert fit_scale([0.2]).low < 0.2 < fit_scale([0.2]).high


def test_fractions_of_an_axis() -> None:
    assert SHARE_SCALE.fraction(0.5) == pytest.approx(0.5)
    scale = fit_scale([0.001, 1.0])
    assert scale.fraction(np.sqrt(0.001)) == pytest.approx(0.5)
    assert scale.fraction(1e9) == 1
    assert scale.fraction(0.0) == 0


def test_the_figure_has_what_it_has_to_have(tmp_path: Path) -> None:
    for seed in (0, 1):
        write_run(tmp_path, experiment("lstm", seed=seed), losses=(0.2, 0.01), accuracies=(0.5, 0.9))
    write_run(tmp_path, experiment("gru", log_every=7), losses=(0.2,) * 12, accuracies=(0.5,) * 12)
    write_run(tmp_path, experiment("rwa"), losses=(0.2, 50.0), loss=None, diverged_at=250)
    section = load_section(tmp_path)
    histories = learning_curves.load_histories(section)
    assert list(histories) == ["val/loss", "val/accuracy"]
    figure = learning_curves.draw_learning_curves(section, histories)
    loss, accuracy = figure.axes
    assert loss.get_yscale() == "log"
    assert accuracy.get_yscale() == "linear"
    written = {text.get_text() for text in loss.texts}
    assert {"lstm", "gru", "rwa", "trivial 0.167"} == written
    assert {text.get_text() for text in accuracy.texts} == {"lstm", "gru"}
    # The cross where rwa diverged, at the edge, beyond which its loss lies.
    crosses = [line for line in loss.lines if line.get_marker() == "x"]
    ((x, y),) = [(line.get_xdata()[0], line.get_ydata()[0]) for line in crosses]  # type: ignore[index]
    assert (x, y) == (250, loss.get_ylim()[1])
    assert "diverged" in learning_curves.caption(histories)
    assert "lstm 0.0100 at step 200; gru 0.200 at step 84" in learning_curves.alt_text(section, histories)


def drawn_lines(axes: Axes, color: str, width: float) -> list[list[float]]:
    """Returns the vertical values of the curves of a color and width inside the axes."""
    lines = [line for line in axes.lines if line.get_color() == color and line.get_linewidth() == width]
    return [[float(value) for value in np.asarray(line.get_ydata())] for line in lines]


@pytest.mark.parametrize("num_seeds", [1, 3, 4])
def test_few_seeds_are_thin_lines_and_more_a_band(tmp_path: Path, num_seeds: int) -> None:
    for seed in range(num_seeds):
        write_run(tmp_path, experiment(seed=seed), losses=(0.2, 0.1 * (seed + 1)))
    section = load_section(tmp_path)
    histories = learning_curves.load_histories(section)
    (axes,) = learning_curves.draw_learning_curves(section, histories).axes
    thin = drawn_lines(axes, LINE_STYLES["lstm"].color, learning_curves.SEED_LINE["linewidth"])
    expected = [[0.2, 0.1 * (seed + 1)] for seed in range(num_seeds)] if num_seeds == 3 else []
    assert thin == [pytest.approx(values) for values in expected]
    assert len(axes.collections) == (num_seeds == 4)
    text = learning_curves.caption(histories)
    assert ("thin line is a seed" in text, "band" in text, "no interval" in text) == (
        num_seeds == 3,
        num_seeds == 4,
        num_seeds == 1,
    )


def test_bands_stay_where_values_can_be(tmp_path: Path) -> None:
    for seed, end in enumerate((0.001, 0.001, 0.001, 0.5)):
        write_run(tmp_path, experiment(seed=seed), losses=(0.2, end), accuracies=(0.5, 1 - end))
    (row,) = load_section(tmp_path).rows
    loss, accuracy = load_history(row, "val/loss"), load_history(row, "val/accuracy")
    assert loss is not None
    assert accuracy is not None
    assert (loss.mean - loss.half_width)[1] < 0
    assert loss.band()[0].tolist() == [pytest.approx(0.2), 0.0]
    assert (accuracy.mean + accuracy.half_width)[1] > 1
    assert accuracy.band()[1].tolist() == [pytest.approx(0.5), 1.0]


def test_a_loss_that_can_be_negative_has_its_whole_band(tmp_path: Path) -> None:
    for seed in range(4):
        write_run(tmp_path, experiment(seed=seed), losses=(0.1 * seed - 0.1,))
    history = load_history(load_section(tmp_path).rows[0], "val/loss")
    assert history is not None
    assert history.band()[0] == pytest.approx(history.mean - history.half_width)


def test_a_bar_marks_the_end_of_a_seed_that_ended_early(tmp_path: Path) -> None:
    write_run(tmp_path, experiment(seed=0), losses=(0.2, 0.1, 0.05))
    write_run(tmp_path, experiment(seed=1), losses=(0.4, 0.3))
    section = load_section(tmp_path)
    histories = learning_curves.load_histories(section)
    (axes,) = learning_curves.draw_learning_curves(section, histories).axes
    bars = [line for line in axes.lines if line.get_marker() == "|"]
    assert [(*np.asarray(bar.get_xdata()), *np.asarray(bar.get_ydata())) for bar in bars] == [(200, 0.3)]
    assert "bar marks where a seed ended early" in learning_curves.caption(histories)


def test_many_architectures_have_panels_by_family(tmp_path: Path) -> None:
    names = [*LINE_STYLES, "my.own:Model"]
    for index, name in enumerate(names):
        write_run(tmp_path, experiment(name), losses=(0.2, 0.01 * (index + 1)), accuracies=(0.1, 0.02 * index))
    section = load_section(tmp_path)
    histories = learning_curves.load_histories(section)
    figure = learning_curves.draw_learning_curves(section, histories)
    families = {**FAMILIES, CUSTOM_FAMILY: ("my.own:Model",)}
    assert len(figure.axes) == 2 * len(families)
    styles = line_styles(names)
    for (title, members), axes, beside in zip(families.items(), figure.axes[::2], figure.axes[1::2], strict=True):
        assert axes.get_title(loc="left") == title
        for panel, ends in (
            (axes, [0.01 * (index + 1) for index in range(len(names))]),
            (beside, [0.02 * index for index in range(len(names))]),
        ):
            width = learning_curves.FAMILY_LINES["lines.linewidth"]
            for name, end in zip(names, ends, strict=True):
                curves = drawn_lines(panel, styles[name].color, width)
                own = [curve for curve in curves if len(curve) == 2 and curve[1] == pytest.approx(end)]
                assert len(own) == (name in members)
            grey = drawn_lines(panel, REFERENCE_COLOR, learning_curves.REFERENCE_LINE["linewidth"])
            others = [end for name, end in zip(names, ends, strict=True) if name not in members]
            assert [curve[1] for curve in grey] == pytest.approx(others)
            # What is compared has one scale.
            assert panel.get_ylim() == (figure.axes[0] if panel is axes else figure.axes[1]).get_ylim()
    labels = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert sorted(labels) == sorted([*names, "trivial 0.167"])
    assert "one family in color" in learning_curves.caption(histories)


def test_eight_architectures_share_a_panel(tmp_path: Path) -> None:
    for name in [*LINE_STYLES][:8]:
        write_run(tmp_path, experiment(name), losses=(0.2, 0.1))
    section = load_section(tmp_path)
    assert len(learning_curves.draw_learning_curves(section, learning_curves.load_histories(section)).axes) == 1


def test_a_seed_under_way_is_a_line_beside_the_mean(tmp_path: Path) -> None:
    write_run(tmp_path, experiment(), losses=(0.2, 0.1))
    section = load_section(tmp_path)
    (history,) = learning_curves.load_histories(section)["val/loss"]
    seed = SeedCurve(step=np.array([100.0, 500.0]), value=np.array([0.3, 0.2]))
    histories = {"val/loss": [replace(history, under_way=(seed,))]}
    (axes,) = learning_curves.draw_learning_curves(section, histories).axes
    width = learning_curves.UNDER_WAY_LINE["linewidth"]
    assert drawn_lines(axes, LINE_STYLES["lstm"].color, width) == [[0.3, 0.2]]
    assert axes.get_xlim() == (0, 500)


@pytest.mark.parametrize("losses", [(), (np.nan,), (0.3,)])
def test_nothing_but_a_diverged_run(tmp_path: Path, losses: tuple[float, ...]) -> None:
    write_run(tmp_path, experiment("rnn"), losses=losses, loss=None, diverged_at=3)
    section = load_section(tmp_path)
    figure = learning_curves.draw_learning_curves(section, learning_curves.load_histories(section))
    assert [line.get_xdata()[0] for line in figure.axes[0].lines if line.get_marker() == "x"] == [3]  # type: ignore[index]


def test_many_architectures_have_labels_that_do_not_overlap(tmp_path: Path) -> None:
    for index in range(16):
        write_run(tmp_path, experiment(f"package.module{index}:Class"), losses=(0.2, 0.1))
    section = load_section(tmp_path)
    figure = learning_curves.draw_learning_curves(section, learning_curves.load_histories(section))
    boxes = sorted((text.get_window_extent().y0, text.get_window_extent().y1) for text in figure.axes[0].texts)
    assert len(boxes) == 17
    assert all(above[0] >= below[1] - 1 for below, above in pairwise(boxes))
    assert boxes[-1][1] <= figure.bbox.height
    assert max(text.get_window_extent().x1 for text in figure.axes[0].texts) <= figure.bbox.width

"""Learning curves: histories of logged values, scales, labels and alternative text."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from analysis.figures import learning_curves
from analysis.figures.axes import SHARE_SCALE, fit_scale
from analysis.figures.learning_curves import load_history
from analysis.grouping import Section, build_sections
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


def test_the_mean_ends_where_the_first_seed_does(tmp_path: Path) -> None:
    write_run(tmp_path, experiment(seed=0), losses=(0.2, 0.1, 0.05))
    write_run(tmp_path, experiment(seed=1), losses=(0.4, 0.3))
    history = load_history(load_section(tmp_path).rows[0], "val/loss")
    assert history is not None
    assert history.mean == pytest.approx([0.3, 0.2])


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

"""Live learning curves: their lines, and how rarely they are drawn."""

import re
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure

from analysis.dashboards.server import live_curves
from analysis.dashboards.server.live_curves import LiveCurves
from analysis.dashboards.server.progress import FolderWatcher
from tests.analysis.dashboards.server_runs import write_comparison, write_unfinished_run
from tests.analysis.report_runs import experiment, write_run
from workbench.files import write_text


@pytest.fixture
def drawn_lines(monkeypatch):
    """Records the lines that are drawn: width (1.7 for the report's means), steps and values of each."""
    lines: list[tuple[float, list[float], list[float]]] = []
    savefig = Figure.savefig

    def watched(figure, *args, **kwargs):
        for axes in figure.axes[:1]:
            for line in axes.lines:
                if len(line.get_xdata()) > 1 and line.get_linewidth() != 0.6:
                    steps = [float(x) for x in np.asarray(line.get_xdata())]
                    lines.append((line.get_linewidth(), steps, [float(y) for y in np.asarray(line.get_ydata())]))
        return savefig(figure, *args, **kwargs)

    monkeypatch.setattr(Figure, "savefig", watched)
    return lines


def record_drawings(monkeypatch):
    """Returns a list to which the title of each drawn figure is appended."""
    titles: list[str] = []
    draw_section = live_curves.draw_section

    def recorded(section, statuses):
        titles.append(section.title)
        return draw_section(section, statuses)

    monkeypatch.setattr(live_curves, "draw_section", recorded)
    return titles


def test_while_no_seed_is_finished_the_farthest_stands_for_the_mean_and_does_not_shrink_to_the_next(
    tmp_path, drawn_lines
):
    first, _, third, _ = write_comparison(tmp_path)
    write_unfinished_run(tmp_path, first, [0.5, 0.4, 0.3])
    write_unfinished_run(tmp_path, third, [0.3, 0.2])
    (drawn,) = LiveCurves().figures(FolderWatcher(tmp_path).current())
    assert drawn.svg is not None
    curves = {width: (x, y) for width, x, y in drawn_lines if max(x) > 2 and width in (0.9, 1.7)}
    assert curves[1.7] == ([100, 200, 300], pytest.approx([0.5, 0.4, 0.3]))
    assert curves[0.9] == ([100, 200], pytest.approx([0.3, 0.2]))
    assert "seeds under way" in drawn.caption
    # Addition's loss without memory, 1/6, is known before anything has finished.
    assert "trivial 0.167" in drawn.svg


def test_a_seed_under_way_is_a_thin_line_beside_those_that_are_finished(tmp_path, drawn_lines):
    run_config = experiment("lstm", steps=1000)
    write_run(tmp_path, run_config, losses=(0.5, 0.4, 0.3))
    write_unfinished_run(tmp_path, replace(run_config, seed=1), [0.45, 0.35])
    (drawn,) = LiveCurves().figures(FolderWatcher(tmp_path).current())
    curves = {width: (x, y) for width, x, y in drawn_lines if max(x) > 2 and width in (0.9, 1.7)}
    assert curves[1.7] == ([100, 200, 300], pytest.approx([0.5, 0.4, 0.3]))
    assert curves[0.9] == ([100, 200], pytest.approx([0.45, 0.35]))
    assert "seeds under way" in drawn.caption


def test_a_seed_that_diverged_is_no_mean_for_those_under_way(tmp_path, drawn_lines):
    run_config = experiment("lstm", steps=1000)
    write_run(tmp_path, run_config, loss=None, losses=(0.5, 0.6))
    write_unfinished_run(tmp_path, replace(run_config, seed=1), [0.45, 0.35, 0.25])
    write_unfinished_run(tmp_path, replace(run_config, seed=2), [0.44])
    assert LiveCurves().figures(FolderWatcher(tmp_path).current())[0].svg is not None
    (mean,) = [(x, y) for width, x, y in drawn_lines if width == 1.7 and max(x) > 2]
    assert mean == ([100, 200, 300], pytest.approx([0.45, 0.35, 0.25]))


def test_a_long_run_makes_no_page_that_a_browser_cannot_hold(tmp_path):
    write_unfinished_run(
        tmp_path, experiment("lstm", steps=10_000_000), np.random.default_rng(0).uniform(0.1, 0.5, size=50_000)
    )
    (drawn,) = LiveCurves().figures(FolderWatcher(tmp_path).current())
    assert drawn.svg is not None
    assert len(drawn.svg) < 200_000


def test_they_are_drawn_again_only_when_something_is_new_and_not_too_soon(tmp_path, monkeypatch):
    clock = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    run_config, calls = write_comparison(tmp_path)[0], record_drawings(monkeypatch)
    write_unfinished_run(tmp_path, run_config, [0.5])
    curves_cache = LiveCurves()
    first = curves_cache.figures(FolderWatcher(tmp_path).current())
    clock[0] += 100
    assert curves_cache.figures(FolderWatcher(tmp_path).current()) is first
    write_unfinished_run(tmp_path, run_config, [0.5, 0.4])
    second = curves_cache.figures(FolderWatcher(tmp_path).current())
    assert second != first
    write_unfinished_run(tmp_path, run_config, [0.5, 0.4, 0.3])
    assert curves_cache.figures(FolderWatcher(tmp_path).current()) is second
    clock[0] += live_curves.LEAST_SECONDS - 0.1
    assert curves_cache.figures(FolderWatcher(tmp_path).current()) is second
    clock[0] += 100
    assert curves_cache.figures(FolderWatcher(tmp_path).current()) != second
    assert len(calls) == 3


def test_many_who_look_at_once_draw_once(tmp_path, monkeypatch):
    calls = record_drawings(monkeypatch)
    write_unfinished_run(tmp_path, write_comparison(tmp_path)[0], [0.5, 0.4])
    curves_cache, progress, results = LiveCurves(), FolderWatcher(tmp_path).current(), []
    threads = [threading.Thread(target=lambda: results.append(curves_cache.figures(progress))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == 1
    assert len(results) == 8
    assert all(figures == results[0] and figures[0].svg for figures in results)


def test_only_the_task_that_has_changed_is_drawn_again(tmp_path, monkeypatch):
    monkeypatch.setattr(live_curves, "LEAST_SECONDS", 0)
    monkeypatch.setattr(live_curves, "REST_FACTOR", 0)
    titles = record_drawings(monkeypatch)
    short, long = (experiment("lstm", task_options={"length": length}) for length in (10, 20))
    write_unfinished_run(tmp_path, short, [0.5])
    write_unfinished_run(tmp_path, long, [0.5])
    curves_cache = LiveCurves()
    assert len(curves_cache.figures(FolderWatcher(tmp_path).current())) == 2
    write_unfinished_run(tmp_path, long, [0.5, 0.4])
    assert len(curves_cache.figures(FolderWatcher(tmp_path).current())) == 2
    assert titles == ["addition, length=10", "addition, length=20", "addition, length=20"]


def test_a_figure_that_cannot_be_drawn_is_a_line_and_hides_no_other(tmp_path):
    write_unfinished_run(tmp_path, experiment("lstm", task_options={"length": 10}), [0.5])
    broken = write_unfinished_run(tmp_path, experiment("lstm", task_options={"length": 20}), [0.5])
    write_text(broken / "metrics.csv", "step,val/loss\nx,<b>\n200,0.3\n")
    drawn, line = LiveCurves().figures(FolderWatcher(tmp_path).current())
    assert drawn.svg is not None
    assert line.svg is None
    assert re.search("cannot be drawn: .*metrics.csv", line.caption)


def test_without_rows_there_is_nothing_to_draw(tmp_path):
    write_unfinished_run(tmp_path, write_comparison(tmp_path)[0])
    assert LiveCurves().figures(FolderWatcher(tmp_path).current()) == ()

"""The curves so far: what is in them, and how rarely they are drawn."""

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
from tests.analysis.dashboards.server_runs import begun, compared
from tests.analysis.report_runs import experiment, write_run
from workbench.files import write_text


@pytest.fixture
def plotted(monkeypatch):
    """The curves that are drawn: step and value of each, by line width (the report's means have 1.7)."""
    seen: list[tuple[float, list[float], list[float]]] = []
    savefig = Figure.savefig

    def watched(figure, *args, **kwargs):
        for axes in figure.axes[:1]:
            for line in axes.lines:
                if len(line.get_xdata()) > 1 and line.get_linewidth() != 0.6:
                    ends = [float(x) for x in np.asarray(line.get_xdata())]
                    seen.append((line.get_linewidth(), ends, [float(y) for y in np.asarray(line.get_ydata())]))
        return savefig(figure, *args, **kwargs)

    monkeypatch.setattr(Figure, "savefig", watched)
    return seen


def counted(monkeypatch):
    """The titles of the figures that are drawn, one by one."""
    titles: list[str] = []
    drawing = live_curves.draw_section

    def watched(section, shown):
        titles.append(section.title)
        return drawing(section, shown)

    monkeypatch.setattr(live_curves, "draw_section", watched)
    return titles


def test_while_no_seed_is_finished_the_farthest_stands_for_the_mean_and_does_not_shrink_to_the_next(tmp_path, plotted):
    first, _, third, _ = compared(tmp_path)
    begun(tmp_path, first, [0.5, 0.4, 0.3])
    begun(tmp_path, third, [0.3, 0.2])
    (drawn,) = LiveCurves().now(FolderWatcher(tmp_path).now())
    assert drawn.svg is not None
    curves = {width: (x, y) for width, x, y in plotted if max(x) > 2 and width in (0.9, 1.7)}
    assert curves[1.7] == ([100, 200, 300], pytest.approx([0.5, 0.4, 0.3]))
    assert curves[0.9] == ([100, 200], pytest.approx([0.3, 0.2]))
    assert "seeds under way" in drawn.caption
    # Addition's loss without memory, 1/6, is known before anything has finished.
    assert "trivial 0.167" in drawn.svg


def test_a_seed_under_way_is_a_thin_line_beside_those_that_are_finished(tmp_path, plotted):
    made = experiment("lstm", steps=1000)
    write_run(tmp_path, made, losses=(0.5, 0.4, 0.3))
    begun(tmp_path, replace(made, seed=1), [0.45, 0.35])
    (drawn,) = LiveCurves().now(FolderWatcher(tmp_path).now())
    curves = {width: (x, y) for width, x, y in plotted if max(x) > 2 and width in (0.9, 1.7)}
    assert curves[1.7] == ([100, 200, 300], pytest.approx([0.5, 0.4, 0.3]))
    assert curves[0.9] == ([100, 200], pytest.approx([0.45, 0.35]))
    assert "seeds under way" in drawn.caption


def test_a_seed_that_diverged_is_no_mean_for_those_under_way(tmp_path, plotted):
    made = experiment("lstm", steps=1000)
    write_run(tmp_path, made, loss=None, losses=(0.5, 0.6))
    begun(tmp_path, replace(made, seed=1), [0.45, 0.35, 0.25])
    begun(tmp_path, replace(made, seed=2), [0.44])
    assert LiveCurves().now(FolderWatcher(tmp_path).now())[0].svg is not None
    (mean,) = [(x, y) for width, x, y in plotted if width == 1.7 and max(x) > 2]
    assert mean == ([100, 200, 300], pytest.approx([0.45, 0.35, 0.25]))


def test_a_long_run_makes_no_page_that_a_browser_cannot_hold(tmp_path):
    begun(tmp_path, experiment("lstm", steps=10_000_000), np.random.default_rng(0).uniform(0.1, 0.5, size=50_000))
    (drawn,) = LiveCurves().now(FolderWatcher(tmp_path).now())
    assert drawn.svg is not None
    assert len(drawn.svg) < 200_000


def test_they_are_drawn_again_only_when_something_is_new_and_not_too_soon(tmp_path, monkeypatch):
    clock = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    made, calls = compared(tmp_path)[0], counted(monkeypatch)
    begun(tmp_path, made, [0.5])
    gallery = LiveCurves()
    first = gallery.now(FolderWatcher(tmp_path).now())
    clock[0] += 100
    assert gallery.now(FolderWatcher(tmp_path).now()) is first
    begun(tmp_path, made, [0.5, 0.4])
    second = gallery.now(FolderWatcher(tmp_path).now())
    assert second != first
    begun(tmp_path, made, [0.5, 0.4, 0.3])
    assert gallery.now(FolderWatcher(tmp_path).now()) is second
    clock[0] += live_curves.LEAST_SECONDS - 0.1
    assert gallery.now(FolderWatcher(tmp_path).now()) is second
    clock[0] += 100
    assert gallery.now(FolderWatcher(tmp_path).now()) != second
    assert len(calls) == 3


def test_many_who_look_at_once_draw_once(tmp_path, monkeypatch):
    calls = counted(monkeypatch)
    begun(tmp_path, compared(tmp_path)[0], [0.5, 0.4])
    gallery, progress, got = LiveCurves(), FolderWatcher(tmp_path).now(), []
    threads = [threading.Thread(target=lambda: got.append(gallery.now(progress))) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(calls) == 1
    assert len(got) == 8
    assert all(each == got[0] and each[0].svg for each in got)


def test_only_the_task_that_has_changed_is_drawn_again(tmp_path, monkeypatch):
    monkeypatch.setattr(live_curves, "LEAST_SECONDS", 0)
    monkeypatch.setattr(live_curves, "REST", 0)
    titles = counted(monkeypatch)
    short, long = (experiment("lstm", task_options={"length": length}) for length in (10, 20))
    begun(tmp_path, short, [0.5])
    begun(tmp_path, long, [0.5])
    gallery = LiveCurves()
    assert len(gallery.now(FolderWatcher(tmp_path).now())) == 2
    begun(tmp_path, long, [0.5, 0.4])
    assert len(gallery.now(FolderWatcher(tmp_path).now())) == 2
    assert titles == ["addition, length=10", "addition, length=20", "addition, length=20"]


def test_a_figure_that_cannot_be_drawn_is_a_line_and_hides_no_other(tmp_path):
    begun(tmp_path, experiment("lstm", task_options={"length": 10}), [0.5])
    broken = begun(tmp_path, experiment("lstm", task_options={"length": 20}), [0.5])
    write_text(broken / "metrics.csv", "step,val/loss\nx,<b>\n200,0.3\n")
    whole, line = LiveCurves().now(FolderWatcher(tmp_path).now())
    assert whole.svg is not None
    assert line.svg is None
    assert re.search("cannot be drawn: .*metrics.csv", line.caption)


def test_without_rows_there_is_nothing_to_draw(tmp_path):
    begun(tmp_path, compared(tmp_path)[0])
    assert LiveCurves().now(FolderWatcher(tmp_path).now()) == ()

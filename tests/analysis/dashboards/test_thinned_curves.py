"""Thinned curves: a line through the chosen points looks like a line through all."""

import numpy as np
import pandas as pd

from analysis.dashboards.server import live_curves
from analysis.figures import learning_curves
from analysis.grouping import build_sections
from tests.analysis.report_runs import experiment, write_run
from workbench.results import finished_runs


def test_few_points_are_all_drawn():
    values = np.random.default_rng(0).normal(size=live_curves.MAX_POINTS)
    assert live_curves.thin_indices(values).tolist() == list(range(len(values)))
    assert live_curves.thin_indices(np.empty(0)).tolist() == []


def test_of_many_points_both_ends_every_spike_and_the_shape_are_kept():
    values = np.sin(np.linspace(0, 20, 200_001))
    values[77_777], values[150_001] = 9.0, -9.0
    indices = live_curves.thin_indices(values)
    assert (indices[0], indices[-1]) == (0, 200_000)
    assert (np.diff(indices) > 0).all()
    assert {77_777, 150_001} <= set(indices.tolist())
    assert len(indices) <= live_curves.MAX_POINTS + 2
    # A line through what is left is nowhere farther off than the curve moves within a stretch.
    smooth = np.sin(np.linspace(0, 20, 200_001))
    between = np.interp(np.arange(200_001), indices, smooth[indices])
    assert np.abs(between - smooth).max() < 20 / (live_curves.MAX_POINTS / 2)


def test_a_mean_its_interval_and_what_diverged_keep_their_steps(tmp_path):
    steps = np.arange(1, 20_001)
    for seed in (0, 1):
        folder = write_run(tmp_path, experiment("lstm", seed=seed))
        table = pd.DataFrame({"step": steps, "train/loss": 1.0, "val/loss": 1 / steps + seed, "learning_rate": 0.1})
        table.to_csv(folder / "metrics.csv", index=False)
    full = learning_curves.load_histories(build_sections(finished_runs(tmp_path))[0])
    thinned = live_curves.thin_histories(full)
    assert thinned.keys() == full.keys()
    (before,), (after,) = full["val/loss"], thinned["val/loss"]
    assert len(before.step) == 20_000
    assert len(after.step) <= live_curves.MAX_POINTS + 2
    rows = after.step.astype(int) - 1
    assert (after.mean == before.mean[rows]).all()
    assert (after.half_width == before.half_width[rows]).all()
    assert after.end == before.end

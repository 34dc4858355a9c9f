"""The figure of the score against state size, where widths were swept."""

import math
from typing import Any

import numpy as np
import pytest
import scipy.special
import scipy.stats

from analysis.figures.learning_curves import load_histories
from analysis.grouping import Section, build_sections
from analysis.report.build import task_chapter
from analysis.report.state_sizes import blocks, describe_state_sizes, draw_state_sizes, swept_widths
from tests.analysis.report_runs import experiment, write_run
from workbench.results import finished_runs

WIDTHS = (8, 16, 32)


def section_of(out) -> Section:
    (section,) = build_sections(finished_runs(out))
    return section


def write_widths(out, name, scores, solved=(), seeds=4, *, accuracy=True, **rest: Any):
    """Writes runs of one architecture in several widths, with a state of twice the width."""
    for width, score in zip(WIDTHS, scores, strict=True):
        for seed in range(seeds):
            shown = None if score is None else score - 0.01 * seed
            kinds = {"accuracy": shown, "loss": 0.5} if accuracy else {"loss": shown}
            write_run(
                out,
                experiment(name, hidden_size=width, seed=seed, **rest),
                **kinds,
                state_size=2 * width,
                solved_at=100 + seed if width in solved else None,
                criterion="accuracy > 0.9",
            )


def curves(figure):
    """The lines over the three states; labels and references are other lines."""
    lines = [tuple(np.asarray(data) for data in line.get_data()) for line in figure.axes[0].lines]
    return [y for x, y in lines if x.tolist() == [2 * width for width in WIDTHS]]


def test_a_line_has_the_mean_accuracy_at_each_state_size_and_its_band(tmp_path):
    write_widths(tmp_path, "lstm", (0.3, 0.6, 0.95), solved=(32,))
    write_widths(tmp_path, "gru", (0.5, 0.96, 0.97), solved=(16, 32))
    section = section_of(tmp_path)
    swept = swept_widths(section)
    assert [widths.label for widths in swept] == ["lstm", "gru"]
    figure = draw_state_sizes(section, swept)
    lstm, gru = curves(figure)
    # Of seeds 0 .. 3, each 0.01 lower than the last.
    assert lstm == pytest.approx([0.285, 0.585, 0.935])
    assert gru == pytest.approx([0.485, 0.945, 0.955])
    assert figure.axes[0].get_xscale() == "log"
    # The band at 0.285: Student's of the logits of shares of 500 answers, no narrower than the test set's own.
    (band, _) = figure.axes[0].collections
    vertices = np.asarray(band.get_paths()[0].vertices)
    ends = sorted({round(float(y), 6) for px, y in vertices if math.isclose(px, 16)})
    counts = 500 * np.array([0.3, 0.29, 0.28, 0.27])
    logits = np.log((counts + 0.5) / (500 - counts + 0.5))
    half = scipy.stats.t.ppf(0.975, 3) * logits.std(ddof=1) / 2
    student = scipy.special.expit([logits.mean() - half, logits.mean() + half])
    wilson = scipy.stats.binomtest(round(0.285 * 500), 500).proportion_ci(method="wilson")
    assert ends[0] == pytest.approx(min(student[0], wilson.low), abs=2e-3)
    assert ends[-1] == pytest.approx(max(student[1], wilson.high), abs=2e-3)


def test_the_sentence_has_the_smallest_state_that_solves_on_every_seed(tmp_path):
    write_widths(tmp_path, "lstm", (0.3, 0.6, 0.95))
    write_widths(tmp_path, "gru", (0.5, 0.96, 0.97), solved=(16, 32))
    write_widths(tmp_path, "rwa", (0.5, 0.96, 0.97), solved=(8,))
    section = section_of(tmp_path)
    assert describe_state_sizes(section, swept_widths(section)) == (
        "The fewest numbers carried with which every seed solved the task: 16 for rwa and 32 for gru; no width of lstm "
        "(up to 64 numbers) did."
    )


def test_a_task_that_nobody_solves(tmp_path):
    write_widths(tmp_path, "lstm", (0.3, 0.6, 0.95))
    section = section_of(tmp_path)
    assert describe_state_sizes(section, swept_widths(section)) == (
        "No width of lstm (up to 64 numbers) solved the task on every seed."
    )


def test_losses_are_drawn_where_there_is_no_accuracy_and_few_seeds_have_no_band(tmp_path):
    write_widths(tmp_path, "lstm", (0.4, 0.2, 0.1), accuracy=False, seeds=2)
    section = section_of(tmp_path)
    figure = draw_state_sizes(section, swept_widths(section))
    (losses,) = curves(figure)
    # Losses are averaged on a log scale.
    assert losses == pytest.approx([math.sqrt(high * (high - 0.01)) for high in (0.4, 0.2, 0.1)])
    assert not figure.axes[0].collections


def test_one_width_and_other_differences_are_no_sweep(tmp_path):
    for seed in range(2):
        write_run(tmp_path, experiment("lstm", hidden_size=8, seed=seed), state_size=16)
        write_run(tmp_path, experiment("gru", hidden_size=8, seed=seed), state_size=8)
        write_run(tmp_path, experiment("gru", hidden_size=16, seed=seed, learning_rate=0.01), state_size=16)
    section = section_of(tmp_path)
    assert swept_widths(section) == []
    assert blocks(section, tmp_path) == []


def test_two_depths_are_two_lines_with_names_of_their_own(tmp_path):
    for depth in (1, 2):
        write_widths(tmp_path, "lstm", (0.3, 0.6, 0.95), options={"num_layers": depth})
    swept = swept_widths(section_of(tmp_path))
    assert len({widths.label for widths in swept}) == 2


def test_diverged_widths_leave_a_gap(tmp_path):
    write_widths(tmp_path, "lstm", (0.3, None, 0.95), accuracy=False, seeds=1)
    section = section_of(tmp_path)
    swept = swept_widths(section)
    (line,) = curves(draw_state_sizes(section, swept))
    assert np.isnan(line).tolist() == [False, True, False]


def test_it_is_in_the_chapter_of_the_task(tmp_path):
    write_widths(tmp_path, "lstm", (0.3, 0.6, 0.95), solved=(32,), seeds=1)
    section = section_of(tmp_path)
    texts = [
        getattr(block, "sentences", ()) for block in task_chapter(section, load_histories(section), tmp_path).blocks
    ]
    assert (describe_state_sizes(section, swept_widths(section)),) in texts
    assert (tmp_path / f"{section.anchor}-state-size.svg").exists()

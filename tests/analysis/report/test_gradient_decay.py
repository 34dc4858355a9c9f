"""Chapter on the decay of gradients: sentences and figures for known results."""

from dataclasses import replace
from pathlib import Path

from analysis.grouping import Row, Section
from analysis.probes import runner
from analysis.probes.aggregate import RowResults, SectionResults
from analysis.probes.models import untrained_model
from analysis.probes.result import Curve, Metric, ProbeResult
from analysis.probes.settings import ProbeSettings
from analysis.report import gradient_decay
from analysis.report.blocks import Text
from analysis.style import LINE_STYLES
from tests.analysis.chapter_sentences import chapter_text
from tests.analysis.report_runs import experiment, write_run
from workbench.results import read_run


def probe_result(
    half_life: float, law: str = "exponential", lyapunov: float = -0.1, start: float = 10.0
) -> ProbeResult:
    def metric(value: float, unit: str) -> Metric:
        return Metric(value=value, unit=unit, what="")

    return ProbeResult(
        metrics={
            "gradient_half_life": metric(half_life, "steps"),
            "gradient_exponent": metric(-half_life / 10, "1"),
            "gradient_r2": metric(0.5, "share"),
            "start_gradient_half_life": metric(start, "steps"),
            "lyapunov": metric(lyapunov, "nats a step"),
        },
        curves={
            "gradient": Curve.from_arrays([0, 1, 10], [0, -1, -3], x_unit="steps", y_unit="log10", what=""),
        },
        labels={"gradient_law": law, "start_gradient_law": law},
        unavailable={"state": "it has none"} if law == "neither" else {},
    )


def section_results(tmp_path: Path, rows: dict[str, list[ProbeResult]]) -> SectionResults:
    probed = []
    for name, results in rows.items():
        runs = tuple(read_run(write_run(tmp_path, experiment(name, seed=seed))) for seed in range(len(results)))
        probed.append(RowResults(row=Row(label=name, line_style=LINE_STYLES[name], runs=runs), results=tuple(results)))
    whole_section = Section(anchor="addition", title="addition", rows=tuple(row.row for row in probed))
    return SectionResults(section=whole_section, rows=tuple(probed), absent=(("han", "its code is lost"),))


def gradient_text(results: SectionResults, folder: Path) -> str:
    chapter = gradient_decay.chapter([results], folder)
    assert chapter is not None
    assert chapter.anchor == "gradient-decay"
    return chapter_text(chapter)


def test_the_chapter_says_what_the_numbers_say(tmp_path):
    rows = {
        "lstm": [probe_result(half_life) for half_life in (40, 41, 42)],
        "gru": [probe_result(half_life, lyapunov=0.1) for half_life in (19, 20, 21)],
        "rwa": [
            probe_result(half_life, law="power law", lyapunov=sign)
            for half_life, sign in ((10, 0.3), (10, -0.1), (10, 0.1))
        ],
        "tcn": [probe_result(1, law="neither"), probe_result(1, law="neither")],
    }
    results = section_results(tmp_path, rows)
    text = gradient_text(results, tmp_path)
    # Student's interval of 40, 41, 42 is 41 plus or minus 4.303 / sqrt(3).
    assert "exponentially in lstm (half-life 41 steps [38.5, 43.5]) and gru (half-life 20 steps" in text
    assert "as a power law in rwa (exponent -1 [-1, -1])" in text
    assert "neither law closely in tcn" in text
    assert "lstm has the longest half-life, and its interval overlaps no other" in text
    assert "lengthened the half-life of lstm (from 10.0 to 41.0 steps) and gru (from 10.0 to 20.0 steps)" in text
    assert "grows, in gru (0.100" in text
    assert "cannot be told from 0 in rwa" in text
    chapter = gradient_decay.chapter([results], tmp_path)
    assert chapter is not None
    notes = [note for block in chapter.blocks if isinstance(block, Text) for note in block.sentences]
    assert "han: its code is lost." in notes
    assert "state of tcn: it has none." in notes
    assert (tmp_path / "gradient-decay-addition-lag.svg").exists()
    assert not (tmp_path / "gradient-decay-addition-start.svg").exists()


def test_doubts_about_a_law_are_stated(tmp_path):
    seeds = [
        replace(result, metrics={**result.metrics, "gradient_aic_margin": Metric(value=margin, unit="1", what="")})
        for result, margin in (
            (probe_result(40), 1.0),
            (probe_result(41), 0.5),
            (probe_result(42, law="power law"), 3.0),
        )
    ]
    text = gradient_text(section_results(tmp_path, {"lstm": seeds}), tmp_path)
    assert "lstm (half-life 41 steps [38.5, 43.5]; by AIC a power law is about as good; so in 2 of 3 seeds)" in text


def test_overlapping_intervals_have_no_winner(tmp_path):
    rows = {
        "lstm": [probe_result(half_life) for half_life in (20, 40, 60)],
        "gru": [probe_result(half_life) for half_life in (19, 30, 50)],
    }
    text = gradient_text(section_results(tmp_path, rows), tmp_path)
    assert "lstm has the longest half-life, but no winner: the interval of gru overlaps its own" in text
    assert "changed no half-life in lstm and gru that the intervals could tell" in text


def test_one_seed_without_intervals_claims_nothing(tmp_path):
    text = gradient_text(section_results(tmp_path, {"lstm": [probe_result(40)], "gru": [probe_result(20)]}), tmp_path)
    assert "no winner: there is no interval for lstm and gru" in text
    assert "cannot be told from 0 in lstm" in text
    assert "of one seed" in text


def test_the_chapter_of_a_measured_model_and_of_none(tmp_path):
    runs = read_run(write_run(tmp_path, experiment("gru", hidden_size=4)))
    entry = runner.run_probe(
        untrained_model(experiment("gru", hidden_size=4)), "gradient_decay", ProbeSettings(sequences=6)
    )
    assert entry.result is not None
    row = Row(label="gru", line_style=LINE_STYLES["gru"], runs=(runs,))
    whole_section = Section(anchor="a", title="a", rows=(row,))
    results = SectionResults(section=whole_section, rows=(RowResults(row=row, results=(entry.result,)),))
    chapter = gradient_decay.chapter([results], tmp_path)
    assert chapter is not None
    assert sum(block.kind == "figure" for block in chapter.blocks) == 3
    assert (
        gradient_decay.chapter([SectionResults(section=whole_section, rows=(), absent=(("gru", "lost"),))], tmp_path)
        is None
    )

from dataclasses import replace
from pathlib import Path

from analysis.grouping import Row, Section
from analysis.probes import registry
from analysis.probes.aggregate import RowResults, SectionResults
from analysis.probes.models import untrained_model
from analysis.probes.result import Curve, Metric, ProbeResult
from analysis.probes.settings import ProbeSettings
from analysis.report import gradient_decay
from analysis.report.blocks import Text
from analysis.style import LINE_STYLES
from tests.analysis.chapter_sentences import said
from tests.analysis.report_runs import experiment, write_run
from workbench.results import read


def findings(half_life: float, law: str = "exponential", lyapunov: float = -0.1, start: float = 10.0) -> ProbeResult:
    def number(value: float, unit: str) -> Metric:
        return Metric(value=value, unit=unit, what="")

    return ProbeResult(
        metrics={
            "gradient_half_life": number(half_life, "steps"),
            "gradient_exponent": number(-half_life / 10, "1"),
            "gradient_r2": number(0.5, "share"),
            "start_gradient_half_life": number(start, "steps"),
            "lyapunov": number(lyapunov, "nats a step"),
        },
        curves={
            "gradient": Curve.of([0, 1, 10], [0, -1, -3], x_unit="steps", y_unit="log10", what=""),
        },
        labels={"gradient_law": law, "start_gradient_law": law},
        unavailable={"state": "it has none"} if law == "neither" else {},
    )


def section(tmp_path: Path, rows: dict[str, list[ProbeResult]]) -> SectionResults:
    probed = []
    for name, found in rows.items():
        runs = tuple(read(write_run(tmp_path, experiment(name, seed=seed))) for seed in range(len(found)))
        probed.append(RowResults(row=Row(label=name, look=LINE_STYLES[name], runs=runs), results=tuple(found)))
    whole = Section(anchor="addition", title="addition", rows=tuple(row.row for row in probed))
    return SectionResults(section=whole, rows=tuple(probed), absent=(("han", "its code is lost"),))


def opening(made: SectionResults, folder: Path) -> str:
    chapter = gradient_decay.chapter([made], folder)
    assert chapter is not None
    assert chapter.anchor == "gradient-decay"
    return said(chapter)


def test_the_chapter_says_what_the_numbers_say(tmp_path):
    rows = {
        "lstm": [findings(each) for each in (40, 41, 42)],
        "gru": [findings(each, lyapunov=0.1) for each in (19, 20, 21)],
        "rwa": [findings(each, law="power law", lyapunov=sign) for each, sign in ((10, 0.3), (10, -0.1), (10, 0.1))],
        "tcn": [findings(1, law="neither"), findings(1, law="neither")],
    }
    made = section(tmp_path, rows)
    said = opening(made, tmp_path)
    # Student's interval of 40, 41, 42 is 41 plus or minus 4.303 / sqrt(3).
    assert "exponentially in lstm (half-life 41 steps [38.5, 43.5]) and gru (half-life 20 steps" in said
    assert "as a power law in rwa (exponent -1 [-1, -1])" in said
    assert "neither law closely in tcn" in said
    assert "lstm has the longest half-life, and its interval overlaps no other" in said
    assert "lengthened the half-life of lstm (from 10.0 to 41.0 steps) and gru (from 10.0 to 20.0 steps)" in said
    assert "grows, in gru (0.100" in said
    assert "not told from 0 in rwa" in said
    chapter = gradient_decay.chapter([made], tmp_path)
    assert chapter is not None
    notes = [text for block in chapter.blocks if isinstance(block, Text) for text in block.sentences]
    assert "han: its code is lost." in notes
    assert "state of tcn: it has none." in notes
    assert (tmp_path / "gradient-decay-addition-lag.svg").exists()
    assert not (tmp_path / "gradient-decay-addition-start.svg").exists()


def test_what_stands_against_a_law_is_said(tmp_path):
    seeds = [
        replace(each, metrics={**each.metrics, "gradient_aic_margin": Metric(value=margin, unit="1", what="")})
        for each, margin in (
            (findings(40), 1.0),
            (findings(41), 0.5),
            (findings(42, law="power law"), 3.0),
        )
    ]
    said = opening(section(tmp_path, {"lstm": seeds}), tmp_path)
    assert "lstm (half-life 41 steps [38.5, 43.5]; by AIC a power law is about as good; so in 2 of 3 seeds)" in said


def test_overlapping_intervals_have_no_winner(tmp_path):
    rows = {"lstm": [findings(each) for each in (20, 40, 60)], "gru": [findings(each) for each in (19, 30, 50)]}
    said = opening(section(tmp_path, rows), tmp_path)
    assert "lstm has the longest half-life, but no winner: the interval of gru overlaps its own" in said
    assert "changed no half-life in lstm and gru that the intervals could tell" in said


def test_one_seed_without_intervals_claims_nothing(tmp_path):
    said = opening(section(tmp_path, {"lstm": [findings(40)], "gru": [findings(20)]}), tmp_path)
    assert "no winner: there is no interval for lstm and gru" in said
    assert "not told from 0 in lstm" in said
    assert "of one seed" in said


def test_the_chapter_of_a_measured_model_and_of_none(tmp_path):
    runs = read(write_run(tmp_path, experiment("gru", hidden_size=4)))
    entry = registry.analyze(
        untrained_model(experiment("gru", hidden_size=4)), "gradient_decay", ProbeSettings(sequences=6)
    )
    assert entry.result is not None
    row = Row(label="gru", look=LINE_STYLES["gru"], runs=(runs,))
    whole = Section(anchor="a", title="a", rows=(row,))
    made = SectionResults(section=whole, rows=(RowResults(row=row, results=(entry.result,)),))
    chapter = gradient_decay.chapter([made], tmp_path)
    assert chapter is not None
    assert sum(block.kind == "figure" for block in chapter.blocks) == 3
    assert gradient_decay.chapter([SectionResults(section=whole, rows=(), absent=(("gru", "lost"),))], tmp_path) is None

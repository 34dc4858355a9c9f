"""Chapter on the decay of gradients: sentences and figures for known results."""

from dataclasses import replace
from pathlib import Path

from analysis.formatting import ABSENT
from analysis.grouping import Row, Section
from analysis.probes import runner
from analysis.probes.aggregate import RowResults, SectionResults
from analysis.probes.models import untrained_model
from analysis.probes.result import Curve, Metric, ProbeResult
from analysis.probes.settings import ProbeSettings
from analysis.report import gradient_decay
from analysis.report.blocks import Text
from analysis.report.chapter import MANY_ROWS
from analysis.report.gradient_decay import decay_table, describe_laws, describe_lyapunov
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
    assert "lstm has the longest half-life, 41 steps [38.5, 43.5]; the next, gru, has 20 steps [17.5" in text
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


def test_of_many_rows_the_laws_are_told_without_numbers(tmp_path):
    result = ProbeResult(
        metrics={
            "gradient_typical_half_life": Metric(value=12.0, unit="steps", what=""),
            "lyapunov": Metric(value=-0.5, low=-0.6, high=-0.4, unit="nats a step", what=""),
        },
        labels={"gradient_law": "exponential", "gradient_mean_law": "power law"},
    )
    names = [*LINE_STYLES][: MANY_ROWS + 1]
    many, few = (
        section_results(tmp_path / f"{len(some)}", {name: [result] for name in some}).rows
        for some in (names, names[1:])
    )
    listed = f"{', '.join(names[:-1])} and {names[-1]}"
    assert describe_laws(many, "gradient", "It") == f"It falls exponentially in {listed}."
    assert describe_laws(few, "gradient", "It").count("(half-life 12 steps)") == MANY_ROWS
    fades = "The largest Lyapunov exponent of the state lies below 0, so that a small change fades, in"
    assert describe_lyapunov(many) == f"{fades} {listed}."
    assert describe_lyapunov(few).count("(-0.500 nats a step [-0.600, -0.400])") == MANY_ROWS


def test_laws_of_a_typical_sequence_are_told_with_their_parts_rivals_and_misfit(tmp_path):
    def result(law: str, rival: str | None = None, **values: float) -> ProbeResult:
        metrics = {f"gradient_{name}": Metric(value=value, unit="1", what="") for name, value in values.items()}
        labels = {"gradient_law": law, "gradient_mean_law": "power law"}
        return ProbeResult(metrics=metrics, labels={**labels, "gradient_rival": rival} if rival else labels)

    rows = {
        "lstm": [result("exponential", "power law", typical_half_life=12, half_life=99)],
        "gru": [result("two rates", fast_half_life=2, slow_half_life=50)],
        "rda": [result("exponential to a floor", fast_half_life=3)],
        "rnn": [result("unclear", law_r2=0.4)],
        "tcn": [result("none", law_r2=0.7, misfit=0.5, lack_of_fit=1e-9)],
        "rwa": [result("none", law_r2=0.7, misfit=0.5, lack_of_fit=0.004)],
    }
    results = section_results(tmp_path, rows)
    text = describe_laws(results.rows, "gradient", "It")
    assert text == (
        "It falls exponentially in lstm (half-life 12; a power law is not ruled out); it falls exponentially to a "
        "floor in rda (half-life 3); it falls at two rates, a fast and a slow one, in gru (half-life of the slow part "
        "50); it falls, but differs too much between sequences to name a law, in rnn; it falls as none of the laws "
        "says in tcn (R² of the best one 0.700; off by 0.500 nats; p < 0.001) and rwa (R² of the best one 0.700; off "
        "by 0.500 nats; p = 0.00400)."
    )
    table = decay_table(results)
    doubts = [column.heading for column in table.columns].index("doubts")
    # Where there are many rows, they stand here alone.
    assert {line[0].text: line[doubts].text for line in table.rows} == {
        "lstm": "a power law is not ruled out",
        "gru": ABSENT,
        "rda": ABSENT,
        "rnn": ABSENT,
        "tcn": "p < 0.001",
        "rwa": "p = 0.00400",
    }
    of_mean = [column.heading for column in table.columns].index("of the mean")
    assert {row[of_mean].text for row in table.rows} == {"power law"}


def test_overlapping_intervals_have_no_winner(tmp_path):
    rows = {
        "lstm": [probe_result(half_life) for half_life in (20, 40, 60)],
        "gru": [probe_result(half_life) for half_life in (19, 30, 50)],
    }
    text = gradient_text(section_results(tmp_path, rows), tmp_path)
    assert "the next, gru, has 33 steps [0, 72.0], 0.825 times as much; they are not told apart with 3 seeds" in text
    assert "changed no half-life in lstm and gru that the intervals could tell" in text


def test_one_seed_without_intervals_claims_nothing(tmp_path):
    text = gradient_text(section_results(tmp_path, {"lstm": [probe_result(40)], "gru": [probe_result(20)]}), tmp_path)
    assert "0.500 times as much; there are no intervals to tell them apart by (indicative)" in text
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

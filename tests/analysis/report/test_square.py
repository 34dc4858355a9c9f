"""The square: what each architecture made of each question, judged by rules and told in words."""

from pathlib import Path

import pytest

from analysis.grouping import build_sections
from analysis.probes.aggregate import RowResults, SectionResults
from analysis.probes.result import Metric, ProbeResult
from analysis.report.square import Outcome, Square, SquareRow, build_square, describe, describe_most
from tests.analysis.page import Page
from tests.analysis.report_runs import experiment, write_run
from workbench.files import read_json, write_json
from workbench.results import finished_runs
from workbench.tasks import catalogue

TRIVIAL = 0.6931
FLOORS = {"bag of values": {"loss": 2.0794, "accuracy": 0.125}}


def write(out: Path, task: str, architecture: str, losses: list[float | None], **values: object) -> None:
    """Writes a run for each loss; of `solved`, the steps at which they solved it."""
    solved = values.pop("solved", [None] * len(losses))
    floors = values.pop("floors", None)
    for seed, loss in enumerate(losses):
        run = experiment(architecture, task=task, task_options={}, seed=seed)
        found = {"trivial_loss": TRIVIAL, **values}
        if loss is None:
            found = {key: value for key, value in found.items() if key != "accuracy"} | {"diverged_at": 3}
        folder = write_run(out, run, loss=loss, solved_at_mean50=solved[seed], **found)  # type: ignore
        if floors:
            write_json(folder / "result.json", {**read_json(folder / "result.json"), "floors": floors})


def read(out: Path) -> Square | None:
    return build_square(build_sections(list(finished_runs(out))))


def write_questions(out: Path) -> None:
    for name in ("lstm", "rnn"):
        write(out, "addition", name, [2e-4, 3e-4, 2e-4], solved=[400, 600, 500])
        guess = name == "lstm"
        write(out, "mqar", name, [2.08] * 3, accuracy=0.12 if guess else 0.9, floors=FLOORS, trivial_loss=3.4657)
    write(out, "parity", "lstm", [0.01, 0.02, 0.69], solved=[700, 900, None])
    write(out, "parity", "rnn", [0.7, 0.69, 0.7])
    write(out, "digits", "lstm", [0.2, 0.3, 0.25], accuracy=0.94, criterion=None)
    write(out, "digits", "rnn", [None, None, None], criterion=None)


def test_every_task_of_the_catalogue_asks_a_question() -> None:
    assert set(catalogue.QUESTION_OF) == set(catalogue.names())
    assert {*catalogue.QUESTION_OF.values()} == {*catalogue.QUESTIONS}
    assert catalogue.question_of("file:waves.csv") == "real"
    assert catalogue.question_of("mine:Task") is None


def test_each_cell_says_what_the_seeds_support(tmp_path: Path) -> None:
    write_questions(tmp_path)
    square = read(tmp_path)
    assert square is not None
    assert [name for name, _ in square.questions] == ["hold", "track", "find", "real"]
    rows = {row.label: row for row in square.rows}
    assert list(rows) == ["rnn", "lstm"]
    found = {
        label: [[(each.task, each.status, each.text, each.seeds) for each in cell] for cell in row.cells]
        for label, row in rows.items()
    }
    assert found["lstm"] == [
        [("addition", "solved", "500", "3 of 3")],
        [("parity", "part", "900", "2 of 3")],
        [("mqar", "floor", "bag of values", "3 of 3")],
        [("digits", "learned", "accuracy 0.94", "3 of 3")],
    ]
    assert found["rnn"] == [
        [("addition", "solved", "500", "3 of 3")],
        [("parity", "nothing", "", "3 of 3")],
        # As high a loss as at the floor, but far better an accuracy.
        [("mqar", "learned", "accuracy 0.90", "3 of 3")],
        [("digits", "diverged", "", "3 of 3")],
    ]
    assert rows["lstm"].sentence == (
        "lstm solves addition, 3 of 3 seeds; solves in part parity, 2 of 3 seeds; learns digits (accuracy 0.94), "
        "3 of 3 seeds; is no better than a cheap strategy on mqar (bag of values), 3 of 3 seeds."
    )


def test_seeds_are_judged_one_by_one(tmp_path: Path) -> None:
    write(tmp_path, "addition", "lstm", [2e-4] * 3, solved=[1, 2, 3])
    write(tmp_path, "digits", "lstm", [0.05, 0.06, 2.31], accuracy=0.9, criterion=None, trivial_loss=2.3026)
    write(tmp_path, "mqar", "lstm", [2.08, 2.09, 3.47], accuracy=0.12, floors=FLOORS, trivial_loss=3.4657)
    square = read(tmp_path)
    assert square is not None
    (row,) = square.rows
    found = [(each.status, each.text, each.seeds) for cell in row.cells for each in cell]
    # A seed that learned nothing is counted, and hides no other.
    assert found == [
        ("solved", "2", "3 of 3"),
        ("floor", "bag of values", "2 of 3"),
        ("learned", "accuracy 0.90", "2 of 3"),
    ]


def test_a_sentence_says_the_seeds_once_where_they_are_the_same() -> None:
    def solved(task: str, runs: int) -> Outcome:
        return Outcome(task=task, anchor=task, status="solved", text="5", count=runs, runs=runs)

    assert describe("gru", [solved("a", 3), solved("b", 3)]) == "gru solves a and b, 3 of 3 seeds each."
    assert describe("gru", [solved("a", 3), solved("b", 5)]) == "gru solves a (3 of 3) and b (5 of 5)."


def test_a_solved_cell_says_up_to_which_length_every_seed_still_solves_it(tmp_path: Path) -> None:
    def measured(length: float) -> ProbeResult:
        metric = Metric(value=length, censored=length == 16, unit="1", what="length")
        return ProbeResult(metrics={"solved_up_to": metric})

    write(tmp_path, "parity", "lstm", [0.01] * 3, solved=[10, 20, 30])
    write(tmp_path, "addition", "lstm", [2e-4] * 3, solved=[10, 20, 30])
    sections = build_sections(list(finished_runs(tmp_path)))
    parity = next(section for section in sections if section.rows[0].experiment.task.name == "parity")
    (row,) = parity.rows
    expected = {
        (16, 16, 16): ("\u2265 16 T", " (up to at least 16 T)"),
        (16, 4, 8): ("4 T", " (up to 4 T)"),
        (16, 0, 8): ("not on the test set", " (not on the test set)"),
        # One seed was not measured, and of addition none was.
        (16, 16): ("", ""),
    }
    for lengths, (text, words) in expected.items():
        results = RowResults(row=row, results=tuple(measured(length) for length in lengths))
        square = build_square(sections, {parity.anchor: SectionResults(section=parity, rows=(results,))})
        assert square is not None
        (cells,) = (each.cells for each in square.rows)
        assert [outcome.length for cell in cells for outcome in cell] == ["", text]
        assert ("T" in dict(square.legend)) == bool(text)
        assert square.rows[0].sentence == f"lstm solves addition and parity{words}, 3 of 3 seeds each."


def test_a_length_says_on_how_many_sequences_it_was_tested(tmp_path: Path) -> None:
    def measured(length: float, sequences: int | None) -> ProbeResult:
        metrics = {"solved_up_to": Metric(value=length, censored=length == 16, unit="1", what="length")}
        if sequences is not None:
            metrics["solved_sequences"] = Metric(value=sequences, unit="sequences", what="sequences")
        return ProbeResult(metrics=metrics)

    write(tmp_path, "parity", "lstm", [0.01] * 3, solved=[10, 20, 30])
    write(tmp_path, "addition", "lstm", [2e-4] * 3, solved=[10, 20, 30])
    sections = build_sections(list(finished_runs(tmp_path)))
    parity = next(section for section in sections if section.rows[0].experiment.task.name == "parity")
    meaning = "up to this many lengths of training every seed still solves it on the test set"
    for sequences, support, legend in (
        (
            (32, 8, 32),
            "3 of 3 seeds; \u2265 16 T on 8 test sequences",
            f"{meaning}, on at least 8 sequences of each length",
        ),
        # Of an earlier revision, that of one seed does not say on how many.
        ((32, None, 32), "3 of 3 seeds", meaning),
    ):
        results = RowResults(row=parity.rows[0], results=tuple(measured(16, number) for number in sequences))
        square = build_square(sections, {parity.anchor: SectionResults(section=parity, rows=(results,))})
        assert square is not None
        outcomes = [outcome for cell in square.rows[0].cells for outcome in cell]
        assert [outcome.support for outcome in outcomes] == ["3 of 3 seeds", support]
        assert [outcome.length for outcome in outcomes] == ["", "\u2265 16 T"]
        assert dict(square.legend)["T"] == legend


def test_one_question_makes_no_square(tmp_path: Path) -> None:
    write(tmp_path, "addition", "lstm", [0.1])
    write(tmp_path, "copy", "lstm", [0.1])
    assert read(tmp_path) is None


def test_it_comes_first_where_there_are_several_questions_and_leads_to_the_chapters(tmp_path: Path) -> None:
    from analysis.report.build import write_report

    write_questions(tmp_path)
    text = write_report(tmp_path).read_text(encoding="utf-8")
    assert text.index('id="answer-all"') < text.index('id="answer-addition"')
    page = Page(text)
    heading, rnn, lstm = page.tables["What each architecture can do, by question"]
    # The one task that asks a question stands under it, and in its cells only for those who hear them.
    questions = ["holdaddition", "trackparity", "findmqar", "realdigits"]
    assert heading == ["architecture", *questions, "param\xadeters", "time / lstm"]
    assert [" ".join(cell.split()) for cell in lstm] == [
        "lstm",
        "\u25cf addition step 500",
        "\u25d0 parity 2 of 3",
        "= mqar bag of values",
        "\u25cb digits accuracy 0.94",
        "17,000",
        "1.0 \u00d7",
    ]
    assert rnn[4].split() == ["\u00d7", "digits"]
    answer = (
        "Both architectures solve 1 of the 3 tasks that can be solved: addition. None solves mqar and "
        "parity with every seed. On digits lstm has the lowest mean loss (accuracy 0.94)."
    )
    assert f'<p class="headline">{answer}</p>' in text
    links = {value for tag, name, value in page.attributes if (tag, name) == ("a", "href")}
    assert {"#addition", "#parity", "#mqar", "#digits"} <= links


def row(label: str, *solved: str, family: str = "gated") -> SquareRow:
    """Returns a row that has solved some tasks, and nothing of the others."""
    cells = tuple(
        (
            Outcome(
                task=task,
                anchor=task,
                status="solved" if task in solved else "nothing",
                text="",
                count=3,
                runs=3,
            ),
        )
        for task in ("a", "b", "c")
    )
    return SquareRow(label=label, family=family, color="#000000", dark_color="#ffffff", cells=cells, sentence="")


MOST = [
    ([row("x", "a", "b"), row("y", "a")], "abc",
     "x solves the most, 2 of the 3 tasks that can be solved: a and b. None solves c with every seed."),
    ([row("x", "a"), row("y", "b")], "ab", "Both architectures solve 1 of the 2 tasks that can be solved."),
    ([row("x", "a"), row("z"), row("y", "b")], "ab", "x and y solve the most, 1 of the 2 tasks that can be solved."),
    ([row("x"), row("y")], "abc", "No architecture solves any of the 3 tasks that can be solved with every seed."),
    ([row("x"), row("y")], "a", "No architecture solves the one task that can be solved with every seed."),
    ([row("x", "a"), row("y")], "a", "x solves the one task that can be solved: a."),
    ([row("x", "a")], "", ""),
    ([row("x", "a")], "ab", "x solves 1 of the 2 tasks that can be solved: a. Not every seed solves b."),
]  # fmt: skip


@pytest.mark.parametrize(("rows", "tasks", "answer"), MOST)
def test_the_answer_names_who_solves_the_most_and_what_none_solves(
    rows: list[SquareRow], tasks: str, answer: str
) -> None:
    assert describe_most(rows, list(tasks)) == answer

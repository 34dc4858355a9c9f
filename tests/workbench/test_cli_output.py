"""Progress bars and tables on the terminal."""

import io
import sys

import pytest

from tests.workbench.experiments import small
from workbench.cli.output import ProgressBar, RunProgress, align_columns


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self):
        return True


def use_terminal(monkeypatch):
    """Replaces stderr by a terminal. Not a fixture: pytest replaces stderr again when the test is called."""
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    return stream


def frames(stream):
    """Returns what was drawn, one after another."""
    return stream.getvalue().replace("\n", "\r").split("\r")


def test_without_a_terminal_there_are_lines(capsys):
    with ProgressBar("records", 3) as bar:
        bar.update(0, status="never shown", line="measuring")
        bar.update(1, line="measuring")
        bar.update(2, line="2 of 3")
        bar.print_line("a note")
        bar.update(3)
    assert capsys.readouterr().err == "measuring\n2 of 3\na note\n"


def test_lines_are_printed_now_and_then_and_at_the_end(capsys):
    with ProgressBar("records", 45, line_every=20) as bar:
        for done in range(1, 46):
            bar.update(done, line=f"{done}")
    assert capsys.readouterr().err.split() == ["20", "40", "45"]


def test_on_a_terminal_there_is_a_bar_with_a_status_and_lines_above_it(monkeypatch):
    terminal = use_terminal(monkeypatch)
    with ProgressBar("steps") as bar:
        assert "0 steps" in frames(terminal)[-1]
        bar.update(0, total=10, status="copy lstm", line="never printed")
        assert frames(terminal)[-1].startswith("  0% |")
        assert "| 0/10 steps, ? left, copy lstm" in frames(terminal)[-1]
        bar.update(4)
        bar.print_line("a note")
    assert "a note" in frames(terminal)
    assert "| 4/10 steps, " in terminal.getvalue()
    assert "never printed" not in terminal.getvalue()


def test_what_took_no_time_is_left_out_of_the_time_left(monkeypatch):
    terminal = use_terminal(monkeypatch)
    with ProgressBar("probes", 10) as bar:
        bar.update(8, instant=True)
        bar.update(8, status="the next one")
        assert "| 8/10 probes, ? left" in frames(terminal)[-1], "nothing has been timed yet"


@pytest.mark.parametrize("on_terminal", [True, False])
def test_runs_are_counted_in_steps(on_terminal, monkeypatch, capsys):
    if on_terminal:
        use_terminal(monkeypatch)
    experiments = [small("gru", steps=10), small("lstm", steps=20)]
    with RunProgress(experiments, ["one", "other"]) as progress:
        progress.on_step(0, 4)
        progress.on_step(1, 5)
        assert progress.done == 9
        progress.on_end(0, "test loss 1")
        assert progress.done == 15
        progress.on_end(1, "failed")
        assert (progress.done, progress.ended) == (30, 2)
    if not on_terminal:
        assert capsys.readouterr().err == "[1/2] one: test loss 1\n[2/2] other: failed\n"


def test_columns_have_equal_widths():
    rows = [("name", "n", "text"), ("a", "100", "b")]
    assert align_columns(rows) == "name    n  text\na     100     b"
    assert align_columns(rows, left=(0, 2)) == "name    n  text\na     100  b"

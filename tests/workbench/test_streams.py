"""Output streams that break never end or hide a command's work."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from workbench.cli.main import main
from workbench.cli.streams import LastingStream, lasting_streams
from workbench.errors import MAX_LINE, one_line, with_advice

COMPARE = [
    "compare",
    "--tasks",
    "addition",
    "--task.addition.length",
    "6",
    "--architectures",
    "rnn,gru",
    "--seeds",
    "1",
]
COMPARE += ["--steps", "4", "--batch-size", "2", "--hidden-size", "3", "--evaluation-size", "4", "--wandb", "off"]


class Full(io.StringIO):
    """A stream on a full disk."""

    def write(self, text: str) -> int:
        raise OSError(28, "No space left on device")


def test_what_cannot_be_encoded_is_escaped() -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    LastingStream(stream).write("0.1 \u00b1 0.2")
    stream.flush()
    assert stream.buffer.getvalue() == b"0.1 \\xb1 0.2"


@pytest.mark.parametrize("stream", [Full(), None], ids=["full", "none"])
def test_a_stream_that_fails_takes_everything_in_silence(stream: io.StringIO | None) -> None:
    lasting = LastingStream(stream)
    assert lasting.write("some text") == 9
    lasting.flush()
    assert not lasting.isatty()


def test_a_closed_stream_is_left_alone() -> None:
    stream = io.StringIO()
    stream.close()
    LastingStream(stream).write("text")


def test_a_pipe_that_nobody_reads_does_not_end_the_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        monkeypatch.setattr(sys, "stderr", pipe)
        assert main([*COMPARE, "--out", str(tmp_path)]) == 0
    assert len(list(tmp_path.glob("runs/*/*/*/*/result.json"))) == 2


def test_streams_are_given_back() -> None:
    before = sys.stdout, sys.stderr
    with lasting_streams():
        assert sys.stdout is not before[0]
    assert (sys.stdout, sys.stderr) == before


def test_a_message_is_one_short_line() -> None:
    assert one_line("a\nb\tc\x1b[31m\u202e\x00") == "a b c\\x1b[31m\\u202e\\x00"
    advice = f"workbench sync {'folder/' * 20} sends it"
    line = one_line(f"workbench: {with_advice('x' * 400, advice)}")
    assert line.endswith(f"xxx...; {advice}")
    assert len(line) == MAX_LINE
    assert with_advice("short", advice) == f"short; {advice}"
    long = one_line("x" * 70_000 + "the end")
    assert len(long) == MAX_LINE
    assert long.endswith("xthe end")
    assert one_line("y" * MAX_LINE) == "y" * MAX_LINE


class FullAtTheEnd(io.StringIO):
    """A stream on a full disk, behind a buffer."""

    def flush(self) -> None:
        raise OSError(28, "No space left on device")


@pytest.mark.parametrize(
    "arguments", [["list"], ["list", "rnn"], ["--help"], ["--version"], ["train", "--help"], ["sweep", "run", "--help"]]
)
@pytest.mark.parametrize("stream", [Full, FullAtTheEnd, lambda: None], ids=["full", "full at the end", "closed"])
def test_what_is_printed_for_its_own_sake_must_be_written(
    arguments: list[str], stream: type[io.StringIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    errors = io.StringIO()
    monkeypatch.setattr(sys, "stdout", stream())
    monkeypatch.setattr(sys, "stderr", errors)
    assert main(arguments) == 1
    assert errors.getvalue().startswith("workbench: the output could not be written: ")
    assert errors.getvalue().count("\n") == 1


def test_a_list_is_not_asked_to_be_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in `workbench list | head -1`."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        assert main(["list"]) == 0


def test_results_in_files_do_not_need_the_output(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "stdout", Full())
    assert main([*COMPARE, "--out", str(tmp_path)]) == 0
    assert (tmp_path / "report.html").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_ends_a_list_with_status_1() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "workbench", "list"], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert (done.returncode, done.stderr) == (
        1,
        "workbench: the output could not be written: No space left on device\n",
    )

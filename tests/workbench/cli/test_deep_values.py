"""What is nested more deeply than Python follows is a line, in a value of any command and in a file."""

import pytest

from workbench.cli.main import main
from workbench.errors import UserError
from workbench.files import read_json

DEEP = "[" * 5000


@pytest.mark.parametrize(
    "command",
    [
        ["report", "results", "--palette", DEEP],
        pytest.param(["import", "results.tar.gz", f"--out={DEEP}"], marks=pytest.mark.slow),
        ["compare", "--tasks", "addition", "--architectures", "gru", "--out", DEEP],
        pytest.param(["rm", "results", "--task", DEEP], marks=pytest.mark.slow),
    ],
    ids=lambda command: command[0],
)
def test_a_value_of_any_command_is_a_line(command, capsys):
    assert main(command) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "cannot be read: it is nested too deeply" in line
    assert len(line) <= 300


def test_a_file_is_a_line(tmp_path):
    (tmp_path / "analysis.json").write_text('{"a": ' + DEEP)
    with pytest.raises(UserError, match="is not readable JSON: it is nested too deeply"):
        read_json(tmp_path / "analysis.json")

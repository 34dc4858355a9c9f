"""The command line and the files that it names: one reading of numbers, and text as it was typed."""

import pytest

from workbench.cli.compare import build_parser
from workbench.cli.parser import parse_arguments, split_named_options
from workbench.errors import UserError

TYPED = ["book #2.txt", "1984", "@x", "yes", "2020-01-01", "0100", "1e5", "[a", "a: b", " x ", "'q'", "~", "*", "Null"]

TASK = """
from dataclasses import dataclass
from typing import Literal, Optional

from workbench.tasks.{module} import {base}


@dataclass(frozen=True, kw_only=True)
class Mine({base}):
    label: str = "x"
    note: str | None = None
    remark: Optional[str] = None
    mixed: str | int = 3
    mode: Literal["on", "off"] = "on"
    amount: "float" = 0.5
"""

ENCODER = """
from architectures.gru import GRU


class Mine(GRU):
    def __init__(self, input_size: int, hidden_size: int, label: str = "x", note: "str | None" = None, bare="x"):
        super().__init__(input_size, hidden_size)
"""


@pytest.fixture
def own_task(on_path):
    return on_path("task_with_texts", TASK.format(module="addition", base="Addition")) + ":Mine"


@pytest.fixture
def own_encoder(on_path):
    return on_path("encoder_with_texts", ENCODER) + ":Mine"


def option(flag, text):
    """Returns what the command line has for an option of a task or an architecture."""
    ((_, parts),) = split_named_options([flag, text])[1].items()
    ((_, options),) = parts.items()
    ((_, value),) = options.items()
    return value


@pytest.mark.parametrize("equals", [False, True])
@pytest.mark.parametrize("text", [*TYPED, "null"])
def test_an_option_that_is_text_is_what_was_typed(text, equals):
    words = [f"--task.text.file={text}"] if equals else ["--task.text.file", text]
    assert split_named_options(words) == ([], {"task": {"text": {"file": text}}})


@pytest.mark.parametrize("text", TYPED)
@pytest.mark.parametrize("name", ["label", "note"])
def test_options_of_custom_classes_too(name, text, own_task, own_encoder):
    for flag in (f"--task.{own_task}.{name}", f"--architecture.{own_encoder}.{name}"):
        assert option(flag, text) == text
    assert option(f"--task.{own_task}.remark", text) == text


def test_null_is_none_where_that_is_declared(own_task, own_encoder):
    assert option(f"--task.{own_task}.label", "null") == "null"
    for flag in (f"--task.{own_task}.note", f"--task.{own_task}.remark", f"--architecture.{own_encoder}.note"):
        assert option(flag, "null") is None


def test_options_of_other_types_are_yaml(own_task, own_encoder):
    assert option(f"--task.{own_task}.mixed", "12") == 12
    assert option(f"--task.{own_task}.mode", "'off'") == "off"
    assert option(f"--task.{own_task}.amount", "1e-3") == 0.001
    assert option(f"--architecture.{own_encoder}.bare", "[1, 0100]") == [1, 100]
    assert option("--task.addition.length", "0100") == 100
    assert option("--task.absent.length", "0100") == 100
    assert option("--architecture.absent.module:Class.size", "1:30") == "1:30"
    assert split_named_options(["--space.all.size", "{low: 1e-3}"], ("space",))[1] == {
        "space": {"all": {"size": {"low": 0.001}}}
    }


def test_bytes_that_are_no_text_are_refused():
    with pytest.raises(UserError, match=r"^--task\.text\.file: '\\udcff' is not a readable value: [^\n]*$"):
        split_named_options(["--task.text.file", "\udcff"])


def test_an_empty_text_needs_an_equals_sign():
    assert split_named_options(["--task.text.file="])[1] == {"task": {"text": {"file": ""}}}
    with pytest.raises(UserError, match="needs a value"):
        split_named_options(["--task.text.file", ""])


def readings(tmp_path, name, text):
    """Returns what an option is on the command line, and in a file; its error where it is refused."""
    path = tmp_path / "file.yaml"
    path.write_text(f"{name}: {text}\n")
    return [reading([f"--{name.replace('_', '-')}={text}"], name), reading(["--config", str(path)], name)]


def reading(words, name):
    try:
        return parse_arguments(build_parser(), words)[0][name]
    except UserError as error:
        return str(error)


@pytest.mark.parametrize(("text", "number"), [("0100", 100), ("08", 8), ("-3", -3), ("+3", 3)])
def test_files_and_the_command_line_read_whole_numbers_alike(text, number, tmp_path):
    for name in ("steps", "parameters", "learning_rate"):
        assert readings(tmp_path, name, text) == [number, number]


@pytest.mark.parametrize(("text", "number"), [("1e-3", 0.001), ("1.5e3", 1500), (".5", 0.5), ("1.", 1), ("-.5", -0.5)])
def test_and_numbers_with_a_point_or_an_exponent(text, number, tmp_path):
    assert readings(tmp_path, "learning_rate", text) == [number, number]
    assert readings(tmp_path, "steps", text) == [f"--steps: expected int, got {float(number)}"] * 2


@pytest.mark.parametrize("text", ["1:30", "0x10", "0o17", "0b1", "1_000", "inf", "nan", "2020-01-01"])
def test_and_what_is_no_number(text, tmp_path):
    assert readings(tmp_path, "steps", text) == [f"--steps: expected int, got {text}"] * 2
    assert readings(tmp_path, "parameters", text) == [f"--parameters: expected int, got {text}"] * 2
    assert readings(tmp_path, "learning_rate", text) == [f"--learning-rate: expected float, got {text}"] * 2


@pytest.mark.parametrize(
    "text", ["0100", "08", "1e-3", "1:30", "0x10", "0o17", "1_000", ".5", "yes", "2020-01-01", "null"]
)
def test_so_do_options_of_tasks(text, tmp_path):
    path = tmp_path / "file.yaml"
    path.write_text(f"task: {{addition: {{length: {text}}}}}\n")
    (in_file,) = parse_arguments(build_parser(), ["--config", str(path)])[0]["task"]["addition"].values()
    typed = option("--task.addition.length", text)
    assert (in_file, type(in_file)) == (typed, type(typed))

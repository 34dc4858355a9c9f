"""YAML files: numbers are plain decimal, what is written reads back, and mistakes are refused."""

from math import isnan
from textwrap import indent
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workbench import files
from workbench.cli.main import main
from workbench.errors import UserError
from workbench.files import read_yaml, write_yaml

NUMBERS = [
    ("0100", 100),
    ("08", 8),
    ("-3", -3),
    ("+3", 3),
    ("0", 0),
    ("1e-3", 0.001),
    ("1e3", 1000.0),
    ("1.5E+3", 1500.0),
    ("1.5", 1.5),
    ("-.5", -0.5),
    (".5", 0.5),
    ("1.", 1.0),
    (".5e1", 5.0),
    ("0100.5", 100.5),
    (".inf", float("inf")),
    ("+.INF", float("inf")),
    ("-.Inf", float("-inf")),
    ("!!float 1", 1.0),
    ("!!int 010", 10),
]

TEXTS = [
    *("1:30", "1:30.5", "0x10", "0o17", "0b1", "1_000", "1_0.5", "1e", "e5", ".", "-", "+", "1.5.2", "1e5.5"),
    *(
        "inf",
        "-inf",
        "nan",
        "Infinity",
        ".iNF",
        "+.nan",
        "2020-01-01",
        "2020-01-01 10:00:00",
        "2020-13-45",
        "\uff11\uff10",
    ),
]

WORDS = [
    "yes",
    "off",
    "y",
    "null",
    "~",
    "",
    "true",
    "'",
    "#",
    "@x",
    "a: b",
    "=",
    "<<",
    " x ",
    "1\n",
    "book #2.txt",
    "\x85",
    "a\u2028b",
    "\r",
    "\ufeff",
    "\t",
]


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("a: 1\nb: 2\na: 3", "the key 'a' is there twice, in lines 1 and 3"),
        ("a: {b: 1, 'b': 1}", "the key 'b' is there twice, in line 1"),
        ("a:\n- 1\n- b: {}\n  c: 2\n  b: 3", "the key 'b' is there twice, in lines 3 and 5"),
        ("- &x {a: {b: 1, b: 2}}\n- *x", "the key 'b' is there twice, in line 1"),
        ("1: a\n01: b", "the key '01' is there twice, in lines 1 and 2"),
        ("yes: a\ntrue: b", "the key 'true' is there twice, in lines 1 and 2"),
        ("? {a: 1, a: 2}\n: 3", "the key 'a' is there twice, in line 1"),
        ("a: &x {b: [*x]}", "an alias refers to a value that contains it"),
        ("[" * 1000 + "]" * 1000, "it is nested too deeply"),
        ("a: !!int x", "a value is not of the type that it seems to be: invalid literal"),
        ("a: !!bool x", "a value is not of the type that its tag says"),
        ("a: !!timestamp x", "a value is not of the type that its tag says"),
        ("a: !!int 0x10", "a value is not of the type that it seems to be: invalid literal"),
        ("a: !!int 1_000", "a value is not of the type that it seems to be: invalid literal"),
        ("a: !!float 1:30", "a value is not of the type that it seems to be: invalid literal"),
        ("a: " + "1" * 5000, "a value is not of the type that it seems to be"),
        ("a: !!timestamp 2020-13-45", "a value is not of the type that it seems to be: month must"),
        ("!!int x: 1", "a value is not of the type that it seems to be"),
        ("a: !!python/object/apply:os.getcwd []", "could not determine a constructor"),
        ("a: [", "expected the node content"),
        ("a: \x01", "special characters are not allowed"),
        ("a: 1\n---\nb: 2", "expected a single document"),
    ],
)
def test_what_is_refused(text, where, tmp_path):
    with pytest.raises(yaml.YAMLError) as refused:
        files.parse_yaml(text)
    assert where in str(refused.value)
    path = tmp_path / "file.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=r"file\.yaml is not readable YAML: "):
        read_yaml(path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "[0.5, yes, Off, True, null, ~, x, 1.0e+3, -10, !!timestamp 2020-01-02]",
        "- a: 1\n- a: 1",
        "a: {a: {a: 1}}",
        "1: 2\n'1': 3",
        "- &x [1, {b: 2}]\n- *x\n- [*x, *x]",
        "y: &y {b: 1}\np: {q: &x {<<: *y, b: 2}}\nc: {<<: *x, d: 3}",
        "z: &z {a: 1}\nw: {<<: *z, a: 2}",
        "\ufeffa: ü\r\nb: 2\r\n",
    ],
)
def test_all_else_is_what_pyyaml_makes_of_it(text):
    assert files.parse_yaml(text) == yaml.safe_load(text)


@pytest.mark.parametrize(("text", "number"), NUMBERS)
def test_numbers_are_plain_decimal(text, number):
    value = files.parse_yaml(text)
    assert (value, type(value)) == (number, type(number))
    assert files.parse_yaml(f"a: [{text}]") == {"a": [number]}


@pytest.mark.parametrize("text", [".nan", ".NaN", ".NAN"])
def test_what_is_not_a_number_in_yaml_1_2_is_a_float(text):
    assert isnan(files.parse_yaml(text))


@pytest.mark.parametrize("text", TEXTS)
def test_all_else_is_text(text):
    if text != "-":
        assert files.parse_yaml(text) == text
    assert files.parse_yaml(f"a: ['{text}']") == {"a": [text]}


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.sampled_from([text for text, _ in NUMBERS] + TEXTS + WORDS)
    | st.text(max_size=8)
    | st.text("0123456789.eE+-_:xob", max_size=8)
    | st.dates().map(str)
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=values)
def test_what_is_written_reads_back(value, tmp_path):
    path = tmp_path / "file.yaml"
    write_yaml(path, {"value": value})
    assert typed(read_yaml(path)) == typed({"value": value})
    # For programs that read YAML 1.1, as PyYAML does.
    assert typed(yaml.safe_load(path.read_text(encoding="utf-8"))) == typed({"value": value})


@settings(max_examples=50, deadline=None)
@given(
    number=st.integers() | st.floats(allow_nan=False),
    text=st.sampled_from([*TEXTS, "yes", "null", "", "@x", "0100", "1.5"]),
)
def test_what_earlier_versions_wrote_reads_alike(number, text):
    value = {"a": number, "b": text, "c": [number, text], "d": None, "e": True}
    assert typed(files.parse_yaml(yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=110))) == typed(
        value
    )


@pytest.mark.parametrize("digits", ["123456789e12", "0e1234567890", "098765432109", "123456789012", "12345678901e"])
def test_a_hash_in_a_file_of_an_earlier_version_is_text(digits):
    values = {"task": {"name": "a:B", "source": digits}}
    assert files.parse_yaml(yaml.safe_dump(values)) == values


def test_an_option_that_is_called_source_is_a_number():
    assert files.parse_yaml("{source: 12, b: {source: 1e5, c: {source: [1e5]}}}") == {
        "source": 12,
        "b": {"source": 1e5, "c": {"source": [1e5]}},
    }


def typed(value: Any) -> Any:
    """Returns a value together with its types: 1, 1.0 and True are equal."""
    if isinstance(value, list):
        return [typed(item) for item in value]
    if isinstance(value, dict):
        return [(typed(key), typed(item)) for key, item in value.items()]
    return type(value), repr(value)


def aliases_of_aliases(depth):
    """Returns a text that stands for ten to that power of values."""
    lines = ["a0: &a0 [x]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, depth + 1))]
    return "\n".join(lines)


def test_aliases_of_aliases_are_looked_at_once_and_refused_beyond_a_million_values():
    assert list(files.parse_yaml(aliases_of_aliases(4))) == [f"a{n}" for n in range(5)]
    with pytest.raises(yaml.YAMLError, match=r"^its aliases stand for more than 1,000,000 values$"):
        files.parse_yaml(aliases_of_aliases(60))
    merged = "\n".join(["a0: &a0 {x: 1}", *(f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}" for n in range(1, 60))])
    with pytest.raises(yaml.YAMLError, match=r"^its aliases stand for more than 1,000,000 values$"):
        files.parse_yaml(merged)


@pytest.mark.parametrize("place", ["steps: *a60", "task: {addition: {length: *a60}}", "tasks: *a60", "until: *a60"])
def test_nor_does_any_command_choke_on_them(place, tmp_path, capsys):
    path = tmp_path / "file.yaml"
    path.write_text(f"{aliases_of_aliases(60)}\n{place}\n")
    assert main(["compare", "--config", str(path), "--out", str(tmp_path / "out")]) == 2
    assert "its aliases stand for more than" in capsys.readouterr().err


def test_a_file_holds_a_mapping(tmp_path):
    path = tmp_path / "file.yaml"
    path.write_text("all:\n" + indent("a: 1\nb: [ü]", "  "), encoding="utf-8")
    assert read_yaml(path) == {"all": {"a": 1, "b": ["ü"]}}
    for text in ("", "- 1", "3"):
        path.write_text(text)
        with pytest.raises(UserError, match="does not hold a YAML mapping"):
            read_yaml(path)


@pytest.mark.parametrize(
    "text", [*(text for text, _ in NUMBERS), *TEXTS, *WORDS, "[a, {b: 1}]", "'x': \"\\u2028\"", "&a [1, *b]"]
)
def test_both_loaders_read_the_same(text: str) -> None:
    """libyaml, where PyYAML has it, and the loader whose errors are shown."""
    values = []
    for loader in (files.FastLoader, files.PlainLoader):
        try:
            values.append(repr(yaml.load(f"a: {text}\nsource: 0123456789e1\n", Loader=loader)))
        except (yaml.YAMLError, ValueError):
            values.append("an error")
    # libyaml takes a tab for white space where PyYAML refuses it.
    if values[1] != "an error":
        assert values[0] == values[1]
        assert "'source': '0123456789e1'" in values[0]


def test_what_lies_too_deep_is_refused() -> None:
    assert files.parse_yaml("[" * 100 + "]" * 100)
    for depth in (200, 100_000):
        with pytest.raises(yaml.YAMLError, match="nested too deeply"):
            files.parse_yaml("[" * depth + "]" * depth)

"""YAML files: duplicate keys and other mistakes are refused."""

from textwrap import indent

import pytest
import yaml

from workbench import files
from workbench.errors import UserError
from workbench.files import read_yaml


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("a: 1\nb: 2\na: 3", "the key 'a' is there twice, in lines 1 and 3"),
        ("a: {b: 1, 'b': 1}", "the key 'b' is there twice, in line 1"),
        ("a:\n- 1\n- b: {}\n  c: 2\n  b: 3", "the key 'b' is there twice, in lines 3 and 5"),
        ("- &x {a: {b: 1, b: 2}}\n- *x", "the key 'b' is there twice, in line 1"),
        ("1: a\n0x1: b", "the key '0x1' is there twice, in lines 1 and 2"),
        ("yes: a\ntrue: b", "the key 'true' is there twice, in lines 1 and 2"),
        ("? {a: 1, a: 2}\n: 3", "the key 'a' is there twice, in line 1"),
        ("a: &x {b: [*x]}", "an alias refers to a value that contains it"),
        ("[" * 3000 + "]" * 3000, "it is nested too deeply"),
        ("a: !!int x", "a value is not of the type that it seems to be: invalid literal"),
        ("a: !!bool x", "a value is not of the type that its tag says"),
        ("a: !!timestamp x", "a value is not of the type that its tag says"),
        ("a: 2020-13-45", "a value is not of the type that it seems to be: month must"),
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
        "[0.5, yes, null, x, 2020-01-02, 1e3, 0x10]",
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


def test_aliases_of_aliases_are_looked_at_once():
    """Otherwise there would be ten to the twelfth of them."""
    lines = ["a0: &a0 [x]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 13))]
    value = files.parse_yaml("\n".join(lines))
    assert list(value) == [f"a{n}" for n in range(13)]


def test_a_file_holds_a_mapping(tmp_path):
    path = tmp_path / "file.yaml"
    path.write_text("all:\n" + indent("a: 1\nb: [ü]", "  "), encoding="utf-8")
    assert read_yaml(path) == {"all": {"a": 1, "b": ["ü"]}}
    for text in ("", "- 1", "3"):
        path.write_text(text)
        with pytest.raises(UserError, match="does not hold a YAML mapping"):
            read_yaml(path)

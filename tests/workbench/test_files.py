"""YAML files."""

from textwrap import indent

import pytest
import yaml

from workbench.errors import UserError
from workbench.files import read_yaml, unrepeated


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("a: 1\nb: 2\na: 3", "the key 'a' is there twice, in lines 1 and 3"),
        ("a: {b: 1, 'b': 1}", "the key 'b' is there twice, in line 1"),
        ("a:\n- 1\n- b: {}\n  c: 2\n  b: 3", "the key 'b' is there twice, in lines 3 and 5"),
        ("- &x {a: {b: 1, b: 2}}\n- *x", "the key 'b' is there twice, in line 1"),
    ],
)
def test_a_key_that_is_there_twice_is_refused(text, where, tmp_path):
    with pytest.raises(yaml.YAMLError) as refused:
        unrepeated(text)
    assert str(refused.value) == where
    path = tmp_path / "it.yaml"
    path.write_text("all:\n" + indent(text, "  "))
    with pytest.raises(UserError, match="is no readable YAML: the key"):
        read_yaml(path)


@pytest.mark.parametrize(
    "text", ["", "a", "- a: 1\n- a: 1", "a: {a: {a: 1}}", "1: 2\n'1': 3", "&x [*x]", "a: &x {b: 1}\nc: {<<: *x, b: 2}"]
)
def test_what_looks_like_it_is_not(text):
    unrepeated(text)


def test_values_are_plain(tmp_path):
    path = tmp_path / "it.yaml"
    path.write_text("a: 1\nb: [0.5, yes, null, x]\nc: {d: 'ü'}\n", encoding="utf-8")
    assert read_yaml(path) == {"a": 1, "b": [0.5, True, None, "x"], "c": {"d": "ü"}}
    path.write_text("a: !!python/object/apply:os.getcwd []\n")
    with pytest.raises(UserError, match="could not determine a constructor"):
        read_yaml(path)

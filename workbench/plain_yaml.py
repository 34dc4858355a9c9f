"""YAML as plain values, where nothing is said twice."""

from typing import Any

import yaml


def parse(text: str) -> Any:
    """What YAML says, with the safe loader.

    Raises:
        yaml.YAMLError: if it is no YAML, has a key twice in one mapping, of which the last would win and nobody would
            know, or something that is part of itself.
    """
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _check(loader, node, set(), set())
        return loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        # The file is named by whoever has it.
        raise yaml.YAMLError(str(error).replace('in "<unicode string>", ', "in ")) from None
    except yaml.YAMLError:
        raise
    except RecursionError:
        raise yaml.YAMLError("it goes too deep") from None
    except ValueError as error:
        # PyYAML lets it through: 2020-13-45, !!int x.
        raise yaml.YAMLError(f"a value is not of the type that it seems to be: {error}") from None
    except (LookupError, AttributeError):
        # And these: !!bool x, !!timestamp x.
        raise yaml.YAMLError("a value is not of the type that its tag says") from None
    finally:
        loader.dispose()


def _check(loader: Any, node: yaml.Node, around: set[int], checked: set[int]) -> None:
    if id(node) in around:
        raise yaml.YAMLError("an alias stands for what it is a part of")
    # An alias leads to what may have been checked before.
    if id(node) in checked or isinstance(node, yaml.ScalarNode):
        return
    checked.add(id(node))
    inside = around | {id(node)}
    if isinstance(node, yaml.SequenceNode):
        for value in node.value:
            _check(loader, value, inside, checked)
        return
    lines: dict[Any, int] = {}
    for key, value in node.value:
        _check(loader, key, inside, checked)
        _check(loader, value, inside, checked)
        if not isinstance(key, yaml.ScalarNode) or key.tag == "tag:yaml.org,2002:merge":
            continue
        # As values: 1 and 0x1 are one key.
        name, line = loader.construct_object(key), key.start_mark.line + 1
        if name in lines:
            where = f"line {line}" if lines[name] == line else f"lines {lines[name]} and {line}"
            raise yaml.YAMLError(f"the key {key.value!r} is there twice, in {where}")
        lines[name] = line

"""The text of classes and functions that no importable file has: those of a notebook's cell, a script, or a function.

What such an object uses of its own module goes along: in a notebook, the layer that a model is built of stands in
another cell, and is edited there.
"""

import ast
import dis
import inspect
import linecache
import textwrap
from collections.abc import Iterator, Mapping
from types import CodeType, FunctionType
from typing import Any

from workbench.errors import UserError

PLAIN = (int, float, complex, str, bytes, bool, type(None))
"""Types of values whose `repr` says all about them."""


def collect_texts(thing: Any, module: str) -> dict[str, str]:
    """Returns the text of a class or function, and of all that it uses of its module, by qualified name.

    Args:
        thing: a class or a function.
        module: the name of the module whose contents are the user's.

    Raises:
        UserError: if the text of one of them is not known.
    """
    texts: dict[str, str] = {}
    waiting = [thing]
    while waiting:
        current = waiting.pop()
        if current.__qualname__ in texts:
            continue
        texts[current.__qualname__] = read_text(current)
        for name, used in iter_used(current):
            if (inspect.isclass(used) or isinstance(used, FunctionType)) and used.__module__ == module:
                waiting.append(used)
            elif is_plain(used):
                texts[f"{current.__qualname__} uses {name}"] = repr(used)
    return texts


def read_text(thing: Any) -> str:
    """Returns the text of a class or a function, without its indentation.

    Raises:
        UserError: if it is not known.
    """
    try:
        if not inspect.isclass(thing):
            return textwrap.dedent(inspect.getsource(thing))
        return find_class_text(thing)
    except (OSError, TypeError, SyntaxError, LookupError):
        raise UserError(
            f"the code of {thing.__qualname__} cannot be read, so nobody could tell results of it from those of "
            "another version; write it in a file or in a notebook's cell"
        ) from None


def find_class_text(cls: type) -> str:
    """Returns the text of a class.

    `inspect.getsource` finds that of a module's file alone, until Python 3.13.

    Raises:
        LookupError, OSError, TypeError, SyntaxError: if it is not found.
    """
    for function in iter_functions(cls):
        if lines := linecache.getlines(function.__code__.co_filename):
            return cut_class(lines, cls.__qualname__, function.__code__.co_firstlineno)
    try:
        return textwrap.dedent(inspect.getsource(cls))
    except (OSError, TypeError):
        # A class without functions of its own, of a notebook: the newest cell that has one of its name.
        for file in reversed([name for name, entry in linecache.cache.items() if len(entry) > 1 and entry[1] is None]):
            try:
                return cut_class(linecache.getlines(file), cls.__qualname__)
            except (LookupError, SyntaxError):
                continue
        raise


def cut_class(lines: list[str], qualified_name: str, inside: int | None = None) -> str:
    """Returns the text of a class among lines.

    Args:
        lines: of a file or a cell.
        qualified_name: of the class; what stands before its last dot is not looked at.
        inside: number of a line in it, if known; otherwise the last class of the name is meant.

    Raises:
        LookupError: if there is none.
        SyntaxError: if the lines are not Python.
    """
    name = qualified_name.rpartition(".")[2]
    # IPython's own commands are no Python; linecache has a cell as it was transformed.
    found = [
        node
        for node in ast.walk(ast.parse("".join(lines)))
        if isinstance(node, ast.ClassDef)
        and node.name == name
        and (inside is None or first_line(node) <= inside <= (node.end_lineno or node.lineno))
    ]
    if not found:
        raise LookupError(name)
    node = found[-1]
    return textwrap.dedent("".join(lines[first_line(node) - 1 : node.end_lineno]))


def first_line(node: ast.ClassDef) -> int:
    """Returns the number of the first line of a class, its decorators included."""
    parts: list[ast.stmt | ast.expr] = [node, *node.decorator_list]
    return min(part.lineno for part in parts)


def iter_functions(cls: type) -> Iterator[FunctionType]:
    """Yields the functions that stand in the body of a class."""
    for value in vars(cls).values():
        candidates = (value.fget, value.fset) if isinstance(value, property) else (getattr(value, "__func__", value),)
        for function in candidates:
            inner = inspect.unwrap(function) if callable(function) else function
            # Those that dataclasses write are of "<string>".
            if isinstance(inner, FunctionType) and inner.__qualname__.startswith(f"{cls.__qualname__}."):
                yield inner


def iter_used(thing: Any) -> Iterator[tuple[str, Any]]:
    """Yields what a class or a function uses of its module, of functions around it, and as defaults, by name."""
    functions = list(iter_functions(thing)) if inspect.isclass(thing) else [thing]
    if inspect.isclass(thing):
        yield from ((base.__name__, base) for base in thing.__bases__)
        yield from ((name, value) for name, value in vars(thing).items() if not name.startswith("__"))
    for function in functions:
        scope: Mapping[str, Any] = {**function.__globals__, **closure_values(function)}
        yield f"{function.__name__}()", [function.__defaults__, function.__kwdefaults__]
        for name in sorted(used_names(function.__code__)):
            if name in scope:
                yield name, scope[name]


def closure_values(function: FunctionType) -> dict[str, Any]:
    """Returns the values that a function takes from the functions around it, by name."""
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    values = {}
    for name, cell in cells:
        try:
            values[name] = cell.cell_contents
        except ValueError:
            continue  # It has no value yet.
    return values


def used_names(code: CodeType) -> set[str]:
    """Returns the names of globals and outer variables in a function's code and in those inside it."""
    loads = {step.argval for step in dis.get_instructions(code) if step.opname.startswith("LOAD_GLOBAL")}
    names = {*loads, *code.co_freevars}
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            names |= used_names(constant)
    return names


def is_plain(value: Any) -> bool:
    """Returns whether a value is a number, a text, or a collection of such."""
    if isinstance(value, tuple | list):
        return all(map(is_plain, value))
    if isinstance(value, dict):
        return all(is_plain(key) and is_plain(item) for key, item in value.items())
    return type(value) in PLAIN

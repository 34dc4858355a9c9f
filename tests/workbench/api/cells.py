"""Cells of a notebook, run as IPython runs them: their text is where `linecache` finds it, and no module has them."""

import itertools
import linecache
import textwrap
from typing import Any

_numbers = itertools.count()


def run_cell(text: str, namespace: dict[str, Any]) -> None:
    """Runs a cell in the namespace of a notebook."""
    text = textwrap.dedent(text)
    name = f"/tmp/ipykernel_0/{next(_numbers)}.py"
    # Without a time of modification, as IPython registers it.
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    exec(compile(text, name, "exec"), namespace)


def new_notebook() -> dict[str, Any]:
    """Returns the namespace of a new notebook."""
    return {"__name__": "__main__"}

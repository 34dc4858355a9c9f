"""Help texts from docstrings: each argument is described once, where it is defined."""

import inspect
import re

ARGUMENT = re.compile(r"^(\w+(?:, \w+)*): (.*)$")


def argument_help(documented: type) -> dict[str, str]:
    """Returns the entries of a docstring's `Args:` section by name, each as one line."""
    lines = (inspect.getdoc(documented) or "").splitlines()
    texts: dict[str, str] = {}
    names: list[str] = []
    in_section = False
    for line in lines:
        if line.strip() == "Args:":
            in_section = True
        elif in_section and line and not line.startswith(" "):
            break
        elif in_section and (entry := ARGUMENT.match(line.strip())) and len(line) - len(line.lstrip()) == 4:
            names = entry[1].split(", ")
            texts.update(dict.fromkeys(names, entry[2]))
        elif in_section and line.strip():
            texts.update({name: f"{texts[name]} {line.strip()}" for name in names})
    return texts

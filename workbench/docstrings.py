"""What docstrings say of arguments, for help texts: each is described once, where it is defined."""

import inspect
import re

ARGUMENT = re.compile(r"^(\w+(?:, \w+)*): (.*)$")


def argument_help(documented: type) -> dict[str, str]:
    """The entries of a docstring's `Args:` section, by name, each in one line."""
    lines = (inspect.getdoc(documented) or "").splitlines()
    found: dict[str, str] = {}
    names: list[str] = []
    inside = False
    for line in lines:
        if line.strip() == "Args:":
            inside = True
        elif inside and line and not line.startswith(" "):
            break
        elif inside and (entry := ARGUMENT.match(line.strip())) and len(line) - len(line.lstrip()) == 4:
            names = entry[1].split(", ")
            found.update(dict.fromkeys(names, entry[2]))
        elif inside and line.strip():
            found.update({name: f"{found[name]} {line.strip()}" for name in names})
    return found

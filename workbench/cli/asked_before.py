"""`comparison.yaml`: what was asked for in a folder of results last, and what before."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from workbench.comparison import Comparison
from workbench.errors import UserError
from workbench.files import read_yaml, write_yaml

FILE = "comparison.yaml"
EARLIER = re.compile(r"comparison-(\d+)\.yaml")


def keep(out: Path, comparison: Comparison) -> None:
    """Writes what is asked for to `out/comparison.yaml`. Another comparison that is there becomes `comparison-1.yaml`,
    or has the next number that is free; with more or fewer seeds it is the same one."""
    path, asked = out / FILE, comparison.to_dict()
    if path.exists() and (last := told(path)) != text(asked):
        earlier = {int(found[1]): each for each in out.iterdir() if (found := EARLIER.fullmatch(each.name))}
        if last is None or last not in map(told, earlier.values()):
            path.rename(out / f"comparison-{max(earlier, default=0) + 1}.yaml")
    write_yaml(path, asked)


def told(path: Path) -> str | None:
    """What a file asks for; `None` where it cannot be read."""
    try:
        return text(read_yaml(path))
    except UserError:
        return None


def text(asked: Mapping[str, Any]) -> str:
    """What is the same for the same comparison, whatever the number of its seeds."""
    return yaml.safe_dump({**asked, "seeds": None})

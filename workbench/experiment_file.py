"""The file of a run's configuration, `config.yaml`: those of many seeds are parsed once."""

import re
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

import yaml

from workbench.config import Experiment
from workbench.errors import UserError
from workbench.files import parse_yaml, read_yaml

SEED_LINE = re.compile(r"^seed: (0|[1-9][0-9]{0,18})$", re.MULTILINE)
"""The seed as `to_config` is written: a key of the whole, as what stands within another value is indented."""


def read_experiment(path: Path) -> Experiment:
    """Reads a `config.yaml`.

    Raises:
        UserError: if there is none, or it is not the configuration of a run.
    """
    with suppress(OSError, ValueError, yaml.YAMLError, UserError):
        text = path.read_text(encoding="utf-8")
        if len(seeds := SEED_LINE.findall(text)) == 1:
            return _parse(SEED_LINE.sub("seed: 0", text)).with_seed(int(seeds[0]))
    # Anything else, and whatever is wrong, whose message names the file.
    return Experiment.from_dict(read_yaml(path))


@lru_cache(maxsize=1024)
def _parse(text: str) -> Experiment:
    value = parse_yaml(text)
    if not isinstance(value, dict):
        raise UserError("not a mapping")
    return Experiment.from_dict(value)

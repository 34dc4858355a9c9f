"""Data sets of the UCR and UEA archives that the aeon package brings along, of which nothing but files is read."""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from workbench.data.downloads import data_folder
from workbench.errors import UserError

Name = Literal[
    "ACSF1",
    "ArrowHead",
    "BasicMotions",
    "GunPoint",
    "ItalyPowerDemand",
    "JapaneseVowels",
    "OSULeaf",
    "PickupGestureWiimoteZ",
]
"""Data sets with classes."""


def locate(name: str) -> Path:
    """Returns the training file of a data set; the test file lies beside it.

    Of the user's folder of data files, if it is there, else of the aeon package, which is not imported: it would take
    seconds, and compile functions.

    Raises:
        UserError: if neither has it; the message says what to install, or which files to put where.
    """
    files = (f"{name}_TRAIN.ts", f"{name}_TEST.ts")
    for folder in _folders(name):
        if all((folder / file).is_file() for file in files):
            return folder / files[0]
    what = "not installed" if find_spec("aeon") is None else "installed without it"
    raise UserError(
        f"{name} is not there: aeon, which brings it along, is {what}; pip install --no-deps aeon (only its files are "
        f"read), or --data-dir {data_folder() or 'DIR'} with {' and '.join(files)} in it"
    )


def _folders(name: str) -> Iterator[Path]:
    """Yields the folders in which a data set may lie."""
    if (user_folder := data_folder()) is not None:
        yield from (user_folder / name, user_folder)
    spec = find_spec("aeon")
    for location in [] if spec is None else spec.submodule_search_locations or []:
        yield Path(location) / "datasets" / "data" / name

"""The files of a profile."""

import csv
import io
import json
from pathlib import Path
from typing import Any

from analysis import style
from analysis.profile import roofline
from analysis.profile.record import KIND, Profile
from workbench.errors import UserError
from workbench.files import writable, write_json, write_text

BESIDE = ("profile.csv", "roofline.svg", "roofline.png")
"""What stands in a folder beside `profile.json`."""


def refuse(path: Path) -> None:
    """Makes sure that a file can be written without losing another.

    Raises:
        UserError: if there is something else than an earlier profile, or nothing can be written there.
    """
    if path.is_dir():
        raise UserError(f"{path} is a folder; --json names a file")
    if path.exists() and not ours(path):
        raise UserError(f"{path} is no earlier profile and is not overwritten; name another file")
    writable(path.parent)


def refuse_folder(folder: Path) -> None:
    """The same for a folder: its files are replaced only beside an earlier profile.

    Raises:
        UserError: if it is a file, or holds files of these names that are no profile's.
    """
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file; --out names a folder")
    whole = folder / "profile.json"
    for name in ("profile.json", *BESIDE):
        if (folder / name).exists() and not (whole.is_file() and ours(whole)):
            raise UserError(f"{folder / name} is of no earlier profile and is not overwritten; name another folder")
    writable(folder)


def ours(path: Path) -> bool:
    """Whether a file holds a profile."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError):
        return False
    return isinstance(found, dict) and found.get("kind") == KIND


def write(profile: Profile, folder: Path) -> None:
    """Writes `profile.json`, `profile.csv` and the roofline as `roofline.svg` and `roofline.png`, each whole or not at
    all; without a roofline where no traffic is known."""
    write_json(folder / "profile.json", profile.to_dict())
    write_text(folder / "profile.csv", table(profile))
    if (figure := roofline.draw(profile)) is not None:
        style.save(figure, folder, "roofline")


def table(profile: Profile) -> str:
    """A line for each architecture and length, without the single rounds; what is nested has names with points."""
    rows = [flat(row) for row in profile.to_dict()["rows"]]
    lines = io.StringIO()
    writer = csv.DictWriter(lines, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return lines.getvalue()


def flat(row: dict[str, Any], above: str = "") -> dict[str, Any]:
    """A row without nesting; options stay one value."""
    made: dict[str, Any] = {}
    for key, value in row.items():
        if key == "seconds_by_round":
            continue
        if key == "options":
            made[key] = json.dumps(value, sort_keys=True)
        elif isinstance(value, dict):
            made |= flat(value, f"{above}{key}.")
        else:
            made[f"{above}{key}"] = value
    return made

"""Names of users, teams and projects, as W&B takes them."""

import re

from workbench.errors import UserError

LONGEST = 128
FORBIDDEN = re.compile(r"[/\\#?%:\x00-\x1f]")


def named(option: str, name: str | None) -> str | None:
    """A name that was given, or `None` where none was.

    Raises:
        UserError: if W&B does not take it.
    """
    if name is not None and (not name.strip() or len(name) > LONGEST or name.startswith("-") or FORBIDDEN.search(name)):
        raise UserError(f"--{option} {name!r} is no name for W&B: 1 to {LONGEST} characters, without / \\ # ? % :")
    return name

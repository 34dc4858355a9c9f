"""A length of time as people write it: 90s, 9m, 1h30m."""

import re

from workbench.errors import UserError

FORM = re.compile(r"(?:(?P<h>\d+(?:\.\d+)?)h)?(?:(?P<m>\d+(?:\.\d+)?)m)?(?:(?P<s>\d+(?:\.\d+)?)s)?$")
SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0}


def seconds(text: str, option: str) -> float:
    """The seconds of a length of time.

    Example:
        >>> seconds("1h30m", "--time-limit")
        5400.0

    Raises:
        UserError: if it has no unit, or is none.
    """
    given = text.strip()
    if re.fullmatch(r"\d+(\.\d+)?", given):
        raise UserError(f"{option} {given}: say the unit, as in {given}s, {given}m or {given}h")
    found = FORM.match(given)
    total = 0.0 if found is None else sum(float(found[unit] or 0) * each for unit, each in SECONDS.items())
    if total <= 0:
        raise UserError(f"{option} must be a time such as 90s, 9m or 1h30m, not {text!r}")
    return total

"""Suggestions of similar names, for error messages."""

import difflib
from collections.abc import Iterable

from architectures.limits import quote

MAX_LISTED = 150
"""Characters of valid names that are listed; a catalogue would fill a screen."""


def did_you_mean(name: object, valid_names: Iterable[str]) -> str:
    """Returns a clause that suggests the valid names most similar to a wrong one, or lists them if none is similar.

    Example:
        >>> did_you_mean("lstn", ["lstm", "gru"])
        "; did you mean 'lstm'?"
    """
    candidates = list(valid_names)
    similar = difflib.get_close_matches(name if isinstance(name, str) else quote(name), candidates, n=3, cutoff=0.6)
    if similar:
        return "; did you mean " + " or ".join(repr(candidate) for candidate in similar) + "?"
    if not candidates:
        return ""
    listed: list[str] = []
    length = 0
    for candidate in candidates:
        length += len(candidate) + 2
        if length > MAX_LISTED and len(candidates) - len(listed) > 1:
            return f"; known: {', '.join(listed)} and {len(candidates) - len(listed)} more"
        listed.append(candidate)
    return "; known: " + ", ".join(listed)

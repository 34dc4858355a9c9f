"""The nearest valid name, for error messages."""

import difflib
from collections.abc import Iterable


def did_you_mean(wrong: str, known: Iterable[str]) -> str:
    """A clause that names the nearest of the known names, or, where none is near, all of them.

    Example:
        >>> near("lstn", ["lstm", "gru"])
        "; did you mean 'lstm'?"
    """
    candidates = list(known)
    close = difflib.get_close_matches(wrong, candidates, n=3, cutoff=0.6)
    if close:
        return "; did you mean " + " or ".join(repr(name) for name in close) + "?"
    return "; known: " + ", ".join(candidates) if candidates else ""

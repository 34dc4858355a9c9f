"""Failures of loggers, told once a command and not once a run."""

import re
from collections import Counter

from workbench.errors import one_line
from workbench.files import describe_error

PREFIX = "the logger "
FAILURE = re.compile(rf"{PREFIX}(\w+) failed and is left out")
"""The beginning of every line about a failure."""
PASSWORD = re.compile(r"(?<=://)[^/@\s]+@")
"""User name and password in a URL."""


def describe_failure(name: str, error: Exception) -> str:
    """Returns a line that says why a logger is left out of a run, without the password of its server."""
    reason = PASSWORD.sub("***@", describe_error(error))
    return one_line(
        f"{PREFIX}{name} failed and is left out ({type(error).__name__}: {reason}); the run loses nothing by it"
    )


class FailureCount:
    """Which loggers have failed: the first failure of each is told, the others are counted."""

    def __init__(self) -> None:
        self._counts = Counter[str]()

    def is_news(self, line: str) -> bool:
        """Returns whether a line is to be told: all are that are not of a logger that has failed before."""
        match = FAILURE.match(line)
        if match is None:
            return True
        self._counts[match[1]] += 1
        return self._counts[match[1]] == 1

    def summaries(self) -> list[str]:
        """Returns a line for each logger that has failed more than once."""
        return [
            f"{PREFIX}{name} failed in {count - 1} more run{'s' * (count > 2)}"
            for name, count in self._counts.items()
            if count > 1
        ]

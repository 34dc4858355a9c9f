"""What a configuration is to a study: what it came to, or what it set out from."""

from collections.abc import Iterable
from typing import Literal

from workbench.study_files import Study

Role = Literal["tuned", "default", "both"]

SAID: dict[Role, str] = {
    "both": ", default (also the best)",
    "tuned": ", tuned",
    "default": ", default",
}
"""What is said of it behind the architecture's name, in the order of rows."""
SHADE: dict[Role, int] = {"both": 0, "tuned": 0, "default": 1}
"""Which variant of its architecture's look it has."""


def roles(studies: Iterable[Study]) -> dict[str, Role]:
    """By identity, what the configurations of studies are; all others are not in it."""
    found: dict[str, Role] = {}
    for study in studies:
        winner, default = study.winner_identity, study.default_identity
        if default is not None and found.get(default) != "both":
            found[default] = "both" if default == winner else "default"
        if winner is not None and winner != default:
            found[winner] = "tuned"
    return found

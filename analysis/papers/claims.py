"""Claims of the source documents, each with the rule by which it is judged from the pages' data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

import yaml

from architectures.suggest import did_you_mean
from workbench.errors import UserError

FILE = Path(__file__).parent / "claims.yaml"
"""The file of the claims."""

Rule = Literal[
    "faster", "better", "quicker", "equal", "unbeaten", "scales", "order", "solves", "fails", "figure", "figures",
    "arithmetic", "together", "not_testable",
]  # fmt: skip
KEYS: Mapping[str, tuple[frozenset[str], frozenset[str]]] = {
    rule: (frozenset(required.split()), frozenset(optional.split()))
    for rule, required, optional in (
        ("faster", "preset better worse", "by variant measure"),
        ("better", "preset better worse", "by variant measure"),
        ("quicker", "preset better worse", "by variant"),
        ("equal", "preset first second", "factor variant measure"),
        ("unbeaten", "preset architecture", "factor variant measure"),
        ("scales", "short long better worse", "short_variant long_variant measure"),
        ("order", "preset", ""),
        ("solves", "preset architecture", "variant measure bound"),
        ("fails", "preset architecture", "variant measure bound"),
        ("figure", "preset architecture", "variant measure"),
        ("figures", "preset", ""),
        ("arithmetic", "share steps left", ""),
        ("together", "claims", ""),
        ("not_testable", "why", ""),
    )
}
"""Keys of each rule's arguments: those that it needs, and those that it may have. See claim_rules.py."""
COMMON_KEYS = ("claim", "source", "any_length")


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A claim, and how it is judged."""

    text: str
    """The claim in one sentence."""
    source: str
    """The document, and its section or table."""
    rule: Rule
    arguments: Mapping[str, Any] = field(default_factory=dict)
    any_length: bool = False
    """True if the claim does not depend on the paper's length, so that the small scale may judge it."""

    @property
    def presets(self) -> tuple[str, ...]:
        """The presets whose pages judge it."""
        return tuple(self.arguments[key] for key in ("preset", "short", "long") if key in self.arguments)


@cache
def load_claims() -> tuple[Claim, ...]:
    """Loads the claims in the order of their file.

    Raises:
        UserError: if the file is invalid.
    """
    return tuple(parse_claim(entry) for entry in yaml.safe_load(FILE.read_text(encoding="utf-8")))


def parse_claim(entry: Mapping[str, Any]) -> Claim:
    """Parses a claim as it is in the file: its text, its source, and one rule with its arguments.

    Raises:
        UserError: if a key is unknown or missing, or there is not exactly one rule.
    """
    where = f"{FILE.name}, {entry.get('claim', 'a claim without a text')!r}"
    accepted = (*COMMON_KEYS, *get_args(Rule))
    for key in entry:
        if key not in accepted:
            raise UserError(f"{where}: unknown key {key!r}{did_you_mean(str(key), accepted)}")
    rules = [rule for rule in get_args(Rule) if rule in entry]
    if len(rules) != 1 or not {"claim", "source"} <= entry.keys():
        raise UserError(f"{where}: needs claim, source and exactly one rule of {', '.join(get_args(Rule))}")
    rule: Rule = rules[0]
    arguments = {"why": entry[rule]} if rule == "not_testable" else dict(entry[rule])
    required, optional = KEYS[rule]
    if missing := required - arguments.keys():
        raise UserError(f"{where}: {rule} needs {', '.join(sorted(missing))}")
    if unknown := arguments.keys() - required - optional:
        raise UserError(f"{where}: {rule} has no {', '.join(sorted(unknown))}")
    return Claim(
        text=entry["claim"],
        source=entry["source"],
        rule=rule,
        arguments=arguments,
        any_length=bool(entry.get("any_length", False)),
    )

"""Encoders that run another encoder of the catalogue inside: which ones they may, and how it is built."""

from collections.abc import Mapping
from typing import Any

from architectures.base import Encoder
from architectures.limits import check_steps, check_width, quote
from architectures.registry import ARCHITECTURES, build, options
from architectures.suggest import did_you_mean

NESTING = frozenset({"rnn-attention", "act", "ntm", "bidirectional", "seq2seq", "seq2seq-fixed"})
"""The names of those that run another one, and are not run by another themselves."""


def base_names() -> list[str]:
    """Returns the names that can be run inside: the causal ones of the catalogue."""
    return [name for name, entry in ARCHITECTURES.items() if entry.causal and name not in NESTING]


def build_base(
    base: str,
    input_size: int,
    hidden_size: int,
    num_layers: int | None,
    dropout: float,
    reach: int,
    base_options: Mapping[str, Any] | None,
) -> Encoder:
    """Builds the encoder that runs inside.

    Args:
        base: one of `base_names()`.
        input_size: features a step.
        hidden_size: its width.
        num_layers: its layers; by default as many as it has itself.
        dropout: its rate.
        reach: steps that it is to cover, if its reach is finite.
        base_options: its other options.

    Raises:
        ValueError, TypeError: if it is not in the catalogue, looks ahead, or an option is unknown or invalid.
    """
    check_width(hidden_size=hidden_size)
    check_steps(reach=reach)
    if not isinstance(base, str):
        raise TypeError(f"base must be the name of an architecture, not {quote(base)}")
    if base not in base_names():
        raise ValueError(
            f"base {quote(base)} is no causal architecture of the catalogue{did_you_mean(base, base_names())}"
        )
    if base_options is not None and not isinstance(base_options, Mapping):
        raise TypeError(f"base_options must be a mapping of options of {base}, not {quote(base_options)}")
    own: dict[str, Any] = {"hidden_size": hidden_size, "dropout": dropout, "reach": reach}
    if num_layers is not None:
        own["num_layers"] = num_layers
    more, accepted = dict(base_options or {}), options(base)
    for key in more:
        if key in ("hidden_size", "num_layers", "dropout", "reach"):
            raise ValueError(f"base_options has {key}, which is an option beside base_options")
        # What `build` takes itself, such as input_size, is no option either.
        if key not in accepted:
            raise ValueError(f"base_options has {quote(key)}, which {base} has not{did_you_mean(str(key), accepted)}")
    return build(base, input_size, **{key: value for key, value in own.items() if key in accepted}, **more)

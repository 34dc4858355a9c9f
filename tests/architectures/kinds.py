"""Names that stand for their kind where a test takes long for each; the slow tests take all names."""

from typing import Any

import pytest

import architectures

ONE_OF_EACH_KIND = (
    *("rnn", "lstm", "gru", "rda-exp-tanh", "mingru", "lru", "tcn", "transformer", "gated-deltanet", "seq2seq"),
)
"""One of each kind of state: of a cell, of an average, of a scan, past inputs, keys and values, a matrix, a source."""


def names_of_each_kind() -> list[Any]:
    """Returns every name as a parameter of a test, those of `ONE_OF_EACH_KIND` for quick runs."""
    return [
        pytest.param(name, marks=() if name in ONE_OF_EACH_KIND else pytest.mark.slow) for name in architectures.names()
    ]

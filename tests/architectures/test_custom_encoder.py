"""Tests of custom encoders, which are named by the path of their class."""

import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import architectures
from tests.architectures.cases import noise

CUSTOM = """
    from architectures import Encoder, Trace

    class Echo(Encoder):
        '''Returns its input, times a gain.'''

        def __init__(self, input_size, hidden_size=1, gain=1.0):
            super().__init__(input_size)
            self.output_size, self.gain = input_size, gain

        def encode(self, x, state, lengths):
            return self.gain * x, None

        def trace(self, x, state=None, lengths=None):
            return Trace(y=self.gain * x)

        def path_length(self, lag):
            return 1

        def state_size(self, time):
            return 0

    class Half(Encoder):
        def encode(self, x, state, lengths):
            return x, None

    class Other:
        pass

    def function():
        pass
"""


@pytest.fixture
def custom_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Returns the name of a custom module on the path."""
    (tmp_path / "custom_encoders.py").write_text(textwrap.dedent(CUSTOM))
    (tmp_path / "needs_more.py").write_text("import a_module_that_is_not_installed\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield "custom_encoders"
    for name in ("custom_encoders", "needs_more"):
        sys.modules.pop(name, None)


def test_a_custom_encoder_is_built_by_its_path(custom_module: str) -> None:
    encoder = architectures.build(f"{custom_module}:Echo", 2, gain=3.0)
    x = noise(1, 4, 2)
    assert torch.equal(encoder(x)[0], 3 * x)
    assert set(architectures.options(f"{custom_module}:Echo")) == {"hidden_size", "gain"}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Eco", "has no class 'Eco'; did you mean 'Echo'"),
        ("function", "has no class 'function'"),
        ("Other", "is not a subclass of"),
        ("Half", "cannot be built: it does not implement path_length, state_size, trace"),
    ],
)
def test_a_class_without_the_interface_is_refused(custom_module: str, name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        architectures.build(f"{custom_module}:{name}", 2)


@pytest.mark.usefixtures("custom_module")
def test_an_error_inside_the_users_module_is_not_hidden() -> None:
    """The message says that another module is missing, not this one."""
    with pytest.raises(ValueError, match="cannot be imported: it needs a_module_that_is_not_installed"):
        architectures.build("needs_more:Thing", 2)

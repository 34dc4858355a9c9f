"""An encoder that users bring along, named by the path of its class."""

import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import architectures
from tests.architectures.cases import noise

OWN = """
    from architectures import Encoder, Trace

    class Echo(Encoder):
        '''Puts out its input, times a gain.'''

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
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a module of the user's own, on the path."""
    (tmp_path / "brought_along.py").write_text(textwrap.dedent(OWN))
    (tmp_path / "needs_more.py").write_text("import a_module_that_is_not_installed\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield "brought_along"
    for name in ("brought_along", "needs_more"):
        sys.modules.pop(name, None)


def test_an_encoder_of_the_users_own_is_built_by_its_path(own: str) -> None:
    encoder = architectures.build(f"{own}:Echo", 2, gain=3.0)
    x = noise(1, 4, 2)
    assert torch.equal(encoder(x)[0], 3 * x)
    assert set(architectures.options(f"{own}:Echo")) == {"hidden_size", "gain"}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Eco", "has no class 'Eco'; did you mean 'Echo'"),
        ("function", "has no class 'function'"),
        ("Other", "is no subclass of"),
        ("Half", "cannot be built: it does not implement path_length, state_size, trace"),
    ],
)
def test_what_does_not_keep_the_interface_is_refused(own: str, name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        architectures.build(f"{own}:{name}", 2)


@pytest.mark.usefixtures("own")
def test_an_error_inside_the_users_module_is_not_hidden() -> None:
    """That another module is missing is not the same as that this one is."""
    with pytest.raises(ValueError, match="cannot be imported: it needs a_module_that_is_not_installed"):
        architectures.build("needs_more:Thing", 2)

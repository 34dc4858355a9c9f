"""Fixtures for tests of the bench."""

import pytest
import torch

from tests.figure_formats import _svg_alone, all_default_formats  # noqa: F401


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """One thread for PyTorch: test workers share the cores, and tiny matrices gain nothing from more."""
    torch.set_num_threads(1)


@pytest.fixture
def on_path(tmp_path, monkeypatch):
    """Writes a module that can be imported while the test runs; returns its name."""
    import sys

    folder = tmp_path / "modules"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    written = []

    def write(name: str, text: str) -> str:
        (folder / f"{name}.py").write_text(text)
        written.append(name)
        return name

    yield write
    for name in written:
        sys.modules.pop(name, None)

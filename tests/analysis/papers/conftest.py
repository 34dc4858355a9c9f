import pytest

from tests import text_files
from workbench.data import downloads


@pytest.fixture(scope="session")
def texts(tmp_path_factory, data_folder):
    """A data folder with MNIST and the text of the small scale, both of noise, and without enwik8."""
    folder = tmp_path_factory.mktemp("texts")
    (folder / "mnist").symlink_to(data_folder / "mnist")
    text_files.write(folder / "tinyshakespeare.txt")
    return folder


@pytest.fixture
def without_enwik8(texts, tmp_path, monkeypatch):
    """Selects that folder, with an empty cache and without a network."""

    def unreachable(*arguments):
        raise OSError("no network")

    monkeypatch.setattr(downloads, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setattr(downloads, "fetch", unreachable)
    monkeypatch.setenv("WORKBENCH_DATA", str(texts))
    return texts

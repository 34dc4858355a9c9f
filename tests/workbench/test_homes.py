"""Paths in a home, for users who have one and for those who are only a number."""

import pwd
from pathlib import Path

import pytest

from workbench.cli.main import main
from workbench.data import downloads, text
from workbench.errors import UserError
from workbench.files import expand_home


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container that is started with --user 12345."""
    for name in ("HOME", "XDG_CACHE_HOME", "WORKBENCH_DATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", lambda uid: {}[uid])


def test_a_tilde_is_the_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert expand_home("~/data") == tmp_path / "data"
    assert expand_home("data/~") == Path("data/~")


@pytest.mark.parametrize("path", ["~/data", "~no-such-user/data"])
def test_a_home_that_is_not_there_is_a_mistake(path: str, homeless: None, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserError, match=r"there is no home for ~.*; name the whole path"):
        expand_home(path)
    with pytest.raises(UserError, match="no home"):
        text.locate_text(path)
    assert main(["train", "--task", "digits", "--architecture", "rnn", "--data-dir", path, "--out", "results"]) == 2
    assert capsys.readouterr().err == f"workbench: there is no home for {path}; name the whole path\n"


def test_downloads_are_not_kept_in_a_folder_called_tilde(homeless: None, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"no home to keep downloads in; --data-dir"):
        downloads.cache_folder()
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    assert downloads.cache_folder() == Path("/cache/sequence-workbench")

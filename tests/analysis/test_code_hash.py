"""The hash of the bench's own code: any other code has another."""

import importlib.resources
from pathlib import Path

import pytest

from analysis import code_hash as module


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of two packages, which stands for the bench's code."""
    for name in ("a/one.py", "a/inner/two.py", "a/settings.yaml", "b/one.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    monkeypatch.setattr(module, "PACKAGES", ("a", "b"))
    monkeypatch.setattr(module, "files", tmp_path.joinpath)
    return tmp_path


def fresh_hash() -> str:
    """Returns the hash as another process would find it."""
    return module.code_hash.__wrapped__()


def test_other_code_has_another_hash(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hashes = [fresh_hash()]
    (folder / "a/inner/two.py").write_text("other")
    hashes.append(fresh_hash())
    (folder / "a/settings.yaml").rename(folder / "a/options.yaml")
    hashes.append(fresh_hash())
    (folder / "a/one.py").rename(folder / "b/three.py")
    hashes.append(fresh_hash())
    (folder / "b/one.py").unlink()
    hashes.append(fresh_hash())
    monkeypatch.setattr(module, "bench_version", lambda: "another")
    hashes.append(fresh_hash())
    assert len(set(hashes)) == len(hashes)


def test_the_same_code_has_the_same_hash(folder: Path) -> None:
    before = fresh_hash()
    (folder / "a" / "__pycache__").mkdir()
    (folder / "a" / "__pycache__" / "one.pyc").write_text("compiled")
    (folder / "a/one.py").write_text((folder / "a/one.py").read_text())
    assert fresh_hash() == before


def test_the_code_that_is_there_is_hashed() -> None:
    packages = {package: importlib.resources.files(package) for package in module.PACKAGES}
    names = {f"{package}/{name}" for package, place in packages.items() for name, _ in module.iter_source(place)}
    assert {"analysis/code_hash.py", "architectures/lstm.py", "workbench/results.py"} <= names
    assert module.code_hash() == fresh_hash()


def test_it_is_as_it_was_at_the_first_call(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module.code_hash.cache_clear()
    try:
        before = module.code_hash()
        (folder / "a/one.py").write_text("other")
        assert module.code_hash() == before
    finally:
        module.code_hash.cache_clear()

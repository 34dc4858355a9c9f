"""The wheel and the source archive of this project, built and installed in a folder of their own."""

import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BUILD = """
import sys
from setuptools import build_meta
print(getattr(build_meta, sys.argv[1])(sys.argv[2]))
"""


def build(kind: str, source: Path, folder: Path) -> Path:
    """Builds a wheel or a source archive in a folder, with the setuptools that are installed."""
    folder.mkdir(exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-c", BUILD, f"build_{kind}", str(folder)], cwd=source, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return folder / done.stdout.splitlines()[-1]


@pytest.fixture(scope="session")
def archives(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The source archive of a copy of the project, and the wheel of what is in that archive."""
    folder = tmp_path_factory.mktemp("archives")
    ignored = shutil.ignore_patterns(".*", "*.egg-info", "__pycache__", "tests", "docs", "build")
    shutil.copytree(ROOT, folder / "project", ignore=ignored)
    sdist = build("sdist", folder / "project", folder / "sdist")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder / "source", filter="data")
    (source,) = (folder / "source").iterdir()
    return sdist, build("wheel", source, folder / "wheel")


@pytest.fixture(scope="session")
def installed(archives: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the wheel is installed in."""
    folder = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(folder)]
    done = subprocess.run([*pip, str(archives[1])], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder

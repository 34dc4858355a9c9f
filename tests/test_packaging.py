"""What is installed: the wheel and the source archive, used far from the project, and what they ask for."""

import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).parent.parent
PACKAGES = ("architectures", "workbench", "sweeps", "analysis")
UNWANTED = ("tests/", "docs/results/", ".git")


@pytest.mark.slow
def test_the_archives_hold_every_file_of_the_packages(archives: tuple[Path, Path]) -> None:
    sdist, wheel = archives
    wanted = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    examples = {path.name for path in (ROOT / "examples").iterdir()}
    with zipfile.ZipFile(wheel) as archive:
        names = {*archive.namelist()}
    assert wanted - names == set()
    assert {f"workbench/examples/{name}" for name in examples} <= names
    assert [name for name in names if name.startswith(UNWANTED)] == []
    with tarfile.open(sdist) as archive:
        inside = {name.partition("/")[2] for name in archive.getnames()}
    assert wanted - inside == set()
    assert {f"examples/{name}" for name in examples} | {"constraints.txt", "LICENSE", "README.md"} <= inside


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_wheel_works_in_another_folder(installed: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(installed), "WORKBENCH_BACKEND": "eager"}

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "workbench", *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    code = f"import {', '.join(PACKAGES)}; print(*({', '.join(f'{name}.__file__' for name in PACKAGES)},), sep='\\n')"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert [Path(line).parents[1] for line in done.stdout.splitlines()] == [installed] * len(PACKAGES), done.stderr
    assert "rda-exp-tanh" in run("list")
    assert "rda-table-1" in run("reproduce", "--list")
    examples = sorted(path.name for path in (ROOT / "examples").iterdir())
    assert run("demo", "--copy", "examples").splitlines() == [f"examples/{name}" for name in examples]
    quick = ["--steps", "2", "--batch-size", "2", "--log-every", "1", "--evaluation-size", "3", "--seeds", "1"]
    quick += ["--hidden-size", "4", "--wandb", "off", "--tasks", "addition"]
    assert run("demo", *quick).split() == ["demo/report.html"]
    assert len(list(tmp_path.glob("demo/runs/*/*/*/seed-0/result.json"))) == 6
    # Templates, published figures and scripts of the page are in the wheel.
    assert "</html>" in (tmp_path / "demo/report.html").read_text(encoding="utf-8")


def test_what_is_installed_is_said_once_and_agrees() -> None:
    """PyTorch's newest tested release is a constraint of our own environments, and not a demand on those of others."""
    metadata = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (torch,) = [item for item in map(Requirement, metadata["dependencies"]) if item.name == "torch"]
    assert [bound.operator for bound in torch.specifier] == [">="]
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    (constraint,) = [Requirement(line) for line in lines if line and not line.startswith("#")]
    assert (constraint.name, [bound.operator for bound in constraint.specifier]) == ("torch", ["<"])
    assert version("torch").partition("+")[0] in constraint.specifier & torch.specifier
    installs = re.findall(r"pip install .*", (ROOT / "Makefile").read_text(encoding="utf-8"))
    assert installs
    assert [line for line in installs if "-c constraints.txt" not in line] == []


def test_the_extra_all_has_every_other_that_users_have() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    (everything,) = map(Requirement, extras["all"])
    assert everything.name == "sequence-workbench"
    # What aeon requires would hold back NumPy and pandas for those who never use it.
    assert everything.extras == {*extras} - {"all", "dev", "series"}


def test_the_versions_of_python_are_those_that_may_be_installed_with() -> None:
    metadata = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = {
        match[1]
        for line in metadata["classifiers"]
        if (match := re.fullmatch(r"Programming Language :: Python :: (3\.\d+)", line))
    }
    allowed = SpecifierSet(metadata["requires-python"])
    assert named == {f"3.{minor}" for minor in range(20) if f"3.{minor}.9" in allowed} == {"3.11", "3.12", "3.13"}

"""A user's module that has the name of one of this project's packages: both are found, each by its own side."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
THEIRS = "def answer():\n    return 42\n"


def run_script(text: str, folder: Path) -> str:
    """Runs a script in a folder that is first on its path, and returns what it printed."""
    (folder / "script.py").write_text(text)
    run = "exec(compile(open('script.py').read(), 'script.py', 'exec'))"
    code = f"import sys; sys.path.insert(1, {str(ROOT)!r}); {run}"
    process = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    return process.stdout


@pytest.mark.parametrize("name", ["analysis", "sweeps", "architectures"])
def test_importing_the_package_needs_nothing_heavy_and_hides_nothing(name, tmp_path):
    (tmp_path / f"{name}.py").write_text(THEIRS)
    script = f"import workbench, {name}, sys\nprint({name}.answer(), 'torch' in sys.modules, 'pandas' in sys.modules)"
    assert run_script(script, tmp_path) == "42 False False\n"


@pytest.mark.parametrize("first", [True, False])
def test_each_side_imports_its_own(first, tmp_path):
    (tmp_path / "analysis.py").write_text(THEIRS)
    # `call` stands for the project's own code, which imports what it needs.
    script = f"""
import sys
if {first}:
    import analysis
from workbench.own_packages import call, own_packages
with own_packages():
    call("analysis", "__dir__")
    ours = sys.modules["analysis"].__file__
import analysis
print(analysis.answer(), ours)
print(sys.modules["analysis"].__file__)
with own_packages():
    assert sys.modules["analysis"].__file__ == ours
assert sys.modules["analysis"] is analysis
"""
    expected = f"42 {ROOT / 'analysis' / '__init__.py'}\n{tmp_path / 'analysis.py'}\n"
    assert run_script(script, tmp_path) == expected


def test_the_commands_work_beside_such_a_file(tmp_path):
    (tmp_path / "analysis.py").write_text("raise RuntimeError('imported')\n")
    process = subprocess.run(
        [sys.executable, "-m", "workbench", "report", "nothing"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 2
    assert process.stderr == "workbench: there is no folder nothing; name the one that was given as --out\n"

"""Environments in which commands run as anywhere else: a notebook's, a container's, a personal style's."""

import os
import subprocess
import sys
from pathlib import Path

import matplotlib
import pytest

TRAINED = [
    *("compare", "--tasks", "addition", "--task.addition.length", "6", "--architectures", "rnn,rda", "--seeds", "1"),
    *("--steps", "2", "--batch-size", "2", "--hidden-size", "3", "--evaluation-size", "4", "--wandb", "off"),
    *("--workers", "1"),
]
BACKENDS = [
    "module://no_such_notebook.backend_inline",
    *(pytest.param(name, marks=pytest.mark.slow) for name in ("no-such-backend", "tkagg")),
]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished comparison, whose report was written in this process."""
    from workbench.cli.main import main

    out = tmp_path_factory.mktemp("trained") / "results"
    assert main([*TRAINED, "--out", str(out)]) == 0
    return out


def run(*arguments: str, code: str = "", **environment: str | None) -> subprocess.CompletedProcess[str]:
    """Runs a command in an interpreter of its own, after some code; variables that are `None` are not set."""
    code = f"{code}\nimport sys\nfrom workbench.cli.main import main\nsys.exit(main(sys.argv[1:]))"
    given = {name: value for name, value in {**os.environ, **environment}.items() if value is not None}
    return subprocess.run([sys.executable, "-c", code, *arguments], env=given, capture_output=True, text=True)


@pytest.mark.slow
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_report_is_drawn_whatever_backend_the_environment_names(backend: str, results: Path) -> None:
    (results / "report.html").unlink(missing_ok=True)
    done = run("report", str(results), MPLBACKEND=backend)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert (results / "report.html").exists()


@pytest.mark.slow
def test_a_personal_style_changes_no_figure(results: Path, tmp_path: Path) -> None:
    """TeX may not be installed, and a backend of a file may not be there either."""
    (tmp_path / "matplotlibrc").write_text("backend: tkagg\ntext.usetex: True\nlines.linewidth: 30\n")
    plain = {path.name: path.read_bytes() for path in (results / "figures").glob("*.svg")}
    done = run("report", str(results), MATPLOTLIBRC=str(tmp_path / "matplotlibrc"))
    assert done.returncode == 0, done.stderr
    assert {path.name: path.read_bytes() for path in (results / "figures").glob("*.svg")} == plain
    assert plain


@pytest.mark.slow
def test_drawing_in_a_notebook_leaves_its_backend_alone(results: Path) -> None:
    """`template` stands for the notebook's: it draws nothing."""
    code = (
        "import os, sys, pathlib, matplotlib\n"
        "from analysis.report.build import write_report\n"
        "write_report(pathlib.Path(sys.argv[1]))\n"
        "assert matplotlib.rcParams['backend'] == 'template', matplotlib.rcParams['backend']\n"
        "from workbench.cli.main import main\n"
        "assert main(['list']) == 0\n"
        "assert os.environ['MPLBACKEND'] == 'template'\n"
        "assert matplotlib.rcParams['backend'] == 'template', matplotlib.rcParams['backend']\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(results)],
        env={**os.environ, "MPLBACKEND": "template"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


NO_NAME = """
import os, pwd

def getpwuid(uid):
    raise KeyError(f"getpwuid(): uid not found: {uid}")

pwd.getpwuid = getpwuid
"""
HOMELESS = dict.fromkeys(["HOME", "USER", "LOGNAME", "LNAME", "USERNAME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"])


@pytest.mark.slow
@pytest.mark.long
def test_a_user_who_is_only_a_number_trains_with_eager_kernels(tmp_path: Path) -> None:
    """As in a container that is started with --user 12345. One line says what is slower, and what would help."""
    variables: dict[str, str | None] = {**HOMELESS, "WORKBENCH_CACHE": None, "WORKBENCH_BACKEND": None}
    # Matplotlib would look at every font of the system, in a folder that it deletes.
    variables["MPLCONFIGDIR"] = matplotlib.get_configdir()
    done = run(*TRAINED, "--wandb", "offline", "--out", str(tmp_path / "out"), code=NO_NAME, **variables)
    assert done.returncode == 0, done.stderr
    slower = [line for line in done.stderr.splitlines() if "run without their compiled kernels" in line]
    assert len(slower) == 1
    assert slower[0].endswith("no home to keep them in; WORKBENCH_CACHE may name a folder")
    assert "Traceback" not in done.stderr
    assert (tmp_path / "out/report.html").exists()

"""Training and reports on this machine without what macOS and Windows lack."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests import foreign_system

TRAIN = [
    *("compare", "--tasks", "addition", "--task.addition.length", "6", "--architectures", "rda,gru", "--seeds", "1"),
    *("--steps", "3", "--batch-size", "2", "--hidden-size", "3", "--evaluation-size", "4", "--wandb", "off"),
    # A second process would import everything once more, for nothing else.
    *("--workers", "1"),
]
CODE = """
import os, signal, sys
import workbench.files
assert not hasattr(workbench.files.os, "sched_getaffinity")

if __name__ == "__main__":
    from workbench.cli.main import main
    *train, out = sys.argv[1:]
    assert main([*train, "--out", out]) == 0
    # Finished runs are read, with their lock files there.
    assert main([*train, "--out", out]) == 0
    assert main(["rm", out, "--all", "--dry-run"]) == 0
    assert main(["export", out, "--to", out + ".tar.gz"]) == 0
"""
APPLE_CLANG = """#!/bin/sh
for argument; do
    if [ "$argument" = --version ]; then echo "Apple clang version 17.0.0"; exit 0; fi
    if [ "$argument" = -fopenmp ]; then echo "clang: error: unsupported option '-fopenmp'" >&2; exit 1; fi
done
while [ "$1" != -o ]; do shift; done
echo "a library for another system" > "$2"
"""


@pytest.mark.slow
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("system", ["macos", "windows"])
def test_what_a_system_lacks_is_not_needed(system: str, tmp_path: Path) -> None:
    start = tmp_path / "start"
    start.mkdir()
    foreign_system.write_start(start, system)
    compiler = tmp_path / "c++"
    if system == "macos":
        compiler.write_text(APPLE_CLANG)
        compiler.chmod(compiler.stat().st_mode | stat.S_IXUSR)
    (tmp_path / "script.py").write_text(CODE)
    path = [str(start), str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path), "CXX": str(compiler)}
    environment |= {"WORKBENCH_CACHE": str(tmp_path / "cache"), "WORKBENCH_BACKEND": "auto"}
    command = [sys.executable, str(tmp_path / "script.py"), *TRAIN, str(tmp_path / "out")]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert len(list(tmp_path.glob("out/runs/*/*/*/seed-0/result.json"))) == 2
    assert not list(tmp_path.glob("out/**/.*.tmp"))
    assert (tmp_path / "out/report.html").exists()
    # The kernels cannot be built, or loaded, there: the eager ones run, after one line.
    assert done.stderr.count("run without their compiled kernels, more slowly") == 1
    if system == "macos":
        # What was built is what a compiler without OpenMP builds.
        assert len(list((tmp_path / "cache").glob("*.so"))) == 1

"""Tests of `make test-gpu` without a GPU and without optional packages."""

import json
import os
import subprocess
import sys

import pytest
import torch

from tests.gpu import suite
from tests.gpu.missing_packages import MISSING

TESTS = """
import os, time, pytest
def test_good(record_property): record_property("error", float("inf"))
def test_bad(): assert 1 == 2
def test_dies(): os._exit(3)
def test_hangs(): time.sleep(600)
def test_after(): pass
@pytest.mark.skip("not here")
def test_skipped(): pass
"""
RUN_PLAN = """
import sys
from pathlib import Path
from tests.gpu.run import Plan, run_plan
from tests.gpu.measurement import Configuration
tiny = Configuration(batch_size=2, hidden_size=4, length=6, naive_length=2, backends=("eager",))
files = [Path(name) for name in sys.argv[2:]]
path = Path(sys.argv[1])
testing = {"workers": 1, "options": ("--rootdir", str(path.parent)), "timeout": 3}
parts = {"files": files, "testing": testing, "configurations": [tiny]}
sys.exit(run_plan(Plan(device="cpu", path=path, seconds=200, repeats=1, **parts)))
"""


@pytest.fixture
def run_python(tmp_path):
    """Returns a function that runs Python without the missing packages, in that process and all that it starts."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(
        "from tests.gpu.missing_packages import block_imports\nblock_imports()\n"
    )
    search_path = os.pathsep.join([str(tmp_path / "site"), str(suite.ROOT)])
    environment = {**os.environ, "PYTHONPATH": search_path, "WORKBENCH_BACKEND": "eager", "PYTEST_ADDOPTS": ""}

    def run(*arguments):
        command = [sys.executable, *map(str, arguments)]
        return subprocess.run(command, cwd=suite.ROOT, env=environment, capture_output=True, text=True)

    return run


def test_the_packages_cannot_be_imported(run_python):
    code = "import importlib.util, sys; print([n for n in sys.argv[1:] if importlib.util.find_spec(n)])"
    assert "No module named 'jsonargparse'" in run_python("-c", code, *MISSING).stderr


@pytest.mark.slow
def test_every_test_for_a_gpu_can_be_collected_without_them(run_python, tmp_path):
    record = tmp_path / "tests.jsonl"
    options = ["-p", "no:cacheprovider", "-p", "tests.gpu.pytest_plugin", "--on-gpu", "--record", record, "-n", "0"]
    completed = run_python("-m", "pytest", "--collect-only", "-q", *options, *suite.gpu_test_files())
    assert completed.returncode == 0, completed.stdout + completed.stderr
    (line,) = suite.read_json_lines(record)
    names = {name.partition("::")[0] for name in line["collected"]}
    assert {"tests/gpu/test_recurrences.py", "tests/gpu/test_training.py", "tests/gpu/test_long.py"} <= names
    assert all("cuda" in name for name in line["collected"] if name.startswith("tests/gpu/"))


@pytest.mark.slow
def test_every_outcome_is_recorded(run_python, tmp_path):
    """A test that fails, one that ends its process and one that hangs do not stop the others or the benchmark."""
    tests, path = tmp_path / "test_all.py", tmp_path / "report.json"
    tests.write_text(TESTS)
    completed = run_python("-c", RUN_PLAN, path, tests)
    assert completed.returncode == 1, completed.stderr
    report = json.loads(path.read_text())
    test_report = report["tests"]
    failed = {failure["test"].partition("::")[2] for failure in test_report["failures"]}
    assert failed == {"test_bad", "test_dies", "test_hangs"}
    assert sum(test_report["counts"].values()) == 6
    assert test_report["counts"]["passed"] == 2
    assert [failure["message"] for failure in test_report["skipped"]] == ["Skipped: not here"]
    assert [*test_report["measured"].values()] == [{"error": "inf"}]
    assert test_report["not_reached"] == []
    rows = report["benchmark"]["rows"]
    assert [row["backend"] for row in rows] == [None, "eager", "naive", "eager", "naive"]
    assert not any("error" in row for row in rows)
    assert {"device", "driver", "torch", "cuda", "cudnn", "triton", "python"} <= set(report["machine"])
    assert "assert 1 == 2" in completed.stdout
    assert completed.stdout.rstrip().endswith(str(path))


@pytest.mark.slow
def test_results_before_the_time_limit_are_kept(tmp_path):
    tests = tmp_path / "test_slow.py"
    tests.write_text("import time\ndef test_one(): pass\ndef test_two(): time.sleep(600)\ndef test_three(): pass\n")
    report = suite.run([tests], tmp_path, 12, workers=0, options=("-p", "no:randomly"))
    assert report["ended"] is None
    assert report["counts"] == {"passed": 1}
    assert [name.partition("::")[2] for name in report["not_reached"]] == ["test_two", "test_three"]


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_the_error_is_one_line(run_python):
    completed = run_python("-m", "tests.gpu.run")
    assert (completed.returncode, completed.stdout) == (2, "")
    assert completed.stderr == "make test-gpu: PyTorch finds no CUDA device here\n"

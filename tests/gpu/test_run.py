"""`make test-gpu` as it goes where there is no GPU, and nothing that is not needed."""

import json
import os
import subprocess
import sys

import pytest
import torch

from tests.gpu import suite
from tests.gpu.absent import ABSENT

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
EVERYTHING = """
import sys
from pathlib import Path
from tests.gpu.run import Plan, everything
from tests.gpu.measured import Configuration
tiny = Configuration(batch_size=2, hidden_size=4, length=6, naive_length=2, backends=("eager",))
files = [Path(name) for name in sys.argv[2:]]
path = Path(sys.argv[1])
testing = {"workers": 1, "options": ("--rootdir", str(path.parent)), "each": 3}
parts = {"files": files, "testing": testing, "configurations": [tiny]}
sys.exit(everything(Plan(device="cpu", path=path, seconds=200, repeats=1, **parts)))
"""


@pytest.fixture
def bare(tmp_path):
    """Runs Python where the absent packages are not found, in this process and in all that it starts."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text("from tests.gpu.absent import hide\nhide()\n")
    places = os.pathsep.join([str(tmp_path / "site"), str(suite.ROOT)])
    environment = {**os.environ, "PYTHONPATH": places, "WORKBENCH_BACKEND": "eager", "PYTEST_ADDOPTS": ""}

    def run(*arguments):
        command = [sys.executable, *map(str, arguments)]
        return subprocess.run(command, cwd=suite.ROOT, env=environment, capture_output=True, text=True)

    return run


def test_the_packages_are_really_hidden(bare):
    code = "import importlib.util, sys; print([n for n in sys.argv[1:] if importlib.util.find_spec(n)])"
    assert "No module named 'jsonargparse'" in bare("-c", code, *ABSENT).stderr


def test_every_test_for_a_gpu_can_be_collected_without_them(bare, tmp_path):
    record = tmp_path / "tests.jsonl"
    options = ["-p", "no:cacheprovider", "-p", "tests.gpu.selection", "--on-gpu", "--record", record, "-n", "0"]
    done = bare("-m", "pytest", "--collect-only", "-q", *options, *suite.files())
    assert done.returncode == 0, done.stdout + done.stderr
    (line,) = suite.lines(record)
    names = {name.partition("::")[0] for name in line["collected"]}
    assert {"tests/gpu/test_recurrences.py", "tests/gpu/test_training.py", "tests/gpu/test_long.py"} <= names
    assert all("cuda" in name for name in line["collected"] if name.startswith("tests/gpu/"))


@pytest.mark.slow
def test_whatever_happens_is_written_down(bare, tmp_path):
    """A test that fails, one that takes its process along and one that hangs leave the others and the benchmark."""
    tests, path = tmp_path / "test_all.py", tmp_path / "found.json"
    tests.write_text(TESTS)
    done = bare("-c", EVERYTHING, path, tests)
    assert done.returncode == 1, done.stderr
    found = json.loads(path.read_text())
    told = found["tests"]
    failed = {each["test"].partition("::")[2] for each in told["failures"]}
    assert failed == {"test_bad", "test_dies", "test_hangs"}
    assert sum(told["counts"].values()) == 6
    assert told["counts"]["passed"] == 2
    assert [each["message"] for each in told["skipped"]] == ["Skipped: not here"]
    assert [*told["measured"].values()] == [{"error": "inf"}]
    assert told["not_reached"] == []
    rows = found["benchmark"]["rows"]
    assert [row["backend"] for row in rows] == [None, "eager", "naive", "eager", "naive"]
    assert not any("error" in row for row in rows)
    assert {"device", "driver", "torch", "cuda", "cudnn", "triton", "python"} <= set(found["machine"])
    assert "assert 1 == 2" in done.stdout
    assert done.stdout.rstrip().endswith(str(path))


@pytest.mark.slow
def test_time_that_is_over_leaves_what_is_known(tmp_path):
    tests = tmp_path / "test_slow.py"
    tests.write_text("import time\ndef test_one(): pass\ndef test_two(): time.sleep(600)\ndef test_three(): pass\n")
    found = suite.run([tests], tmp_path, 12, workers=0, options=())
    assert found["ended"] is None
    assert found["counts"] == {"passed": 1}
    assert [name.partition("::")[2] for name in found["not_reached"]] == ["test_two", "test_three"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so_in_a_line(bare):
    done = bare("-m", "tests.gpu.run")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "make test-gpu: PyTorch finds no CUDA device here\n"

"""Fixtures for all tests: data sets without downloads, and Triton's interpreter if there is no GPU."""

import gc
import os
import signal

import hypothesis
import pytest
import torch

from tests import fork_server, idx_files, text_files, ts_files
from tests.other_device import other_device  # noqa: F401
from tests.wheel import archives, installed  # noqa: F401
from workbench import process_pool

# Collecting makes much and drops little: looking for cycles meanwhile takes a quarter of its time.
gc.disable()

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    # A script's command in the background ignores Ctrl-C, and so would every process that a test interrupts.
    signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes says nothing on a busy machine.
hypothesis.settings.register_profile("bench", deadline=None)
hypothesis.settings.load_profile("bench")

if "PYTEST_XDIST_WORKER" in os.environ:
    # There are as many workers as cores: with more threads, these and the processes they start wait for each other.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    torch.set_num_threads(1)

if not torch.cuda.is_available():
    # Triton reads it when it is imported, which PyTorch may do at any time.
    os.environ["TRITON_INTERPRET"] = "1"


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    """Puts the longest tests first, in whatever order all others are."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


@pytest.hookimpl(trylast=True)
def pytest_collection_finish():
    """Leaves what was imported and collected out of every later search for cycles."""
    gc.freeze()
    gc.enable()


def pytest_unconfigure():
    """Lets the interpreter find everything at its end, and libraries see that nothing of theirs is left."""
    gc.unfreeze()


@pytest.fixture(autouse=True, scope="session")
def _no_sync():
    """Files are not waited for until they are on the disk: no test cuts the power."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@pytest.fixture(autouse=True, scope="session")
def data_folder(tmp_path_factory):
    """A folder of data with MNIST's files, a text, and sets of series, all of noise, in place of the user's."""
    folder = tmp_path_factory.mktemp("data")
    idx_files.write(folder / "mnist")
    text_files.write(folder / "text" / "enwik8")
    ts_files.write(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_DATA", str(folder))
        yield folder


@pytest.fixture(autouse=True, scope="session")
def _forked_pools(data_folder):
    """Processes of pools are forked from a server, which saves each of them the imports."""
    with fork_server.forked_pools():
        yield


@pytest.fixture
def short_measurements(monkeypatch):
    """Short measurements of a profile, without the large vectors and matrices of the peak."""
    from analysis.profile import machine, timing

    monkeypatch.setattr(timing, "MIN_SECONDS", 1e-5)
    monkeypatch.setitem(machine.MATRIX_SIZE, "cpu", 32)
    monkeypatch.setitem(machine.MEMORY_VECTOR_SIZE, "cpu", 64)
    monkeypatch.setattr(machine, "CACHE_VECTOR_SIZE", 64)


@pytest.fixture
def no_memory_peaks(monkeypatch):
    """Profiles as on a system that does not report memory, which need no process that imports PyTorch for it."""
    from analysis.profile import memory

    monkeypatch.setattr(memory, "peak_on_cpu", lambda cases, threads: [None] * len(cases))


@pytest.fixture
def spawned_pools(monkeypatch):
    """Processes of pools are spawned, as they are outside of tests."""
    monkeypatch.setattr(process_pool, "start_process", fork_server.SPAWN_PROCESS)

"""Peak memory of a training step."""

import ctypes
import gc
import json
import os
import subprocess
import sys
import warnings
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import torch

from analysis.profile.cases import BenchmarkCase
from analysis.profile.timing import Workload

CPU_DEFINITION = (
    "peak growth of the resident memory of a separate process during a forward and backward pass; "
    "weights and inputs were there before"
)
"""Definition of the peak on a CPU, for the report."""
CUDA_DEFINITION = (
    "peak of the memory that PyTorch's allocator hands out during a forward and backward pass, above what it had "
    "handed out before; weights and inputs were there before"
)
"""Definition of the peak on a GPU, for the report."""
STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def peak_on_cpu(cases: Sequence[BenchmarkCase], threads: int) -> list[int | None]:
    """Measures each case on the CPU in a process of its own.

    The processes are forked from one that has imported everything and computed nothing.

    Args:
        cases: the cases.
        threads: CPU threads.

    Returns:
        Bytes for each case; `None` if the system does not report them, or the process failed.
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)}
    # NumPy would start threads on import, and they do not survive a fork.
    environment["OPENBLAS_NUM_THREADS"] = "1"
    code = "from workbench.own_packages import call; call('analysis.profile.memory', 'measure_requested_cases')"
    request = json.dumps({"threads": threads, "cases": [asdict(case) for case in cases]})
    process = subprocess.run(
        [sys.executable, "-c", code], input=request, capture_output=True, text=True, env=environment
    )
    answers = process.stdout.splitlines()
    return [json.loads(answers[index]) if index < len(answers) else None for index in range(len(cases))]


def measure_requested_cases() -> None:
    """Reads cases from stdin and prints a line of JSON for each; the main function of the separate process."""
    # PyTorch would import this in every child at its first backward pass.
    import torch.fx.experimental.symbolic_shapes

    request = json.loads(sys.stdin.read())
    for values in request["cases"]:
        reading, writing = os.pipe()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if child == 0:
            with suppress(BaseException):
                torch.set_num_threads(request["threads"])
                os.write(writing, json.dumps(peak_growth(BenchmarkCase(**values))).encode())
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as answer:
            print(answer.read() or "null", flush=True)
        os.waitpid(child, 0)


def peak_growth(case: BenchmarkCase) -> int | None:
    """Returns the bytes by which this process grows at the peak of a forward and backward pass.

    Returns:
        The bytes; `None` if the system does not report them.
    """
    _, workload = case.workloads(case.build())
    # The first run loads and sets up what is needed only once.
    workload.prepare()
    workload.run()
    workload.prepare()
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
        RESET.write_text("5")
        before = read_status("VmRSS")
        workload.run()
        return read_status("VmHWM") - before
    except (OSError, AttributeError, LookupError):
        return None


def read_status(key: str) -> int:
    """Returns a number of bytes from the system's status of this process.

    Raises:
        LookupError: if the status does not have the key.
    """
    for line in STATUS.read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        if name == key:
            return 1024 * int(value.split()[0])
    raise LookupError(key)


def peak_on_cuda(workload: Workload) -> int:
    """Returns the bytes that a run of the workload needs on the GPU at its peak."""
    workload.prepare()
    workload.run()
    workload.prepare()
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    workload.run()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() - before

"""The memory that a training step needs at its height."""

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

ON_CPU = (
    "growth of the resident memory of a process of its own from before a forward and backward pass to its height; "
    "weights and inputs were there before"
)
ON_CUDA = (
    "height of what PyTorch's allocator has handed out during a forward and backward pass, above what it had before; "
    "weights and inputs were there before"
)
STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def resident(subjects: Sequence[BenchmarkCase], threads: int) -> list[int | None]:
    """Bytes for each of the subjects, on the CPU; `None` where the system does not tell, or it failed.

    Each is measured in a process of its own, forked from one that has imported all it needs and computed nothing.
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)}
    # NumPy would start threads as it is imported, and they are lost in a fork.
    environment["OPENBLAS_NUM_THREADS"] = "1"
    code = "from analysis.profile.memory import serve; serve()"
    order = json.dumps({"threads": threads, "subjects": [asdict(subject) for subject in subjects]})
    done = subprocess.run([sys.executable, "-c", code], input=order, capture_output=True, text=True, env=environment)
    answers = done.stdout.splitlines()
    return [json.loads(answers[index]) if index < len(answers) else None for index in range(len(subjects))]


def serve() -> None:
    """Reads what to measure, and prints an answer a line. The main function of a process."""
    # What PyTorch would import in every child, as it first goes backward.
    import torch.fx.experimental.symbolic_shapes

    order = json.loads(sys.stdin.read())
    for plain in order["subjects"]:
        reading, writing = os.pipe()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if child == 0:
            with suppress(BaseException):
                torch.set_num_threads(order["threads"])
                os.write(writing, json.dumps(grown(BenchmarkCase(**plain))).encode())
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as answer:
            print(answer.read() or "null", flush=True)
        os.waitpid(child, 0)


def grown(subject: BenchmarkCase) -> int | None:
    """Bytes that this process grows by at the height of a forward and backward pass; `None` where it cannot tell."""
    _, job = subject.jobs(subject.build())
    # What is loaded and set up once is no part of it.
    job.prepare()
    job.run()
    job.prepare()
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
        RESET.write_text("5")
        before = status("VmRSS")
        job.run()
        return status("VmHWM") - before
    except (OSError, AttributeError, LookupError):
        return None


def status(key: str) -> int:
    """Bytes that the system has noted for this process."""
    for line in STATUS.read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        if name == key:
            return 1024 * int(value.split()[0])
    raise LookupError(key)


def on_cuda(job: Workload) -> int:
    """Bytes on the GPU."""
    job.prepare()
    job.run()
    job.prepare()
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    job.run()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() - before

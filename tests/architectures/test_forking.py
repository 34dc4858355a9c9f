"""A forked process does not wait for threads that it does not have."""

import os
import signal
import time
import warnings
from pathlib import Path

import pytest
import torch
from torch import Tensor

import architectures
from architectures import forking
from tests.forked_command import forked_command

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
SECONDS = 60
"""Seconds after which a child counts as one that waits forever; it takes one on an idle machine."""


def step(name: str) -> Tensor:
    """Returns what an encoder computes, forward and backward, in tensors large enough for two threads."""
    torch.manual_seed(0)
    encoder = architectures.build(name, input_size=8, hidden_size=16, **({"reach": 30} if name == "tcn" else {}))
    x = torch.randn(64, 30, 8, requires_grad=True)
    y, _ = encoder(x)
    (gradient,) = torch.autograd.grad(y.square().sum(), x)
    return torch.cat([y.detach().flatten(), gradient.flatten()])


def compute_in_a_forked_child(name: str, threads: int) -> int:
    """Computes a step, and again in a child; prints what became of it. Runs in a process of its own."""
    torch.set_num_threads(threads)
    expected = step(name)
    warnings.simplefilter("ignore", DeprecationWarning)
    child = os.fork()
    if child == 0:
        # The child's own code may ask for threads: they are lost all the same.
        torch.set_num_threads(threads)
        close = torch.allclose(step(name), expected, rtol=1e-4, atol=1e-4)
        print("the same" if close else "other numbers", torch.get_num_threads(), flush=True)
        os._exit(0)
    end = time.monotonic() + SECONDS
    while os.waitpid(child, os.WNOHANG) == (0, 0):
        if time.monotonic() > end:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            print("it hangs", flush=True)
            break
        time.sleep(0.01)
    return 0


# One whose kernel is ours, one of PyTorch's, and one of convolutions.
@pytest.mark.parametrize("name", ["gru", "lstm", "tcn"])
def test_a_child_forked_after_two_threads_were_used_computes_with_one_and_says_so(name: str, tmp_path: Path) -> None:
    with forked_command(compute_in_a_forked_child, name, 2, folder=tmp_path) as process:
        assert process.wait() == 0, process.errors
        assert process.output.split("\n") == ["the same 1", ""]
        assert process.errors.strip() == forking.ONE_THREAD


def test_a_child_of_a_process_with_one_thread_is_left_alone(tmp_path: Path) -> None:
    with forked_command(compute_in_a_forked_child, "gru", 1, folder=tmp_path) as process:
        assert process.wait() == 0, process.errors
        assert (process.output, process.errors) == ("the same 1\n", "")

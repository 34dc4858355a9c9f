"""PyTorch's threads in a forked process: they are not there, and whoever waits for them waits forever.

A fork copies the thread that calls it and no other. A process that computed with several threads leaves its child the
memory in which they are said to exist, and the child's first parallel operation, of PyTorch or of a kernel, never
returns. Such a child computes with one thread.
"""

import logging
import os

import torch

ONE_THREAD = (
    "this process was forked from one that had computed with several threads, which do not exist here, so it computes "
    'with one; a spawned process, of multiprocessing.get_context("spawn"), may have more'
)

has_used_threads = False
"""True if an encoder of this process, or of the one that it was forked from, was called with several threads."""
threads_are_lost = False
"""True in a child that was forked after that."""
_was_told = False


def check_threads() -> None:
    """Takes note of a call with several threads; in a forked child that has lost them, computes with one.

    Says so once, in a line. To be called before anything is computed: every call of an encoder does.
    """
    global has_used_threads, _was_told
    if threads_are_lost:
        if torch.get_num_threads() > 1:
            torch.set_num_threads(1)
        if not _was_told:
            _was_told = True
            logging.getLogger("architectures").warning(ONE_THREAD)
    elif not has_used_threads:
        has_used_threads = torch.get_num_threads() > 1


def _start_child() -> None:
    global threads_are_lost
    if has_used_threads:
        threads_are_lost = True
        # At once: what is computed before an encoder is called would wait as well.
        torch.set_num_threads(1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_child)

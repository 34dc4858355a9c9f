"""A command that does not outlive the process that started it: it is stopped, and saves, when its standard input ends.

A process cannot say that it is killed, but what it holds open is closed then. `python -m
workbench.launchers.attached_command workbench compare ...` runs `python -m workbench compare ...` so.
"""

import os
import runpy
import signal
import sys
import threading


def watch(descriptor: int) -> None:
    """Sends this process SIGTERM when a pipe is closed at its other end."""
    while os.read(descriptor, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def main() -> None:
    """Runs the module that the first argument names with the other arguments."""
    # A copy that the processes of the command do not inherit; what they read is empty.
    pipe = os.dup(0)
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.close(empty)
    threading.Thread(target=watch, args=(pipe,), name="attached", daemon=True).start()
    module, *sys.argv[1:] = sys.argv[1:]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()

"""A worker in a process of a Ray cluster, as whoever started it can talk to it. Knows nothing of Ray."""

import os
import platform
import queue
import sys
from collections.abc import Mapping, Sequence

from sweeps.endings import SpentError
from sweeps.worker import Listener, Order, Worker
from workbench.errors import UserError
from workbench.files import one_line
from workbench.memory import keep_memory

LISTEN_SECONDS = 2.0
"""For which whoever asks for news waits for some."""
OVER, STOPPED, SPENT = "over", "stopped", "spent"
"""How work ends; all else that it returns is why it was refused."""


class Station:
    """A worker, its news, and a way to stop it; its methods are called in threads of their own.

    Args:
        order: what to do.
        path: where the one who started it finds modules, such as a user's own architectures.
        environment: variables that are set here unless they are already.
    """

    def __init__(self, order: Order, path: Sequence[str], environment: Mapping[str, str]) -> None:
        # Before PyTorch takes its first memory.
        keep_memory()
        sys.path.extend(folder for folder in path if folder not in sys.path)
        for name, value in environment.items():
            os.environ.setdefault(name, value)
        self.order = order
        self._stop = False
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def name(self) -> str:
        """The machine it is on; that there is an answer says that the process has started."""
        return platform.node()

    def work(self) -> str:
        """Works until nothing is left, or until it is stopped.

        Returns:
            OVER, STOPPED, SPENT where another process is to go on, or in a line why something other than a trial is
            wrong.
        """
        listener = Listener(stop=lambda: self._stop, note=self._lines.put)
        try:
            Worker(order=self.order, listener=listener).run()
        except SpentError:
            return SPENT
        except UserError as error:
            return str(error)
        except OSError as error:
            return f"{one_line(error)}; free the way, then run the same command again"
        except Exception as error:
            return f"a worker failed: {type(error).__name__}: {one_line(error)}"
        finally:
            self._lines.put(None)
        return STOPPED if self._stop else OVER

    def news(self) -> list[str]:
        """The lines that a user should know since the last call; waits a while where there are none."""
        found: list[str | None] = []
        try:
            found.append(self._lines.get(timeout=LISTEN_SECONDS))
            while True:
                found.append(self._lines.get_nowait())
        except queue.Empty:
            return [line for line in found if line is not None]

    def stop(self) -> None:
        """Has the worker save its trial and put it down."""
        self._stop = True

"""Output streams that last as long as a command: closed, full or narrow ones never end or hide its work.

Where the output itself is the work, as with a list, the command says at its end that it could not be written.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any


class LastingStream:
    """A text stream that drops what it cannot print.

    Whoever reads our output may end first (`compare | head -1`), the disk behind it may be full, and a terminal may
    not know a character. None of that is a reason to give up hours of training.

    Args:
        stream: the stream to print on; `None` if the process was started without one.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._broken = stream is None
        self.failure: str | None = "the stream is closed" if stream is None else None
        """Why something could not be printed; `None` if all was, or its reader had enough of it."""

    def write(self, text: str) -> int:
        """Prints a text, with escapes for characters that the stream cannot encode; returns its length."""
        if self._broken:
            return len(text)
        try:
            try:
                self._stream.write(text)
            except UnicodeEncodeError:
                encoding = self._stream.encoding or "ascii"
                self._stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
        except (OSError, ValueError) as error:
            self._give_up(error)
        return len(text)

    def flush(self) -> None:
        """Prints what is still buffered."""
        if not self._broken:
            try:
                self._stream.flush()
            except (OSError, ValueError) as error:
                self._give_up(error)

    def isatty(self) -> bool:
        """Returns whether the stream is a terminal."""
        with suppress(OSError, ValueError):
            return not self._broken and bool(self._stream.isatty())
        return False

    def _give_up(self, error: Exception) -> None:
        """Lets the rest of the output go nowhere, also what Python flushes at its end."""
        self._broken = True
        if not isinstance(error, BrokenPipeError):
            self.failure = getattr(error, "strerror", None) or str(error)
        with suppress(OSError, ValueError):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self._stream.fileno())
            os.close(null)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def lasting_streams() -> Iterator[LastingStream]:
    """Makes stdout and stderr last while a command runs; yields stdout."""
    before = sys.stdout, sys.stderr
    output = LastingStream(sys.stdout)
    sys.stdout, sys.stderr = output, LastingStream(sys.stderr)
    try:
        yield output
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        sys.stdout, sys.stderr = before

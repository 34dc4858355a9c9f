"""How far a command is with records: one bar on a terminal, a line now and then elsewhere."""

import sys
from typing import Any, Self


class Bar:
    """Shows how far it is: a bar on a terminal, a line now and then elsewhere.

    Args:
        done: what happens to records.
        total: how many there are, if that is known.
    """

    EVERY = 20

    def __init__(self, done: str, total: int | None = None) -> None:
        self.done, self.total, self.count = done, total, 0
        self.bar: Any = None

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            from tqdm import tqdm

            self.bar = tqdm(total=self.total, unit=" records", desc=self.done, dynamic_ncols=True, leave=False)
        return self

    def __exit__(self, *ended: object) -> None:
        self.close()

    def close(self) -> None:
        """Removes the bar."""
        if self.bar is not None:
            self.bar.close()

    def one(self) -> None:
        """One more."""
        self.show(self.count + 1)

    def show(self, count: int) -> None:
        """So many."""
        if self.bar is not None:
            self.bar.update(count - self.count)
        elif count // self.EVERY > self.count // self.EVERY or count == self.total:
            of = "" if self.total is None else f" of {self.total}"
            print(f"{count}{of} records {self.done}", file=sys.stderr, flush=True)
        self.count = count

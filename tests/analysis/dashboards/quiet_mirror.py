"""A mirror that must have nothing to say."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from analysis.dashboards.mirror.mirror import Mirror
from analysis.dashboards.mirror.state import Destination


@contextmanager
def quiet_mirror(out: Path, destination: Destination, *, checkpoints: bool = False) -> Iterator[Mirror]:
    """Yields an offline mirror; its thread swallows what `log` raises, so its lines are looked at in the end."""
    lines: list[str] = []
    with Mirror(out, "offline", destination, lines.append, checkpoints=checkpoints) as mirror:
        yield mirror
    assert lines == []

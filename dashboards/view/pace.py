"""How long the rest of a comparison takes, where there is something to go by."""

from collections.abc import Sequence
from pathlib import Path
from statistics import mean

from dashboards.view.seen import Seen

LEFT = ("waiting", "running", "interrupted")
"""States of runs that a comparison under way still trains."""


class Pace:
    """What a step takes of each configuration: as observed here while it was trained, or else as its finished runs
    have it in `timing.json`, evaluation apart. Another configuration's pace says nothing about it."""

    def __init__(self) -> None:
        self._first: dict[Path, tuple[int, int]] = {}
        self._observed: dict[str, float] = {}

    def see(self, runs: Sequence[Seen]) -> None:
        """Takes note of the rows that running runs have written since they were first seen running."""
        for seen in runs:
            if seen.folder is None or seen.identity is None:
                continue
            if seen.state != "running" or seen.stamp is None:
                self._first.pop(seen.folder, None)
                continue
            made, at = self._first.setdefault(seen.folder, (seen.made, seen.stamp[0]))
            if seen.made > made and seen.stamp[0] > at:
                self._observed[seen.identity] = (seen.stamp[0] - at) / 1e9 / (seen.made - made)
            elif seen.made < made:
                self._first[seen.folder] = (seen.made, seen.stamp[0])

    def left(self, runs: Sequence[Seen]) -> float | None:
        """Seconds until all is done with as many runs side by side as now.

        Returns:
            `None` where nothing runs, or the pace of a configuration that is left is not known.
        """
        running = sum(seen.state == "running" for seen in runs)
        rest = [seen for seen in runs if seen.state in LEFT and (seen.planned or seen.state == "running")]
        if not running or any(seen.experiment is None or not seen.asked for seen in rest):
            return None
        finished: dict[str, list[float]] = {}
        for seen in runs:
            if seen.state == "finished" and seen.seconds and seen.made and seen.identity is not None:
                finished.setdefault(seen.identity, []).append(seen.seconds / seen.made)
        paces = {name: mean(each) for name, each in finished.items()} | self._observed
        times = []
        for seen in rest:
            assert seen.experiment is not None
            if seen.identity not in paces:
                return None
            steps = max(0, (seen.asked or 0) - seen.made)
            limit = seen.experiment.budget.seconds
            times.append(min(steps * paces[seen.identity], limit or float("inf")))
        return max(sum(times) / running, max(times, default=0.0))


def said(seconds: float) -> str:
    """A time to come, no more exactly than it is known."""
    if seconds < 60:
        return "less than a minute"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"about {minutes} min"
    return f"about {round(seconds / 3600)} h" if seconds < 48 * 3600 else f"about {round(seconds / 86400)} days"

"""The pages, from their templates. Everything in them is escaped but figures, which are elements already."""

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from analysis.dashboards.server import files
from analysis.dashboards.server.progress import FolderWatcher, count_ended, format_time_left
from analysis.dashboards.server.run_status import RunStatus
from analysis.formatting import format_count, format_number, format_percent, printable
from workbench.study_files import Study, Trial

if TYPE_CHECKING:
    from analysis.dashboards.server.live_curves import LiveCurves

STATES = ("running", "waiting", "complete", "pruned", "diverged", "interrupted", "failed")
"""Of trials, as they are counted."""


class Pages:
    """Makes pages.

    Args:
        out: the folder of results, resolved.
        watch: whether they renew themselves.
        trials: whether those of a sweep are shown, once there is one.
    """

    def __init__(self, out: Path, *, watch: bool, trials: bool) -> None:
        self.out, self.watch, self._trials = out, watch, trials
        self.watcher = FolderWatcher(out)
        self._gallery: LiveCurves | None = None
        self._lock = threading.Lock()
        self.environment = Environment(
            loader=FileSystemLoader(Path(__file__).parent / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self.environment.filters |= {"count": format_count, "number": format_number, "printable": printable}
        self.environment.globals |= {
            "name": printable(out.name or str(out)),
            "out": printable(str(out)),
            "watch": watch,
            "value": trial_value,
            "percent": format_percent,
            "best": best_trial,
            "states": STATES,
        }

    def swept(self) -> bool:
        """Whether there is a sweep to show, which may have come since."""
        return self._trials and (self.out / "sweep.yaml").is_file()

    def report(self, *, there: bool) -> str:
        """The report in a frame, or how to make one."""
        return self._made("report.html.j2", page="report", there=there)

    def files(self) -> str:
        """Every file that is shown."""
        return self._made("files.html.j2", page="files", shelves=files.file_sections(self.out))

    def trials(self, trouble: str | None, *, opening: bool) -> str:
        """optuna-dashboard in a frame, or why it cannot be shown."""
        return self._made("trials.html.j2", page="trials", trouble=trouble, opening=opening)

    def progress(self, parts: Mapping[str, str], versions: Mapping[str, str]) -> str:
        """The Progress page, of its parts."""
        made = {part: Markup(text) for part, text in parts.items()}
        return self._made("progress.html.j2", page="progress", parts=made, versions=versions)

    def part(self, name: str) -> str:
        """A part of the Progress page."""
        progress = self.watcher.now()
        if name == "curves":
            return self._made("curves.html.j2", figures=self.gallery.now(progress))
        left = None if progress.left is None else format_time_left(progress.left)
        there = (self.out / files.REPORT).is_file()
        return self._made(
            f"{name}.html.j2", progress=progress, ended=count_ended(progress.runs), left=left, there=there
        )

    @property
    def gallery(self) -> "LiveCurves":
        """Of the curves. What draws is loaded for whoever looks at curves, and not before."""
        with self._lock:
            if self._gallery is None:
                from analysis.dashboards.server.live_curves import LiveCurves

                self._gallery = LiveCurves()
            return self._gallery

    def _made(self, template: str, **values: object) -> str:
        return self.environment.get_template(template).render(sweep=self.swept(), **values)


def trial_value(seen: RunStatus, column: str) -> float | None:
    """A number of a run's newest row."""
    return (seen.metrics or {}).get(column)


def best_trial(study: Study) -> float | None:
    """The lowest validation loss of a study's trials."""
    won: Trial | None = next((trial for trial in study.trials if trial.number == study.winner), None)
    return won.values[0] if won is not None and won.values else None

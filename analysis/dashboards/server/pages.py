"""HTML pages of the server, rendered from templates that escape everything except figures, which are SVG already."""

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from analysis.dashboards.server import files
from analysis.dashboards.server.progress import FolderWatcher, count_ended
from analysis.dashboards.server.run_status import RunStatus
from analysis.formatting import format_count, format_number, format_percent, format_time_left, make_printable
from workbench.study_files import Study, Trial

if TYPE_CHECKING:
    from analysis.dashboards.server.live_curves import LiveCurves

TRIAL_STATES = ("running", "waiting", "complete", "pruned", "diverged", "interrupted", "failed")
"""States by which trials are counted."""


class Pages:
    """Renderer of the pages.

    Args:
        out: the folder of results, resolved.
        watch: whether pages refresh themselves.
        trials: whether the trials of a sweep are shown, once there is one.
    """

    def __init__(self, out: Path, *, watch: bool, trials: bool) -> None:
        self.out, self.watch, self._trials = out, watch, trials
        self.watcher = FolderWatcher(out)
        self._live_curves: LiveCurves | None = None
        self._lock = threading.Lock()
        self.environment = Environment(
            loader=FileSystemLoader(Path(__file__).parent / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self.environment.filters |= {"count": format_count, "number": format_number, "printable": make_printable}
        self.environment.globals |= {
            "name": make_printable(out.name or str(out)),
            "out": make_printable(str(out)),
            "watch": watch,
            "newest_value": newest_value,
            "percent": format_percent,
            "best_loss": best_loss,
            "trial_states": TRIAL_STATES,
        }

    def has_sweep(self) -> bool:
        """Returns whether there is a sweep to show; one may have been started meanwhile."""
        return self._trials and (self.out / "sweep.yaml").is_file()

    def report(self, *, has_report: bool) -> str:
        """Renders the report in a frame, or the command that writes it."""
        return self._render("report.html.j2", page="report", has_report=has_report)

    def files(self) -> str:
        """Renders the list of files."""
        return self._render("files.html.j2", page="files", sections=files.file_sections(self.out))

    def trials(self, problem: str | None, *, opening: bool) -> str:
        """Renders optuna-dashboard in a frame, or the problem that keeps it from being shown."""
        return self._render("trials.html.j2", page="trials", problem=problem, opening=opening)

    def progress(self, parts: Mapping[str, str], versions: Mapping[str, str]) -> str:
        """Renders the Progress page from its rendered parts."""
        markup = {part: Markup(text) for part, text in parts.items()}
        return self._render("progress.html.j2", page="progress", parts=markup, versions=versions)

    def part(self, name: str) -> str:
        """Renders a part of the Progress page."""
        progress = self.watcher.current()
        if name == "curves":
            return self._render("curves.html.j2", figures=self.live_curves.figures(progress))
        time_left = None if progress.seconds_left is None else format_time_left(progress.seconds_left)
        has_report = (self.out / files.REPORT_FILE).is_file()
        ended = count_ended(progress.runs)
        return self._render(
            f"{name}.html.j2", progress=progress, ended=ended, time_left=time_left, has_report=has_report
        )

    @property
    def live_curves(self) -> "LiveCurves":
        """The curves; matplotlib is imported when they are first requested."""
        with self._lock:
            if self._live_curves is None:
                from analysis.dashboards.server.live_curves import LiveCurves

                self._live_curves = LiveCurves()
            return self._live_curves

    def _render(self, template: str, **values: object) -> str:
        return self.environment.get_template(template).render(has_sweep=self.has_sweep(), **values)


def newest_value(status: RunStatus, column: str) -> float | None:
    """Returns a value of a run's newest row of metrics."""
    return (status.metrics or {}).get(column)


def best_loss(study: Study) -> float | None:
    """Returns the winner's score on the validation set, by the study's first objective."""
    winner: Trial | None = next((trial for trial in study.trials if trial.number == study.winner), None)
    return winner.values[0] if winner is not None and winner.values else None

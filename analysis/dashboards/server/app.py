"""WSGI application of `workbench view`: the pages and files of a folder of results by URL path."""

import sys
from collections.abc import Callable, Iterable
from http import HTTPStatus
from pathlib import Path
from typing import Any

from analysis.dashboards.server import files
from analysis.dashboards.server.optuna_app import AppFactory, OptunaApp, is_optuna_path
from analysis.dashboards.server.pages import Pages
from analysis.dashboards.server.wsgi import HTML, PAGE_POLICY, Response, conditional_response, etag, text_response
from workbench.files import describe_error

READ_ONLY_MESSAGE = "this server is read-only; use `workbench sweep dashboard` to change trials"
ASSETS = {"/assets/view.css": "text/css; charset=utf-8", "/assets/view.js": "text/javascript; charset=utf-8"}
TEMPLATES = Path(__file__).parent / "templates"
PROGRESS_PARTS = ("summary", "curves", "runs")
"""Parts of the Progress page, each of which is refreshed separately."""
MANY_RUNS = 500
"""Runs whose curves are drawn at once; a figure of 250 takes half a second."""


class ResultsApp:
    """WSGI application that shows a folder of results.

    Args:
        out: the folder of results.
        watch: whether pages refresh themselves.
        trials: opens optuna-dashboard for the sweep in the folder, once there is one; `None` hides the trials.
    """

    def __init__(self, out: Path, *, watch: bool, trials: AppFactory | None = None) -> None:
        self.out = out.resolve()
        self.watch = watch
        self.trials = None if trials is None else OptunaApp(trials)
        self.pages = Pages(self.out, watch=watch, trials=trials is not None)

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        """Answers a request."""
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            refusal = text_response(HTTPStatus.METHOD_NOT_ALLOWED, READ_ONLY_MESSAGE, Allow="GET, HEAD")
            return refusal.send(environ, start)
        try:
            path = environ.get("PATH_INFO", "").encode("latin-1").decode()
            if self.trials is not None and self.pages.has_sweep() and is_optuna_path(path):
                return self.trials.respond(environ, start)
            response = self.respond(path, environ)
        except UnicodeError:
            response = None
        except Exception as error:
            # A page that cannot be rendered must not end the server, and must not go unnoticed.
            message = f"{type(error).__name__}: {describe_error(error)}"
            print(f"workbench: {environ.get('PATH_INFO')!r} cannot be shown: {message}", file=sys.stderr)
            response = text_response(HTTPStatus.INTERNAL_SERVER_ERROR, f"this page cannot be shown: {message}")
        return (response or text_response(HTTPStatus.NOT_FOUND, "there is no such page")).send(environ, start)

    def respond(self, path: str, environ: dict[str, Any]) -> Response | None:
        """Returns the response for a path; `None` if there is no such page."""
        match path:
            case "/":
                name = "progress" if self.watch or not self.has_report else "report"
                return self.page(name, environ)
            case "/report" | "/progress" | "/files":
                return self.page(path[1:], environ)
            case "/trials" if self.trials is not None and self.pages.has_sweep():
                return html_response(self.pages.trials(self.trials.problem(), opening=self.trials.is_opening))
            case "/report.html":
                return files.open_file(self.out, files.REPORT_FILE)
            case _ if path in ASSETS:
                return Response(body=(TEMPLATES / Path(path).name).read_bytes(), kind=ASSETS[path])
            case _ if path.startswith("/files/"):
                return files.open_file(self.out, path.removeprefix("/files/"))
            case _ if path.startswith("/progress/") and path.removeprefix("/progress/") in PROGRESS_PARTS:
                return conditional_response(self.pages.part(path.removeprefix("/progress/")), environ)
        return None

    @property
    def has_report(self) -> bool:
        """True if there is a report."""
        return (self.out / files.REPORT_FILE).is_file()

    def page(self, name: str, environ: dict[str, Any]) -> Response:
        """Returns the Report, Progress or Files page."""
        if name == "report":
            return html_response(self.pages.report(has_report=self.has_report))
        if name == "files":
            return html_response(self.pages.files())
        # Where pages refresh themselves, a script loads the curves after the page, and a browser without scripts asks
        # for the whole page, and waits. Where they do not, those of many runs are drawn once somebody asks.
        at_once = not self.watch and len(self.pages.watcher.current().runs) <= MANY_RUNS
        with_curves = at_once or environ.get("QUERY_STRING") == "whole"
        parts = {part: "" if part == "curves" and not with_curves else self.pages.part(part) for part in PROGRESS_PARTS}
        return html_response(self.pages.progress(parts, {part: etag(text) for part, text in parts.items()}))


def html_response(text: str) -> Response:
    """Returns a page as a response."""
    return Response(body=text.encode("utf-8", "replace"), kind=HTML, policy=PAGE_POLICY)

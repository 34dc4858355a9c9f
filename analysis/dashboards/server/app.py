"""The pages of a folder of results, and what each address is answered with."""

import sys
from collections.abc import Callable, Iterable
from http import HTTPStatus
from pathlib import Path
from typing import Any

from analysis.dashboards.server import files
from analysis.dashboards.server.optuna_app import Opening, OptunaApp, is_optuna_path
from analysis.dashboards.server.pages import Pages
from analysis.dashboards.server.wsgi import HTML, PAGE, Response, not_modified, status_line, version
from workbench.files import one_line

READ_ONLY_MESSAGE = "this server only shows; `workbench sweep dashboard` is for changing trials"
ASSETS = {"/assets/view.css": "text/css; charset=utf-8", "/assets/view.js": "text/javascript; charset=utf-8"}
TEMPLATES = Path(__file__).parent / "templates"
PARTS = ("summary", "curves", "runs")
"""Of the Progress page, each of which is renewed by itself."""


class View:
    """A WSGI application.

    Args:
        out: the folder of results.
        watch: whether pages renew themselves.
        trials: of the sweep in the folder, once there is one; `None` if they are not to be shown.
    """

    def __init__(self, out: Path, *, watch: bool, trials: Opening | None = None) -> None:
        self.out = out.resolve()
        self.watch = watch
        self.trials = None if trials is None else OptunaApp(trials)
        self.pages = Pages(self.out, watch=watch, trials=trials is not None)

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        """Answers a request."""
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return status_line(HTTPStatus.METHOD_NOT_ALLOWED, READ_ONLY_MESSAGE, Allow="GET, HEAD").send(environ, start)
        try:
            path = environ.get("PATH_INFO", "").encode("latin-1").decode()
            if self.trials is not None and self.pages.swept() and is_optuna_path(path):
                return self.trials.answer(environ, start)
            answer = self.answer(path, environ)
        except UnicodeError:
            answer = None
        except Exception as error:
            # One page that cannot be made must neither end the server nor be passed over in silence.
            said = f"{type(error).__name__}: {one_line(error)}"
            print(f"workbench: {environ.get('PATH_INFO')!r} cannot be shown: {said}", file=sys.stderr)
            answer = status_line(HTTPStatus.INTERNAL_SERVER_ERROR, f"this page cannot be shown: {said}")
        return (answer or status_line(HTTPStatus.NOT_FOUND, "there is no such page")).send(environ, start)

    def answer(self, path: str, environ: dict[str, Any]) -> Response | None:
        """What is answered to a path; `None` where there is nothing."""
        match path:
            case "/":
                first = "progress" if self.watch or not self.reported else "report"
                return self.page(first, environ)
            case "/report" | "/progress" | "/files":
                return self.page(path[1:], environ)
            case "/trials" if self.trials is not None and self.pages.swept():
                return page(self.pages.trials(self.trials.trouble(), opening=self.trials.opening))
            case "/report.html":
                return files.open_inside(self.out, files.REPORT)
            case _ if path in ASSETS:
                return Response(body=(TEMPLATES / Path(path).name).read_bytes(), kind=ASSETS[path])
            case _ if path.startswith("/files/"):
                return files.open_inside(self.out, path.removeprefix("/files/"))
            case _ if path.startswith("/progress/") and path.removeprefix("/progress/") in PARTS:
                return not_modified(self.pages.part(path.removeprefix("/progress/")), environ)
        return None

    @property
    def reported(self) -> bool:
        """Whether there is a report."""
        return (self.out / files.REPORT).is_file()

    def page(self, name: str, environ: dict[str, Any]) -> Response:
        """One of the pages."""
        if name == "report":
            return page(self.pages.report(there=self.reported))
        if name == "files":
            return page(self.pages.files())
        # A script draws the curves once the page is there; who has none waits for them.
        waits = not self.watch or environ.get("QUERY_STRING") == "whole"
        parts = {part: "" if part == "curves" and not waits else self.pages.part(part) for part in PARTS}
        return page(self.pages.progress(parts, {part: version(text) for part, text in parts.items()}))


def page(text: str) -> Response:
    """A page of ours."""
    return Response(body=text.encode("utf-8", "replace"), kind=HTML, policy=PAGE)

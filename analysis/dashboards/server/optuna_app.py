"""A sweep's trials in optuna-dashboard, beside our pages and for looking alone."""

import threading
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

from analysis.dashboards.server.wsgi import App, status_line
from workbench.errors import UserError
from workbench.files import one_line

PATHS = ("/dashboard", "/api", "/static", "/csv", "/artifacts", "/favicon.ico", "/incompatible-rdb-schema")
"""What optuna-dashboard answers, all of it absolute."""
POLICY = "Content-Security-Policy"
STORAGE_TIMEOUT = 4.0
"""Seconds for which a page waits for a store to open."""

Opening = Callable[[Callable[[str], None]], App]
"""Opens a sweep's store and makes optuna-dashboard's application; is given where to say what it waits for."""


class OptunaApp:
    """optuna-dashboard, opened when it is first asked for: a store that is out of reach keeps nobody else waiting.

    Args:
        opening: raises a `UserError` where it cannot be had.
    """

    def __init__(self, opening: Opening) -> None:
        self._opening = opening
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._app: App | None = None
        self._said = ""

    def trouble(self) -> str | None:
        """Why there is nothing to show yet, after waiting a little; `None` where there is. Asked again, it is tried
        again."""
        with self._lock:
            if self._app is not None:
                return None
            if self._thread is None or not self._thread.is_alive():
                self._said = "the store is being opened"
                self._thread = threading.Thread(target=self._open, daemon=True)
                self._thread.start()
            thread = self._thread
        thread.join(STORAGE_TIMEOUT)
        return None if self._app is not None else self._said

    @property
    def opening(self) -> bool:
        """Whether it is still being tried."""
        return self._thread is not None and self._thread.is_alive()

    def _open(self) -> None:
        try:
            self._app = self._opening(self._say)
        except UserError as error:
            self._said = str(error)
        except Exception as error:
            self._said = f"{type(error).__name__}: {one_line(error)}"

    def _say(self, said: str) -> None:
        self._said = said

    def answer(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        """Answers what is asked of optuna-dashboard."""
        if (trouble := self.trouble()) is not None or self._app is None:
            return status_line(HTTPStatus.SERVICE_UNAVAILABLE, trouble or "").send(environ, start)

        # It counts on every client to send one.
        environ.setdefault("HTTP_ACCEPT_ENCODING", "")

        def begin(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            # It says what its page may load, but not who may show it.
            framed = [
                (name, f"{value}; frame-ancestors 'self'" if name.lower() == POLICY.lower() else value)
                for name, value in headers
            ]
            return start(status, framed, *rest)

        return self._app(environ, begin)


def is_optuna_path(path: str) -> bool:
    """Whether a path is optuna-dashboard's."""
    return any(path == each or path.startswith(f"{each}/") for each in PATHS)

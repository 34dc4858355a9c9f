"""optuna-dashboard for the trials of a sweep, embedded read-only beside our pages."""

import threading
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

from analysis.dashboards.server.wsgi import WsgiApp, text_response
from workbench.errors import UserError
from workbench.files import describe_error

OPTUNA_PATHS = ("/dashboard", "/api", "/static", "/csv", "/artifacts", "/favicon.ico", "/incompatible-rdb-schema")
"""Absolute paths that optuna-dashboard answers."""
POLICY_HEADER = "Content-Security-Policy"
STORAGE_TIMEOUT = 4.0
"""Seconds that a page waits for the storage to open."""

AppFactory = Callable[[Callable[[str], None]], WsgiApp]
"""Opens a sweep's storage and returns optuna-dashboard's application; its argument reports what it waits for."""


class OptunaApp:
    """optuna-dashboard, opened in a thread at the first request, so that a storage out of reach blocks nobody else.

    Args:
        open_app: raises a `UserError` if the application cannot be opened.
    """

    def __init__(self, open_app: AppFactory) -> None:
        self._open_app = open_app
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._app: WsgiApp | None = None
        self._message = ""

    def problem(self) -> str | None:
        """Waits a little for the application and returns why it is not open yet; `None` if it is.

        After a failure, another call tries again.
        """
        with self._lock:
            if self._app is not None:
                return None
            if self._thread is None or not self._thread.is_alive():
                self._message = "the store is being opened"
                self._thread = threading.Thread(target=self._open, daemon=True)
                self._thread.start()
            thread = self._thread
        thread.join(STORAGE_TIMEOUT)
        return None if self._app is not None else self._message

    @property
    def is_opening(self) -> bool:
        """True while the application is being opened."""
        return self._thread is not None and self._thread.is_alive()

    def _open(self) -> None:
        try:
            self._app = self._open_app(self._set_message)
        except UserError as error:
            self._message = str(error)
        except Exception as error:
            self._message = f"{type(error).__name__}: {describe_error(error)}"

    def _set_message(self, message: str) -> None:
        self._message = message

    def respond(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        """Answers a request to optuna-dashboard."""
        if (problem := self.problem()) is not None or self._app is None:
            return text_response(HTTPStatus.SERVICE_UNAVAILABLE, problem or "").send(environ, start)

        # optuna-dashboard expects this header of every client.
        environ.setdefault("HTTP_ACCEPT_ENCODING", "")

        def start_framed(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            # Its policy limits what its page loads, but not which sites may embed it.
            framed = [
                (name, f"{value}; frame-ancestors 'self'" if name.lower() == POLICY_HEADER.lower() else value)
                for name, value in headers
            ]
            return start(status, framed, *rest)

        return self._app(environ, start_framed)


def is_optuna_path(path: str) -> bool:
    """Returns whether a path belongs to optuna-dashboard."""
    return any(path == prefix or path.startswith(f"{prefix}/") for prefix in OPTUNA_PATHS)

"""WSGI server on the loopback interface: who is answered, with which headers, and how it ends."""

import errno
import hashlib
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from queue import SimpleQueue
from socketserver import ThreadingMixIn
from typing import IO, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from analysis.report.page import script_hashes
from workbench.errors import UserError

HOST = "127.0.0.1"
IDLE_SECONDS = 60
"""Seconds after which a silent connection is closed."""
TEXT, HTML = "text/plain; charset=utf-8", "text/html; charset=utf-8"
NO_SOURCES = "default-src 'none'; base-uri 'none'; form-action 'none'"
PAGE_POLICY = (
    f"{NO_SOURCES}; script-src 'self'; connect-src 'self'; style-src 'self'; style-src-attr 'unsafe-inline'; "
    "img-src 'self' data:; frame-src 'self'; frame-ancestors 'none'"
)
"""Policy of our pages. Figures are styled by attributes, and embed heat maps as data."""
DOCUMENT_POLICY = (
    f"{NO_SOURCES}; style-src 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'self'; sandbox allow-same-origin"
)
"""Policy of files from the folder of results: any style is allowed, no script."""
REPORT_POLICY = (
    f"{NO_SOURCES}; style-src 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'self'; "
    f"script-src {' '.join(script_hashes())}; sandbox allow-scripts allow-downloads"
)
"""Policy of a report: scripts run that are, to the letter, those of this version's reports, and no others.

It has an origin of its own, so that not even they reach our pages.
"""
DEFAULT_HEADERS = {
    "Content-Security-Policy": f"{NO_SOURCES}; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
}
BLOCK_SIZE = 65_536

WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
"""A WSGI application (PEP 3333)."""


class LoopbackServer(ThreadingMixIn, WSGIServer):
    """Server with a thread for each request, so that a slow query does not delay other pages."""

    daemon_threads = True

    def server_bind(self) -> None:
        """Binds the address without looking up its name, which may take long."""
        super(WSGIServer, self).server_bind()
        self.server_name, self.server_port = HOST, int(self.server_address[1])
        self.setup_environ()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Prints nothing about a browser that has left before it was answered."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class SilentHandler(WSGIRequestHandler):
    """Request handler that does not log."""

    timeout = IDLE_SECONDS

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Logs nothing."""


def bind_server(port: int) -> LoopbackServer:
    """Creates a server that is bound to a port, with an application that answers nothing yet.

    Raises:
        UserError: if the port is not available.
    """
    try:
        return make_server(
            HOST, port, lambda environ, start: [], server_class=LoopbackServer, handler_class=SilentHandler
        )
    except OSError as error:
        why = "is taken" if error.errno == errno.EADDRINUSE else f"is not available: {error.strerror}"
        raise UserError(f"port {port} {why}; name another one, or 0 for any free port: --port") from None


def serve_until_stopped(server: LoopbackServer, line: str) -> None:
    """Prints a line and serves until SIGINT or SIGTERM, which do not wait for requests under way.

    Args:
        server: with its application.
        line: tells the user where to look.
    """
    # SimpleQueue.put is reentrant: a signal handler may interrupt anything, the queue's own methods included.
    signals: SimpleQueue[int] = SimpleQueue()
    before = {
        number: signal.signal(number, lambda number, frame: signals.put(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
    try:
        thread.start()
        print(line, flush=True)
        signals.get()
    finally:
        server.shutdown()
        thread.join()
        for number, handler in before.items():
            signal.signal(number, handler)


def same_origin_only(app: WsgiApp, port: int) -> WsgiApp:
    """Restricts an application to requests of its own pages.

    Listening on the loopback interface does not keep out pages of other sites in the same browser: they can send
    requests here, and read the answers through a name of theirs that resolves to this address.
    """
    hosts = {f"{HOST}:{port}", f"localhost:{port}"}
    origins = {None, *(f"http://{host}" for host in hosts)}

    def guarded(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        if environ.get("HTTP_HOST") in hosts and environ.get("HTTP_ORIGIN") in origins:
            return app(environ, start)
        start("403 Forbidden", [("Content-Type", "text/plain")])
        return [f"open http://{HOST}:{port}/ itself\n".encode()]

    return guarded


def with_default_headers(app: WsgiApp) -> WsgiApp:
    """Adds the default headers to an application's responses, unless they set them themselves."""

    def extended(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        def start_extended(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            present = {name.lower() for name, _ in headers}
            added = [(name, value) for name, value in DEFAULT_HEADERS.items() if name.lower() not in present]
            return start(status, [*headers, *added], *rest)

        return app(environ, start_extended)

    return extended


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """Status, headers and body of a response."""

    body: bytes | IO[bytes] = b""
    """A file is closed once it is sent."""
    size: int | None = None
    """Number of bytes of a file that are sent."""
    kind: str = TEXT
    """Content type."""
    status: HTTPStatus = HTTPStatus.OK
    policy: str | None = None
    """`Content-Security-Policy`; by default one that allows nothing."""
    headers: dict[str, str] = field(default_factory=dict)

    def send(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        """Answers a request as WSGI requires."""
        size = self.size if not isinstance(self.body, bytes) else len(self.body)
        headers = {"Content-Type": self.kind, "Content-Length": str(size), **self.headers}
        if self.policy is not None:
            headers["Content-Security-Policy"] = self.policy
        start(f"{self.status.value} {self.status.phrase}", list(headers.items()))
        if isinstance(self.body, bytes):
            return [] if environ["REQUEST_METHOD"] == "HEAD" else [self.body]
        if environ["REQUEST_METHOD"] == "HEAD":
            self.body.close()
            return []
        return file_blocks(self.body, size or 0)


def file_blocks(file: IO[bytes], size: int) -> Iterator[bytes]:
    """Yields a file in blocks, and no more than the announced size if the file grows meanwhile."""
    with file:
        while size > 0 and (block := file.read(min(BLOCK_SIZE, size))):
            size -= len(block)
            yield block


def text_response(status: HTTPStatus, text: str, **headers: str) -> Response:
    """Returns a line of plain text as a response."""
    return Response(body=f"{text}\n".encode(), status=status, headers=headers)


def conditional_response(text: str, environ: dict[str, Any]) -> Response:
    """Returns a part of a page, or 304 Not Modified if the client has it already."""
    tag = etag(text)
    if environ.get("HTTP_IF_NONE_MATCH") == tag:
        return Response(status=HTTPStatus.NOT_MODIFIED, kind=HTML, headers={"ETag": tag})
    return Response(body=text.encode("utf-8", "replace"), kind=HTML, headers={"ETag": tag})


def etag(text: str) -> str:
    """Returns the ETag of a text."""
    return f'"{hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:20]}"'

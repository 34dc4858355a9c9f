"""Pages served on this machine alone: the server, whom it answers, and how it ends."""

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

from workbench.errors import UserError

HOST = "127.0.0.1"
IDLE_SECONDS = 60
"""After which a connection on which nothing comes is given up."""

App = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
"""WSGI's (PEP 3333)."""


class Server(ThreadingMixIn, WSGIServer):
    """Answers side by side: a slow query does not keep the page waiting."""

    daemon_threads = True

    def server_bind(self) -> None:
        """Takes the address without asking for its name, which may take long."""
        super(WSGIServer, self).server_bind()
        self.server_name, self.server_port = HOST, int(self.server_address[1])
        self.setup_environ()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Says nothing of a browser that has left before it was answered."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class SilentHandler(WSGIRequestHandler):
    """Says nothing of each request."""

    timeout = IDLE_SECONDS

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        return


def listen(port: int) -> Server:
    """A server that listens, and has nothing to say yet.

    Raises:
        UserError: if the port cannot be had.
    """
    try:
        return make_server(HOST, port, lambda environ, start: [], server_class=Server, handler_class=SilentHandler)
    except OSError as error:
        why = "is taken" if error.errno == errno.EADDRINUSE else f"cannot be had: {error.strerror}"
        raise UserError(f"port {port} {why}; name another one, or 0 for any that is free: --port") from None


def until_stopped(server: Server, line: str) -> None:
    """Prints a line and answers until Ctrl-C or a polite kill, which do not wait for answers under way.

    Args:
        server: with its application.
        line: where it can be found.
    """
    # A handler may interrupt anything, this queue's own methods included: it is made for that.
    told: SimpleQueue[int] = SimpleQueue()
    before = {
        number: signal.signal(number, lambda number, frame: told.put(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    answering = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
    try:
        answering.start()
        print(line, flush=True)
        told.get()
    finally:
        server.shutdown()
        answering.join()
        for number, handler in before.items():
            signal.signal(number, handler)


def same_origin_only(app: App, port: int) -> App:
    """The application for requests of its own pages only.

    Listening on the loopback does not keep out the pages of other sites that the same browser shows: they can send
    requests here, and with a name that they have resolve to this address read the answers.
    """
    hosts = {f"{HOST}:{port}", f"localhost:{port}"}
    origins = {None, *(f"http://{host}" for host in hosts)}

    def guarded(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        if environ.get("HTTP_HOST") in hosts and environ.get("HTTP_ORIGIN") in origins:
            return app(environ, start)
        start("403 Forbidden", [("Content-Type", "text/plain")])
        return [f"open http://{HOST}:{port}/ itself\n".encode()]

    return guarded


TEXT, HTML = "text/plain; charset=utf-8", "text/html; charset=utf-8"
NOTHING = "default-src 'none'; base-uri 'none'; form-action 'none'"
PAGE = (
    f"{NOTHING}; script-src 'self'; connect-src 'self'; style-src 'self'; style-src-attr 'unsafe-inline'; "
    "img-src 'self' data:; frame-src 'self'; frame-ancestors 'none'"
)
"""Of our pages. Figures are styled by attributes, and hold heat maps as data."""
DOCUMENT = f"{NOTHING}; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'; sandbox allow-same-origin"
"""Of what was written to the folder: it may look as it likes, and do nothing."""
ALWAYS = {
    "Content-Security-Policy": f"{NOTHING}; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
}
BLOCK = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """A status, a body and what it is."""

    body: bytes | IO[bytes] = b""
    """A file is closed once it is sent."""
    size: int | None = None
    """Of a file: as much of it is sent."""
    kind: str = TEXT
    status: HTTPStatus = HTTPStatus.OK
    policy: str | None = None
    """A `Content-Security-Policy`; by default one that allows nothing."""
    headers: dict[str, str] = field(default_factory=dict)

    def send(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        """Answers as WSGI has it."""
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
        return send_file(self.body, size or 0)


def send_file(file: IO[bytes], size: int) -> Iterator[bytes]:
    """A file in blocks, and no more of it than was announced, should it grow meanwhile."""
    with file:
        while size > 0 and (block := file.read(min(BLOCK, size))):
            size -= len(block)
            yield block


def status_line(status: HTTPStatus, text: str, **headers: str) -> Response:
    """A line of plain text."""
    return Response(body=f"{text}\n".encode(), status=status, headers=headers)


def not_modified(text: str, environ: dict[str, Any]) -> Response:
    """A part of a page, or that it is what the one who asks has already."""
    tag = version(text)
    if environ.get("HTTP_IF_NONE_MATCH") == tag:
        return Response(status=HTTPStatus.NOT_MODIFIED, kind=HTML, headers={"ETag": tag})
    return Response(body=text.encode("utf-8", "replace"), kind=HTML, headers={"ETag": tag})


def version(text: str) -> str:
    """What tells a text from others."""
    return f'"{hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:20]}"'


def with_headers(app: App) -> App:
    """The application with the headers that every answer has; what it says itself stays."""

    def answering(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        def begin(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            said = {name.lower() for name, _ in headers}
            added = [(name, value) for name, value in ALWAYS.items() if name.lower() not in said]
            return start(status, [*headers, *added], *rest)

        return app(environ, begin)

    return answering

"""Pages served on this machine alone: the server, whom it answers, and how it ends."""

import errno
import signal
import sys
import threading
from collections.abc import Callable, Iterable
from queue import SimpleQueue
from socketserver import ThreadingMixIn
from typing import Any
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


class Silent(WSGIRequestHandler):
    """Says nothing of each request."""

    timeout = IDLE_SECONDS

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        return


def listening(port: int) -> Server:
    """A server that listens, and has nothing to say yet.

    Raises:
        UserError: if the port cannot be had.
    """
    try:
        return make_server(HOST, port, lambda environ, start: [], server_class=Server, handler_class=Silent)
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


def own(app: App, port: int) -> App:
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

"""`workbench sweep dashboard`: the trials in a browser, by optuna-dashboard."""

import errno
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from sweeps.opening import load
from sweeps.patience import patiently
from sweeps.storage import connect
from sweeps.worker import quiet
from workbench.cli.execute import complain
from workbench.cli.parser import Parser
from workbench.cli.sweeping.found import with_folder
from workbench.cli.sweeping.store import Store, recorded, refuse_missing
from workbench.config import whole
from workbench.errors import UserError

DESCRIPTION = """Show the trials of a sweep in a browser, by optuna-dashboard, until Ctrl-C.

It listens on 127.0.0.1 alone. What is changed or deleted there is changed in the store, for every worker."""

EXAMPLES = """examples:
  workbench sweep dashboard tuned
  workbench sweep dashboard --storage postgresql+psycopg://me@host/sweeps --port 9000
  ssh -L 8080:127.0.0.1:8080 host      (from elsewhere: then open http://127.0.0.1:8080/)
"""
HOST = "127.0.0.1"

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


class Silent(WSGIRequestHandler):
    """Says nothing of each request."""

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        return


def main(given: list[str]) -> int:
    """Runs the command; returns the exit status."""
    values = parser().parse_args(given)
    port = values.port
    whole("port", port, least=0, most=65535)
    if find_spec("optuna_dashboard") is None:
        raise UserError("the dashboard needs optuna-dashboard: pip install 'sequence-workbench[dashboard]'")
    url = standing(values.dir, values.storage)
    quiet()
    store = Store()
    storage = connect(url, heartbeat=store.heartbeat, grace=store.grace, say=complain)
    patiently(lambda: load(storage), complain)
    import optuna_dashboard

    with listening(port) as server:
        server.set_app(own(optuna_dashboard.wsgi(storage), server.server_port))
        print(f"the trials are shown at http://{HOST}:{server.server_port}/ until Ctrl-C", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return 0
    return 0


def standing(folder: str | None, storage: str | None) -> str:
    """The URL of a sweep's store, which is there.

    Raises:
        UserError: if there is no such sweep, or no such file: none is made by looking at it.
    """
    if folder is None and storage is None:
        raise UserError("name a sweep's folder, or its store: --storage URL")
    out = None if folder is None else Path(folder)
    kept = None if out is None else recorded(out).get("storage")
    url = Store(storage=storage or kept).url(out)
    refuse_missing(url)
    return url


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


def parser() -> Parser:
    """The command's options."""
    made = with_folder(Parser(prog="workbench sweep dashboard", description=DESCRIPTION, examples=EXAMPLES))
    made.add_argument("--port", type=int, default=8080, help="to listen on; 0 for any that is free")
    return made

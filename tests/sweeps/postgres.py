"""A real PostgreSQL server for tests: Debian's package, in a temporary folder, on the loopback interface only."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import psycopg
from psycopg import sql
from sqlalchemy.engine import URL

USER = "workbench"
PASSWORD = "p@ss/w:rd %?#{x}"
"""A password with characters that URLs escape."""
SECONDS = 30
"""Seconds that a start or a stop may take on a busy machine."""
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "60",
    "shared_buffers": "16MB",
    # Nothing has to survive a crash of the machine.
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
}


def binaries() -> Path | None:
    """Returns the folder of the newest version's programs, where Debian puts them; `None` if there is none."""
    folders = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    return max(folders, key=lambda folder: float(folder.parent.name), default=None)


class Server:
    """A server that may be stopped and started again; it ends with this process, however that ends."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self.programs, self.data, self.log = programs, folder / "data", folder / "log"
        self.port = 0
        self.process: subprocess.Popen[bytes] | None = None
        self.numbers = count()
        # PostgreSQL refuses to run as root.
        self.user = "postgres" if os.getuid() == 0 else None
        password = folder / "password"
        password.write_text(PASSWORD)
        if self.user is not None:
            shutil.chown(folder, self.user)
            shutil.chown(password, self.user)
        initdb = subprocess.run(
            [
                *self.as_user(),
                *(programs / "initdb", "--pgdata", self.data, "--username", USER, "--pwfile", password),
                *("--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C", "--no-sync"),
            ],
            capture_output=True,
            text=True,
            cwd=folder,
        )
        assert initdb.returncode == 0, initdb.stderr

    def as_user(self) -> tuple[str, ...]:
        """Returns a command prefix that runs the rest as an ordinary user, and ends it with this process."""
        identity = () if self.user is None else (f"--reuid={self.user}", f"--regid={self.user}", "--clear-groups")
        return ("setpriv", *identity, "--pdeathsig=INT", "--")

    def start(self) -> None:
        """Starts the server, unless it runs, always on the same port. It ends with the thread that starts it."""
        if self.process is not None:
            return
        for _ in range(5):
            port = self.port or free_port()
            settings = [f"--{name}={value}" for name, value in {**SETTINGS, "port": port}.items()]
            with self.log.open("ab") as log:
                self.process = subprocess.Popen(
                    [*self.as_user(), self.programs / "postgres", "-D", self.data, *settings],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd=self.data,
                    start_new_session=True,
                )
            if self.wait_until_ready(port):
                self.port = port
                return
        raise AssertionError(self.log.read_text())

    def wait_until_ready(self, port: int) -> bool:
        """Waits until it accepts connections; false if it ended instead, as when another process took the port."""
        assert self.process is not None
        until = time.monotonic() + SECONDS
        while self.process.poll() is None and time.monotonic() < until:
            try:
                self.connection(port).close()
            except psycopg.OperationalError:
                time.sleep(0.05)
            else:
                return True
        self.stop()
        return False

    def stop(self) -> None:
        """Stops the server, and aborts whatever is running in it."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait(SECONDS)
        self.process = None

    def connection(self, port: int) -> psycopg.Connection:
        """Opens a connection in which every statement is a transaction."""
        return psycopg.connect(
            host="127.0.0.1", port=port, user=USER, password=PASSWORD, dbname="postgres", autocommit=True
        )

    def url(self, database: str, password: str | None = PASSWORD) -> str:
        """Returns the URL of a database."""
        address = URL.create("postgresql+psycopg", USER, password, "127.0.0.1", self.port, database)
        return address.render_as_string(hide_password=False)

    def run(self, statement: sql.Composed) -> None:
        """Runs a statement."""
        with self.connection(self.port) as connection:
            connection.execute(statement)

    @contextmanager
    def database(self) -> Iterator[str]:
        """Creates a database, yields its URL, and drops it."""
        name = f"test_{next(self.numbers)}"
        self.run(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        yield self.url(name)
        self.run(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@contextmanager
def running(programs: Path) -> Iterator[Server]:
    """Yields a server; it is stopped afterwards, and leaves nothing behind."""
    # Not below pytest's folder, as root's is closed to the user that the server runs as.
    with tempfile.TemporaryDirectory(prefix="workbench-postgres-") as folder:
        server = Server(programs, Path(folder))
        try:
            server.start()
            yield server
        finally:
            server.stop()


def free_port() -> int:
    """Returns a port on which no process listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port

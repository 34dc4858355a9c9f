"""A real PostgreSQL server for tests: Debian's package, a folder of its own, loopback only."""

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
"""Odd on purpose."""
SECONDS = 30
"""For which a start or a stop may take, on a busy machine."""
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "60",
    "shared_buffers": "16MB",
    # Nothing has to survive the machine.
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
}


def binaries() -> Path | None:
    """The folder of the newest version's programs, where Debian puts them."""
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    return max(found, key=lambda folder: float(folder.parent.name), default=None)


class Server:
    """One server, which may be stopped and started again; it goes when this process does, however that ends."""

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
        made = subprocess.run(
            [
                *self.as_user(),
                *(programs / "initdb", "--pgdata", self.data, "--username", USER, "--pwfile", password),
                *("--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C", "--no-sync"),
            ],
            capture_output=True,
            text=True,
            cwd=folder,
        )
        assert made.returncode == 0, made.stderr

    def as_user(self) -> tuple[str, ...]:
        """The start of a command line that runs the rest as an ordinary user, and ends it with this process."""
        to = () if self.user is None else (f"--reuid={self.user}", f"--regid={self.user}", "--clear-groups")
        return ("setpriv", *to, "--pdeathsig=INT", "--")

    def start(self) -> None:
        """Starts it, unless it runs, and always on the same port. It ends with the thread that does so."""
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
            if self.answers(port):
                self.port = port
                return
        raise AssertionError(self.log.read_text())

    def answers(self, port: int) -> bool:
        """Waits until it takes connections; false if it ended instead, as where another took the port."""
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
        """Stops it, and with it whatever is going on."""
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
        """One in which every statement is a transaction of its own."""
        return psycopg.connect(
            host="127.0.0.1", port=port, user=USER, password=PASSWORD, dbname="postgres", autocommit=True
        )

    def url(self, database: str, password: str | None = PASSWORD) -> str:
        """The URL of a database."""
        address = URL.create("postgresql+psycopg", USER, password, "127.0.0.1", self.port, database)
        return address.render_as_string(hide_password=False)

    def run(self, statement: sql.Composed) -> None:
        """Runs a statement."""
        with self.connection(self.port) as connection:
            connection.execute(statement)

    @contextmanager
    def database(self) -> Iterator[str]:
        """A fresh database's URL."""
        name = f"test_{next(self.numbers)}"
        self.run(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        yield self.url(name)
        self.run(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@contextmanager
def running(programs: Path) -> Iterator[Server]:
    """A server that is stopped afterwards, and leaves nothing behind."""
    # Not below pytest's folder, which root's is closed to the user that the server runs as.
    with tempfile.TemporaryDirectory(prefix="workbench-postgres-") as folder:
        server = Server(programs, Path(folder))
        try:
            server.start()
            yield server
        finally:
            server.stop()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port

"""A server that speaks just enough of PostgreSQL's protocol to ask for a password, and keeps what it is sent."""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

SSL_REQUEST = 80877103
GSS_REQUEST = 80877104
CLEARTEXT = struct.pack("!cii", b"R", 8, 3)
"""The message AuthenticationCleartextPassword (PostgreSQL's documentation, "Message Formats")."""


@dataclass(slots=True)
class Listener:
    """What has reached the server."""

    port: int
    connections: int = 0
    received: bytes = b""
    """Everything that was sent after the request for the password."""
    _done: threading.Event = field(default_factory=threading.Event)

    def serve(self, bound: socket.socket) -> None:
        """Asks every client for its password, until the socket is closed."""
        while not self._done.is_set():
            try:
                connection, _ = bound.accept()
            except OSError:
                return
            self.connections += 1
            with connection, suppress(OSError):
                connection.settimeout(5)
                while self.read_startup(connection) in (SSL_REQUEST, GSS_REQUEST):
                    connection.sendall(b"N")
                connection.sendall(CLEARTEXT)
                while chunk := connection.recv(4096):
                    self.received += chunk
                    break

    def read_startup(self, connection: socket.socket) -> int:
        """Reads a message of the start, which has no type; returns its code."""
        size, code = struct.unpack("!ii", connection.recv(8, socket.MSG_WAITALL))
        connection.recv(size - 8, socket.MSG_WAITALL)
        return int(code)


@contextmanager
def listening() -> Iterator[Listener]:
    """Yields a server on a free port of the loopback interface."""
    with socket.create_server(("127.0.0.1", 0)) as bound:
        listener = Listener(port=bound.getsockname()[1])
        thread = threading.Thread(target=listener.serve, args=(bound,), daemon=True)
        thread.start()
        yield listener
        listener._done.set()
        with suppress(OSError):
            bound.shutdown(socket.SHUT_RDWR)
    thread.join(5)

"""URLs of stores: parsing, defaults, absolute paths, and removal of passwords."""

import re
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import exc
from sqlalchemy.engine import URL, make_url

from architectures.suggest import did_you_mean
from workbench.errors import UserError

COMMON_DRIVERS = ("sqlite", "postgresql+psycopg", "mysql+pymysql")
EXAMPLE = "sqlite:////folder/sweep.db or postgresql+psycopg://user@host/database"
HOST_KEYS = ("host", "hostaddr", "service", "unix_socket")
"""Keys of a URL's query that lead a driver to another server than the one before the query."""
MAX_HOST_LENGTH = 100
"""Characters of a host's name that are shown."""
SECRET_KEYS = re.compile(r"password|passwd|pwd|odbc_connect", re.IGNORECASE)
"""Keys of a URL's query from which drivers take a password."""


def default_url(out: Path) -> str:
    """Returns the URL of the default store: the SQLite file `OUT/sweep.db`."""
    return URL.create("sqlite", database=str(out.absolute() / "sweep.db")).render_as_string(hide_password=False)


def read_url(url: str) -> URL:
    """Parses and checks the URL of a store.

    Raises:
        UserError: if it is malformed, if there is no such kind of store, or if workers could not share it.
    """
    try:
        address = parse_url(url)
        dialect = address.get_dialect()
    except exc.NoSuchModuleError:
        name = url.partition("://")[0]
        raise UserError(f"no store is called {name!r}{did_you_mean(name, COMMON_DRIVERS)}") from None
    except ValueError:
        raise UserError(
            f"the storage {redact(url)} is not a URL like {EXAMPLE}; in a name or password, @ is written %40, and / %2F"
        ) from None
    if dialect.is_async:
        raise UserError(
            f"the driver {address.drivername!r} is an asynchronous one{did_you_mean(dialect.name, COMMON_DRIVERS)}"
        )
    if dialect.name == "sqlite" and (address.database in (None, "", ":memory:") or address.query):
        raise UserError(f"the storage {redact(url)} is not a plain file, which workers can share; use {EXAMPLE}")
    return address


def parse_url(url: str) -> URL:
    """Parses a URL.

    Raises:
        ValueError: if it is not a URL, or its password may have been cut in two.
    """
    if not url.startswith("sqlite") and url.count("@") > 1:
        raise ValueError("more than one @")
    try:
        return make_url(url)
    except exc.ArgumentError:
        raise ValueError("not a URL") from None


def without_password(url: str) -> str:
    """Returns the URL without its password, which the driver then takes from PGPASSWORD or ~/.pgpass.

    Raises:
        UserError: if it is malformed.
    """
    return strip_password(read_url(url)).render_as_string(hide_password=False)


def redact(url: str) -> str:
    """Returns the URL for messages and files: without a password, and only the start of a malformed URL."""
    try:
        return strip_password(parse_url(url)).render_as_string(hide_password=False)
    except ValueError:
        start = re.match(r"[\w+]+://", url)
        return f"{start[0]}..." if start else "given"


def strip_password(address: URL) -> URL:
    """Returns the address without a password."""
    secrets = [key for key in address.query if SECRET_KEYS.search(key)]
    return URL.create(
        address.drivername,
        username=address.username,
        host=address.host,
        port=address.port,
        database=address.database,
        query=address.difference_update_query(secrets).query,
    )


def absolute_url(url: str) -> str:
    """Returns the URL with the absolute path of an SQLite file, as workers may start in other folders.

    Raises:
        UserError: if it is malformed.
    """
    address = read_url(url)
    if address.get_backend_name() != "sqlite":
        return url
    return address.set(database=str(Path(address.database or "").absolute())).render_as_string(hide_password=False)


def is_server(url: str) -> bool:
    """Returns whether a URL names a server, and not a file of this machine.

    Raises:
        UserError: if it is malformed.
    """
    return read_url(url).get_backend_name() != "sqlite"


def server_name(url: str) -> str:
    """Returns the host that a URL leads to, for messages: no password, one line, not long.

    Raises:
        UserError: if it is malformed.
    """
    address = read_url(url)
    others = [f"{key}={value}" for key in HOST_KEYS if (value := address.query.get(key))]
    host = address.host if address.port is None else f"{address.host}:{address.port}"
    text = ", ".join((host or ("" if others else "this machine"), *others)).removeprefix(", ")
    printable = "".join(char if char.isprintable() else "?" for char in text)
    return printable if len(printable) <= MAX_HOST_LENGTH else f"{printable[: MAX_HOST_LENGTH - 3]}..."


def read_only_url(address: URL, *, briefly: bool = False) -> URL:
    """Returns the address with which a store is only looked at: an SQLite file is opened for reading alone.

    Args:
        address: of the store.
        briefly: whether it is closed again before another process is likely to write to it.
    """
    if address.get_backend_name() != "sqlite":
        return address
    path = Path(address.database or "").absolute()
    query = {"mode": "ro", "uri": "true"}
    if briefly and is_idle_log(path):
        # Otherwise SQLite makes two files beside it, even for those who only read.
        query["immutable"] = "1"
    return address.set(database=f"file:{quote(str(path))}", query=query)


def is_idle_log(path: Path) -> bool:
    """Returns whether an SQLite file keeps a write-ahead log, and no process has it open.

    Stores that the workbench makes have none (SQLite's documentation, "Database File Format", offset 18).
    """
    try:
        with path.open("rb") as file:
            header = file.read(20)
    except OSError:
        return False
    return header[18:20] == b"\x02\x02" and not path.with_name(f"{path.name}-wal").exists()

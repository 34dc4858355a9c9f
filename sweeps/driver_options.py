"""Options of the drivers with which a store is opened: time limits, and what a server may not ask for."""

import os
from importlib import import_module
from typing import Any

from sqlalchemy.engine import URL

KEEP_ALIVE = {
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}
"""Connection parameters of libpq, in seconds (the last in milliseconds), with which the loss of a server's machine is
noticed within about a minute instead of hours."""
ENCRYPTED_PASSWORD = {"require_auth": "!password"}
"""Connection parameter of libpq with which a server that asks for the password in clear text does not get it; every
other method is left to the server (PostgreSQL's documentation, section "Parameter Key Words")."""
REQUIRE_AUTH_VERSION = 160_000
"""The first version of libpq that knows the parameter `require_auth`."""


def engine_options(address: URL, timeout: float, *, read_only: bool = False) -> dict[str, Any]:
    """Returns the keyword arguments of SQLAlchemy's `create_engine`.

    Args:
        address: the store's URL; what its query says goes before these options.
        timeout: seconds for which opening an SQLite file waits for other processes.
        read_only: whether a server is to refuse changes.
    """
    backend, driver = address.get_backend_name(), address.get_driver_name()
    if backend == "sqlite":
        return {"connect_args": {"timeout": timeout}}
    # A connection that was lost, as when the server restarted, is replaced before it is used.
    options: dict[str, Any] = {"pool_pre_ping": True}
    if backend == "postgresql" and driver in ("psycopg", "psycopg2"):
        parameters = {**KEEP_ALIVE, **password_options(driver)}
        options["connect_args"] = {key: value for key, value in parameters.items() if key not in address.query}
        if read_only:
            options["execution_options"] = {"postgresql_readonly": True}
    return options


def password_options(driver: str) -> dict[str, str]:
    """Returns the parameter that keeps a password from being sent in clear text; empty if libpq does not know it.

    Args:
        driver: psycopg or psycopg2.
    """
    if "PGREQUIREAUTH" in os.environ:
        return {}
    return ENCRYPTED_PASSWORD if libpq_version(driver) >= REQUIRE_AUTH_VERSION else {}


def libpq_version(driver: str) -> int:
    """Returns the version of libpq that a driver uses, such as 160003 for 16.3; 0 if the driver is not installed."""
    try:
        if driver == "psycopg":
            import psycopg

            return int(psycopg.pq.version())
        return int(import_module("psycopg2.extensions").libpq_version())
    except ImportError:
        # Opening the store says so.
        return 0

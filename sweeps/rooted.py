"""Stores' URLs that mean the same wherever they are read."""

from pathlib import Path

from sweeps.addresses import read_url


def rooted(url: str) -> str:
    """The URL with the whole path of its file, if it is one: other processes may be started in other folders.

    Raises:
        UserError: if it is malformed.
    """
    address = read_url(url)
    if address.get_backend_name() != "sqlite":
        return url
    return address.set(database=str(Path(address.database or "").absolute())).render_as_string(hide_password=False)

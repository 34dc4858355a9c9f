"""Fixtures of the sweeps' tests: stores in SQLite files and on a PostgreSQL server."""

import pytest


@pytest.fixture(scope="session")
def server():
    """A PostgreSQL server that runs for this test session."""
    pytest.importorskip("psycopg", reason="psycopg is not installed: pip install 'sequence-workbench[postgresql]'")
    from tests.sweeps import postgres

    programs = postgres.binaries()
    if programs is None:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    with postgres.running(programs) as server:
        yield server


@pytest.fixture
def postgresql(server):
    """The URL of a fresh PostgreSQL database."""
    with server.database() as url:
        yield url


@pytest.fixture
def sqlite(tmp_path):
    """The URL of an SQLite file that does not exist yet."""
    from sweeps.storage_url import default_url

    return default_url(tmp_path)


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request):
    """The URL of a fresh store of each kind."""
    return request.getfixturevalue(request.param)

"""The tables of a store: a database of another program is recognised before anything is written to it."""

from optuna.storages._rdb.models import BaseModel
from sqlalchemy import create_engine, exc, inspect
from sqlalchemy.engine import URL

from sweeps.driver_options import engine_options
from sweeps.storage_retry import is_cut_short
from sweeps.storage_url import read_only_url, redact
from workbench.errors import UserError

REVISION_TABLE = "alembic_version"
"""The table, made last, in which Optuna keeps the revision of the others; other programs have one of that name too."""


def check_tables(address: URL, timeout: float, *, complete: bool) -> None:
    """Refuses a database that is not a store of trials, without changing it.

    Args:
        address: of the database, which exists.
        timeout: seconds for which an SQLite file is waited for.
        complete: whether all tables have to be there; otherwise an empty database, and one whose tables are being made,
            are accepted too.

    Raises:
        UserError: if it has tables of another program and none of Optuna's, or no trials where there have to be some.
        sqlalchemy.exc.SQLAlchemyError: if it cannot be opened.
    """
    try:
        present, own = list_tables(read_only_url(address, briefly=True), timeout)
    except exc.DBAPIError as error:
        if complete or not is_cut_short(error):
            raise
        # Only who may write can take back a change that a kill cut short; SQLite does so before it reads.
        present, own = list_tables(address, timeout)
    name = redact(address.render_as_string(hide_password=False))
    if present - {REVISION_TABLE} and not own:
        raise UserError(f"{name} is a database of another program, and no store of trials; name another one")
    if complete and not {*BaseModel.metadata.tables, REVISION_TABLE} <= own | {REVISION_TABLE} & present:
        raise UserError(f"{name} holds no trials yet; workbench sweep run begins a sweep")


def list_tables(address: URL, timeout: float) -> tuple[set[str], set[str]]:
    """Returns the names of a database's tables: all, and those of Optuna.

    A table is taken for Optuna's if it has the key that Optuna's table of that name has; names such as `studies` alone
    do not tell.
    """
    engine = create_engine(address, **engine_options(address, timeout, read_only=True))
    try:
        inspector = inspect(engine)
        present = set(inspector.get_table_names())
        own = set()
        for name in present & set(BaseModel.metadata.tables):
            columns = {column["name"] for column in inspector.get_columns(name)}
            if columns >= {column.name for column in BaseModel.metadata.tables[name].primary_key}:
                own.add(name)
        return present, own
    finally:
        engine.dispose()
